//! A stage: `FROM` and all up to the next one.

use crate::{From, Instruction, Span, Step};

/// One stage of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its place in the file, from zero.
    pub index: usize,
    /// Its name, in small letters.
    pub name: Option<String>,
    /// What it begins with.
    pub from: From,
    /// The `FROM` line itself.
    pub head: Step,
    /// The instructions after it.
    pub steps: Vec<Step>,
}

impl Stage {
    /// Tells the lines of the stage.
    #[must_use]
    pub fn span(&self) -> Span {
        Span {
            first: self.head.span.first,
            last: self.steps.last().unwrap_or(&self.head).span.last,
        }
    }

    /// Reports whether the stage has this name, in whatever letters.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name
            .as_deref()
            .is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    /// Lists the instructions after `FROM`.
    pub fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.steps.iter().map(|step| &step.instruction)
    }
}
