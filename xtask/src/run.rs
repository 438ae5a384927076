//! Runs a command of the toolchain, with what is run shown first.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Runs `program` and fails when it fails.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    run_with(program, arguments, &[])
}

/// The same, with variables added to the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "developers' tools start the toolchain as the shell would"
)]
pub(crate) fn run_with(
    program: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<()> {
    say(&format!("$ {program} {}", arguments.join(" ")));
    let status = Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .status()
        .with_context(|| format!("could not start {program}"))?;
    ensure!(
        status.success(),
        "{program} {} failed: {status}",
        arguments.join(" ")
    );
    Ok(())
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "developers' tools speak on stdout")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
