//! `check`: everything that needs no kernel.

use anyhow::Result;

use crate::{
    run::{run as call, run_with},
    tidy,
};

/// Format, lints, layers, documentation, and that the fuzz targets still fit what they fuzz.
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
    )?;
    call(
        "cargo",
        &[
            "check",
            "--quiet",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target-dir",
            "target",
        ],
    )
}
