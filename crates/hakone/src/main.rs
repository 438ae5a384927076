//! `hakone`: the one binary. By its first word it is the daemon, a container's supervisor, or the command line.
//!
//! The supervisor's way out comes first and touches nothing else: a thousand of them must stay small, without async
//! runtime, argument parser or configuration.

mod compose;
mod daemon;
mod dockerd;
mod facts;
mod logging;
mod resolve;
mod settings;

use std::{path::Path, process::ExitCode};

use clap::{Parser, Subcommand};

/// A container engine whose subject is what may reach what.
#[derive(Parser)]
#[command(
    name = "hakone",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    global: hakone_cli::Global,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the engine
    Daemon(daemon::Arguments),
    #[command(flatten)]
    Client(hakone_cli::Command),
}

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == "supervise") {
        let order = words.next().unwrap_or_default();
        return hakone_supervisor::main(Path::new(&order));
    }
    let cli = Cli::parse();
    match cli.verb {
        Verb::Daemon(arguments) => daemon::main(arguments),
        Verb::Client(command) => hakone_cli::main(command, cli.global),
    }
}
