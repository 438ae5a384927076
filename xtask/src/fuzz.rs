//! `fuzz`: runs one target of `fuzz/` for a while.

use anyhow::Result;

use crate::run::run_with;

/// Coverage counters of LLVM, as `cargo fuzz` sets them; these flags need no other toolchain.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Clink-dead-code -Ccodegen-units=1 -Cdebug-assertions";

/// Builds the target and runs it for `seconds`; findings go to `fuzz/artifacts`, the corpus grows in `fuzz/corpus`.
pub(crate) fn run(target: &str, rest: &[&str]) -> Result<()> {
    let seconds = format!("-max_total_time={}", rest.first().copied().unwrap_or("60"));
    let corpus = format!("fuzz/corpus/{target}");
    let artifacts = format!("-artifact_prefix=fuzz/artifacts/{target}-");
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all("fuzz/artifacts")?;
    run_with(
        "cargo",
        &[
            "run",
            "--release",
            "--quiet",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target-dir",
            "fuzz/target",
            "--bin",
            target,
            "--",
            &corpus,
            &seconds,
            &artifacts,
            "-rss_limit_mb=2048",
            "-timeout=10",
        ],
        &[("RUSTFLAGS", FLAGS)],
    )
}
