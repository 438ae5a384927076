//! `fuzz`: runs one target of `fuzz/` for a while.

use anyhow::Result;

use crate::run::run_with;

/// Builds the target with coverage counters of the stable toolchain and runs it for `seconds`.
pub(crate) fn run(target: &str, rest: &[&str]) -> Result<()> {
    let seconds = rest.first().copied().unwrap_or("60");
    run_with(
        "cargo",
        &[
            "run",
            "--release",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--",
            target,
            seconds,
        ],
        &[],
    )
}
