//! `bench`: the benches against a real dockerd, interleaved in one run.

use anyhow::Result;

use crate::run::run;

/// Builds what users get and hands over to the bench program.
pub(crate) fn run_all(arguments: &[&str]) -> Result<()> {
    run(
        "cargo",
        &[
            "build",
            "--release",
            "--package",
            "hakone",
            "--package",
            "hakone-e2e",
        ],
    )?;
    let mut words = vec![
        "run",
        "--release",
        "--quiet",
        "--package",
        "hakone-e2e",
        "--bin",
        "bench",
        "--",
    ];
    words.extend(arguments);
    run("cargo", &words)
}
