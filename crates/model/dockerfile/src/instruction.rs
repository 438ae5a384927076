//! The instructions of a Dockerfile, one variant each, as written: variables are still in them.

use crate::{Add, Command, Copy, Healthcheck, Heredoc, Run, Span};

/// One instruction where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its lines.
    pub span: Span,
    /// The instruction as Docker prints it: continued lines joined, heredocs left out.
    pub text: String,
    /// The keyword as written.
    pub keyword: String,
    /// The comments right above it.
    pub comments: Vec<String>,
    /// The heredocs that belong to it, in their order.
    pub heredocs: Vec<Heredoc>,
    /// The line of an empty line within it, which is deprecated.
    pub gap: Option<u32>,
    /// What it says.
    pub instruction: Instruction,
}

/// What an instruction says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Instruction {
    /// Files of the context, or downloads; archives unpacked.
    Add(Add),
    /// Build arguments that the stage takes.
    Arg(Vec<ArgPair>),
    /// The default command.
    Cmd(Command),
    /// Files of the context, a stage, an image.
    Copy(Copy),
    /// The program that the command is given to.
    Entrypoint(Command),
    /// Environment variables.
    Env(Vec<Pair>),
    /// Ports that the image serves.
    Expose(Vec<String>),
    /// The beginning of a stage.
    From(From),
    /// How to see whether a container is well.
    Healthcheck(Healthcheck),
    /// Labels of the image.
    Label(Vec<Pair>),
    /// The author, as it was said before labels.
    Maintainer(String),
    /// An instruction for builds on this image.
    Onbuild(Onbuild),
    /// A command that makes a layer.
    Run(Run),
    /// The shell of all lines that follow.
    Shell(Vec<String>),
    /// The signal that stops a container.
    StopSignal(String),
    /// The user of all that follows.
    User(String),
    /// Paths that are volumes.
    Volume(Vec<String>),
    /// The working folder of all that follows.
    Workdir(String),
}

/// What `FROM` says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct From {
    /// The image, an earlier stage, or `scratch`.
    pub image: String,
    /// The platform of the image.
    pub platform: Option<String>,
    /// The name of the stage, in small letters.
    pub name: Option<String>,
    /// `AS` and the name as written.
    pub written: Option<(String, String)>,
}

/// A name and its value, of `ENV` and `LABEL`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The name, quotes and all until it is expanded.
    pub name: String,
    /// The value, quotes and all until it is expanded.
    pub value: String,
    /// Whether it was written `NAME value`, which is deprecated.
    pub legacy: bool,
}

/// A build argument and its default.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArgPair {
    /// The name.
    pub name: String,
    /// The value when the build gives none; quotes and all until it is expanded.
    pub default: Option<String>,
}

/// What `ONBUILD` says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Onbuild {
    /// The instruction as it goes into the image, heredocs included.
    pub text: String,
    /// The instruction, read; it is read again, with the escape of that file, where it is triggered.
    pub trigger: Box<Instruction>,
}

impl Instruction {
    /// Gives the keyword in capital letters.
    #[must_use]
    pub const fn keyword(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::From(_) => "FROM",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::StopSignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }

    /// Lists the stages, images and named contexts that the instruction takes files from.
    #[must_use]
    pub fn origins(&self) -> Vec<&str> {
        match self {
            Self::Copy(copy) => copy.from.as_deref().into_iter().collect(),
            Self::Run(run) => run.mounts.iter().filter_map(crate::Mount::from).collect(),
            Self::Add(_)
            | Self::Arg(_)
            | Self::Cmd(_)
            | Self::Entrypoint(_)
            | Self::Env(_)
            | Self::Expose(_)
            | Self::From(_)
            | Self::Healthcheck(_)
            | Self::Label(_)
            | Self::Maintainer(_)
            | Self::Onbuild(_)
            | Self::Shell(_)
            | Self::StopSignal(_)
            | Self::User(_)
            | Self::Volume(_)
            | Self::Workdir(_) => Vec::new(),
        }
    }
}
