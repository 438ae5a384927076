//! `hakone completion SHELL` and `hakone man FOLDER`, from the same definitions that parse the command line.

use std::path::PathBuf;

use clap::{Args, Command, ValueEnum};
use hakone_client::{Console, Error, flag};

/// Print the completion script of a shell
#[derive(Args, Clone, Debug)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Write manual pages into a folder
#[derive(Args, Clone, Debug)]
pub(crate) struct Man {
    /// Where to; made when missing
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Shells with completions.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// Prints the script.
pub(crate) fn completion(
    console: &Console,
    arguments: &Completion,
    command: Command,
) -> Result<(), Error> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut command = flag::plain(command);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "hakone", &mut script);
    console.bytes(&script)
}

/// Writes one page for each command.
pub(crate) fn man(arguments: &Man, command: Command) -> Result<(), Error> {
    let failed = || format!("write manual pages to {}", arguments.folder.display());
    std::fs::create_dir_all(&arguments.folder).map_err(Error::io(failed()))?;
    clap_mangen::generate_to(flag::plain(command), &arguments.folder).map_err(Error::io(failed()))
}
