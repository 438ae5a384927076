//! A finding: which rule, where, how bad.

use std::{fmt, str::FromStr};

/// How bad a finding is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Not reported, unless settings raise it.
    Ignore,
    /// A matter of taste.
    Style,
    /// Could be better.
    Info,
    /// Will hurt some day.
    Warning,
    /// Is wrong.
    Error,
}

impl Severity {
    /// Gives the word of reports and settings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Style => "style",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [
            Self::Ignore,
            Self::Style,
            Self::Info,
            Self::Warning,
            Self::Error,
        ]
        .into_iter()
        .find(|severity| severity.word() == text)
        .ok_or_else(|| format!("unknown severity {text:?}"))
    }
}

/// What a rule has to say about a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule, such as `DL3006`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The first line of the instruction.
    pub line: u32,
    /// What to do.
    pub message: String,
}

/// Findings as they come up.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<(&'static str, u32, String)>);

impl Findings {
    /// Notes a finding; the same rule speaks once of a line.
    pub(crate) fn add(&mut self, line: u32, code: &'static str, message: impl Into<String>) {
        let message = message.into();
        let known = |one: &(&str, u32, String)| one.0 == code && one.1 == line && one.2 == message;
        if !self.0.iter().rev().take(50).any(known) {
            self.0.push((code, line, message));
        }
    }

    pub(crate) fn into_inner(self) -> Vec<(&'static str, u32, String)> {
        self.0
    }
}
