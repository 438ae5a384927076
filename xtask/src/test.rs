//! `test`, `e2e`, `bless`: the test runner's command lines.

use anyhow::Result;

use crate::run::{run, run_with};

/// Everything: unit, property, snapshot and kernel tests, then the binary as users drive it.
pub(crate) fn all() -> Result<()> {
    run(
        "cargo",
        &["test", "--workspace", "--exclude", "hakone-e2e", "--quiet"],
    )?;
    e2e(&[])
}

/// Builds the binary that users get and drives it through the docker CLI.
pub(crate) fn e2e(filter: &[&str]) -> Result<()> {
    run("cargo", &["build", "--release", "--package", "hakone"])?;
    let mut arguments = vec!["test", "--package", "hakone-e2e", "--"];
    arguments.extend(filter);
    run("cargo", &arguments)
}

/// Installs the clients that people have, and lets them drive the binary.
pub(crate) fn peers() -> Result<()> {
    run("scripts/clients", &[])?;
    run("scripts/peer", &[])?;
    run("cargo", &["build", "--release", "--package", "hakone"])?;
    run(
        "cargo",
        &[
            "test",
            "--package",
            "hakone-e2e",
            "--features",
            "peers",
            "--test",
            "clients",
            "--test",
            "compose",
            "--test",
            "artifacts",
            "--test",
            "build_indexes",
            "--test",
            "schema",
            "--test",
            "buildx",
            "--test",
            "build_caches",
            "--test",
            "build_remote",
        ],
    )
}

/// Writes snapshots anew; look at the difference before you commit it.
pub(crate) fn bless() -> Result<()> {
    let bless = [("HAKONE_BLESS", "1")];
    run_with(
        "cargo",
        &[
            "test",
            "--workspace",
            "--exclude",
            "hakone-e2e",
            "--quiet",
            "snapshot",
        ],
        &bless,
    )
}
