//! `hakone`: the one binary. By its first word it is the daemon, a container's supervisor, or the command line.
//!
//! The supervisor's way out comes first and touches nothing else: a thousand of them must stay small, without async
//! runtime, argument parser or configuration.

mod bounds;
mod compose;
mod daemon;
mod dockerd;
mod facts;
mod logging;
#[cfg(test)]
mod reference;
mod registries;
mod registry;
mod resolve;
mod rest;
mod settings;
mod sockets;
mod storage;

use std::{path::Path, process::ExitCode};

use clap::{Args as _, FromArgMatches as _};

fn main() -> ExitCode {
    let words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "supervise") {
        let order = words.get(2).map_or(Path::new(""), Path::new);
        return hakone_supervisor::main(order);
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let command = command();
    match hakone_cli::matches(&command, &words) {
        Err(code) => code,
        Ok(matches) => match matches.subcommand() {
            Some(("daemon", found)) => match daemon::Arguments::from_arg_matches(found) {
                Ok(arguments) => daemon::main(&arguments),
                Err(error) => error.exit(),
            },
            Some(("registry", found)) => registry::main(found),
            _ => hakone_cli::main(command, &matches),
        },
    }
}

/// The client's verbs, the daemon's, and those of a registry of its own.
fn command() -> clap::Command {
    let daemon = daemon::Arguments::augment_args(clap::Command::new("daemon"));
    let daemon = daemon
        .about("Run the engine")
        .long_about(None)
        .version(env!("CARGO_PKG_VERSION"));
    hakone_cli::command()
        .subcommand(daemon)
        .subcommand(hakone_registry_http::command())
}
