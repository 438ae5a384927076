//! `RUN`, `CMD`, `ENTRYPOINT`: a list to execute, or a line for the shell; and what else `RUN` says.

use crate::{
    Escape, Heredoc,
    error::Problem,
    flags::{Flags, Takes},
    limits::Limits,
    mount::Mount,
    words,
};

/// A program and its arguments, or a line for the shell of the stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// A line for the shell.
    Shell(String),
    /// What is executed as it is.
    Exec(Vec<String>),
}

impl Command {
    pub(crate) fn parse(rest: &str) -> Result<Self, Problem> {
        match words::json(rest) {
            Some(list) => list.map(Self::Exec),
            None => Ok(Self::Shell(rest.trim().to_owned())),
        }
    }

    /// Reports whether there is nothing to run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Shell(line) => line.is_empty(),
            Self::Exec(arguments) => arguments.is_empty(),
        }
    }

    /// Gives the arguments to execute, the shell's line behind the shell.
    #[must_use]
    pub fn arguments(&self, shell: &[String]) -> Vec<String> {
        match self {
            Self::Shell(line) => shell.iter().chain([line]).cloned().collect(),
            Self::Exec(arguments) => arguments.clone(),
        }
    }
}

/// Which network a `RUN` has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunNetwork {
    /// The one of the build.
    #[default]
    Default,
    /// None.
    None,
    /// The host's.
    Host,
}

/// How confined a `RUN` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunSecurity {
    /// As any container.
    #[default]
    Sandbox,
    /// Not at all: only where the build was allowed to.
    Insecure,
}

/// What `RUN` says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The command, heredocs not yet put in: see [`Run::script`].
    pub command: Command,
    /// The heredocs of the command, in their order.
    pub heredocs: Vec<Heredoc>,
    /// What is mounted while it runs.
    pub mounts: Vec<Mount>,
    /// Its network.
    pub network: RunNetwork,
    /// Its confinement.
    pub security: RunSecurity,
}

/// What a `RUN` executes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Script {
    /// These arguments, as they are.
    Exec(Vec<String>),
    /// This text, by the shell of the stage.
    Shell(String),
    /// A file with this content, which names its own interpreter in `#!`.
    File {
        /// The name of the heredoc.
        name: String,
        /// Its content.
        content: String,
    },
}

const FLAGS: &[(&str, Takes)] = &[
    ("mount", Takes::Values),
    ("network", Takes::Value),
    ("security", Takes::Value),
];

impl Run {
    pub(crate) fn parse(rest: &str, heredocs: &[Heredoc], escape: Escape) -> Result<Self, Problem> {
        let (given, rest) = words::flags(rest, escape);
        let flags = Flags::parse(&given, FLAGS)?;
        let command = Command::parse(rest)?;
        let mounts: Vec<Mount> = flags
            .all("mount")
            .map(Mount::parse)
            .collect::<Result<_, _>>()?;
        if mounts.len() > Limits::default().mounts {
            return Err(Problem::new("too many mounts"));
        }
        Ok(Self {
            command,
            heredocs: heredocs.to_vec(),
            mounts,
            network: flags
                .one("network")
                .map_or(Ok(RunNetwork::Default), network)?,
            security: flags
                .one("security")
                .map_or(Ok(RunSecurity::Sandbox), security)?,
        })
    }

    /// Resolves the heredocs: the one that is the whole command is the script, others go to the shell as they stand.
    #[must_use]
    pub fn script(&self) -> Script {
        let line = match &self.command {
            Command::Exec(arguments) => return Script::Exec(arguments.clone()),
            Command::Shell(line) => line,
        };
        match (self.heredocs.as_slice(), Heredoc::parse(line)) {
            ([only], Some(_)) if only.content.starts_with("#!") => Script::File {
                name: only.name.clone(),
                content: only.text(),
            },
            ([only], Some(_)) => Script::Shell(only.text()),
            (heredocs, _) => Script::Shell(with_heredocs(line, heredocs)),
        }
    }
}

fn with_heredocs(line: &str, heredocs: &[Heredoc]) -> String {
    let mut text = line.to_owned();
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    text
}

fn network(text: &str) -> Result<RunNetwork, Problem> {
    match text {
        "default" => Ok(RunNetwork::Default),
        "none" => Ok(RunNetwork::None),
        "host" => Ok(RunNetwork::Host),
        _ => Err(Problem::new(format!("unsupported network mode: {text:?}"))),
    }
}

fn security(text: &str) -> Result<RunSecurity, Problem> {
    match text {
        "sandbox" => Ok(RunSecurity::Sandbox),
        "insecure" => Ok(RunSecurity::Insecure),
        _ => Err(Problem::new(format!("unsupported security mode {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(file: &str) -> Run {
        let divided = crate::lines::divide(file.as_bytes(), &Limits::default()).unwrap();
        let one = &divided.instructions[0];
        let (_, rest) = words::keyword(&one.text);
        Run::parse(rest, &one.heredocs, Escape::Backslash).unwrap()
    }

    #[test]
    fn a_heredoc_alone_is_the_script() {
        assert_eq!(
            run("RUN <<EOF\na\nb\nEOF\n").script(),
            Script::Shell("a\nb\n".into())
        );
        assert_eq!(
            run("RUN <<-EOF\n\ta\nEOF\n").script(),
            Script::Shell("a\n".into())
        );
        let file = run("RUN <<EOF\n#!/bin/awk -f\nx\nEOF\n").script();
        let content = "#!/bin/awk -f\nx\n".into();
        assert_eq!(
            file,
            Script::File {
                name: "EOF".into(),
                content
            }
        );
    }

    #[test]
    fn other_heredocs_are_left_to_the_shell() {
        let script = run("RUN cat <<A - <<B\na\nA\nb\nB\n").script();
        assert_eq!(script, Script::Shell("cat <<A - <<B\na\nA\nb\nB".into()));
        assert_eq!(
            run("RUN [\"a\", \"b\"]\n").script(),
            Script::Exec(vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn modes_are_words_that_are_known() {
        let parse = |text| Run::parse(text, &[], Escape::Backslash);
        let found = parse("--network=none --security=insecure x").unwrap();
        assert_eq!(
            (found.network, found.security),
            (RunNetwork::None, RunSecurity::Insecure)
        );
        assert!(parse("--network=moon x").is_err() && parse("--security=no x").is_err());
    }
}
