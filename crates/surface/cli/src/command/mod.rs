//! The command line as a whole: definitions, parsing, the run on one thread, the exit code.

mod dispatch;
#[cfg(test)]
mod recorded;
mod tree;
mod usage;

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgMatches, Command, FromArgMatches};
use hakone_client::{Address, Console, DEFAULT, Error, Identity, Session, flag};

use dispatch::verb;
use tree::{Cli, Daemon, Verb};

/// Gives all the client's commands; the binary adds those of its own.
#[must_use]
pub fn command() -> Command {
    flag::dockers(<Cli as clap::CommandFactory>::command())
}

/// Parses the words of a command line; mistakes are said as docker says them and give the exit code to end with.
///
/// # Errors
/// When the words are no command, or ask for help.
pub fn matches(command: &Command, words: &[String]) -> Result<ArgMatches, ExitCode> {
    let mut built = command.clone();
    built.build();
    built.clone().try_get_matches_from(words).map_err(|error| {
        let complaint = usage::explain(&error, &built, words);
        let console = Console::of_process();
        let text = complaint.text.as_bytes();
        // Nobody is left to be told when this fails.
        drop(if complaint.asked_for {
            console.bytes(text)
        } else {
            console.error_bytes(text)
        });
        ExitCode::from(complaint.code)
    })
}

/// Runs what was parsed, on one thread, and gives the process's exit code. `command` is the whole tree, for completions.
#[must_use]
pub fn main(command: Command, matches: &ArgMatches) -> ExitCode {
    let console = Console::of_process();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(source) => {
            console.complain(&Error::Io {
                what: "start".into(),
                source,
            });
            return ExitCode::from(125);
        }
    };
    let code = runtime.block_on(Box::pin(run(console, command, matches)));
    // A read of the keyboard that is still waiting must not keep us.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn run(console: Console, command: Command, matches: &ArgMatches) -> u8 {
    let cli = match Cli::from_arg_matches(matches) {
        Ok(cli) => cli,
        Err(error) => {
            console.note(&error.to_string());
            return 125;
        }
    };
    let session = match session(console, &cli.daemon) {
        Ok(session) => session,
        Err((console, error)) => {
            console.complain(&error);
            return 1;
        }
    };
    perform(&session, &cli.verb, command).await
}

/// Runs a verb and says what went wrong.
async fn perform(session: &Session, asked: &Verb, command: Command) -> u8 {
    match Box::pin(verb(session, asked, command)).await {
        Ok(code) => code,
        Err(error) => {
            session.console.complain(&error);
            error.code()
        }
    }
}

fn session(console: Console, daemon: &Daemon) -> Result<Session, (Console, Error)> {
    let host = daemon
        .host
        .clone()
        .filter(|host| !host.is_empty())
        .or_else(|| variable("DOCKER_HOST"))
        .unwrap_or_else(|| DEFAULT.to_owned());
    let address: Address = match host.parse() {
        Ok(address) => address,
        Err(error) => return Err((console, error)),
    };
    let wanted = daemon.tls || daemon.tlsverify || variable("DOCKER_TLS_VERIFY").is_some();
    Ok(Session::new(
        console,
        address,
        wanted.then(|| identity(daemon)),
    ))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The three files, by default where docker keeps them.
fn identity(daemon: &Daemon) -> Identity {
    let folder = variable("DOCKER_CERT_PATH").map(PathBuf::from);
    let folder = folder
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".docker")))
        .unwrap_or_default();
    let file =
        |flag: &Option<PathBuf>, name: &str| flag.clone().unwrap_or_else(|| folder.join(name));
    Identity {
        ca: file(&daemon.tlscacert, "ca.pem"),
        certificate: file(&daemon.tlscert, "cert.pem"),
        key: file(&daemon.tlskey, "key.pem"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        command().debug_assert();
        flag::plain(command()).debug_assert();
    }

    #[test]
    fn help_shows_switches_without_values() {
        let words = ["hakone", "network", "create", "--help"].map(str::to_owned);
        let mut root = command();
        root.build();
        let error = root.clone().try_get_matches_from(&words).unwrap_err();
        let help = usage::explain(&error, &root, &words).text;
        assert!(
            help.contains("Usage: hakone network create [OPTIONS] <NETWORK>"),
            "{help}"
        );
        assert!(
            help.contains("--internal") && !help.contains("--internal["),
            "{help}"
        );
    }

    #[test]
    fn manual_pages_and_completions_come_from_the_same_tree() {
        let folder = tempfile::tempdir().unwrap();
        let mut tree = flag::plain(command());
        clap_mangen::generate_to(tree.clone(), folder.path()).unwrap();
        assert!(folder.path().join("hakone-network-create.1").exists());
        let mut script = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut tree, "hakone", &mut script);
        assert!(
            String::from_utf8(script)
                .unwrap()
                .contains("--network-alias")
        );
    }
}
