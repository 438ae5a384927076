//! What is wrong with a Dockerfile, in the words that Docker's users know, and on which lines.

use hakone_base::{Fault, Kind};

use crate::Span;

/// A fault of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An instruction is wrong.
    #[error("dockerfile parse error on line {span}: {problem}")]
    Instruction {
        /// The lines of the instruction.
        span: Span,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The file does not divide into instructions.
    #[error("{problem}")]
    File {
        /// The lines at which this was found.
        span: Span,
        /// What is wrong.
        problem: Problem,
    },
    /// A variable of an instruction cannot be replaced.
    #[error("failed to process {word:?}: {problem}")]
    Expand {
        /// The lines of the instruction.
        span: Span,
        /// The word as written.
        word: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// No stage has the name that the build asks for.
    #[error("target stage {0:?} could not be found")]
    Target(String),
    /// Something of the file is beyond a limit.
    #[error("{what} of the Dockerfile beyond the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
}

/// What is wrong with an instruction or a word of it, in Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub(crate) String);

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn no_argument(keyword: &str) -> Self {
        Self(format!("{keyword} requires at least one argument"))
    }

    pub(crate) fn one_argument(keyword: &str) -> Self {
        Self(format!("{keyword} requires exactly one argument"))
    }

    pub(crate) fn blank_name(keyword: &str) -> Self {
        Self(format!("{keyword} names can not be blank"))
    }

    /// Places the problem at the lines of its instruction.
    pub(crate) fn at(self, span: Span) -> Error {
        Error::Instruction {
            span,
            problem: self,
        }
    }

    /// Places the problem at the lines of the file.
    pub(crate) fn in_file(self, span: Span) -> Error {
        Error::File {
            span,
            problem: self,
        }
    }
}

impl Error {
    /// Tells the lines, if the fault has a place.
    #[must_use]
    pub const fn span(&self) -> Option<Span> {
        match self {
            Self::Instruction { span, .. }
            | Self::File { span, .. }
            | Self::Expand { span, .. } => Some(*span),
            Self::Target(_) | Self::Limit { .. } => None,
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Instruction { .. }
            | Self::File { .. }
            | Self::Expand { .. }
            | Self::Target(_)
            | Self::Limit { .. } => Kind::InvalidParameter,
        }
    }
}
