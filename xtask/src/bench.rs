//! `bench`: the benches against a real dockerd, interleaved in one run.

use anyhow::Result;

use crate::run::run;

/// Builds what users get and hands over to the bench program. What rules cost needs no peer, and is measured without a daemon.
pub(crate) fn run_all(arguments: &[&str]) -> Result<()> {
    if arguments.first() == Some(&"policy") {
        return run(
            "cargo",
            &["bench", "--package", "hakone-nft", "--bench", "load"],
        );
    }
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
