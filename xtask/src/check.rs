//! `check`: everything that needs no kernel.

use anyhow::Result;

use crate::{
    run::{run as call, run_with},
    tidy,
};

/// Format, lints, layers, documentation.
pub(crate) fn run() -> Result<()> {
    call("cargo", &["fmt", "--all", "--check"])?;
    tidy::run()?;
    run_with(
        "cargo",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    )?;
    run_with(
        "cargo",
        &["doc", "--workspace", "--no-deps", "--quiet"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )
}
