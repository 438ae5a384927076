//! The whole file: directives, the arguments before the first stage, and the stages.

use crate::{
    Directives, Error, Instruction, Limits, Span, Stage, Step, error::Problem, lines, parse,
};

/// A Dockerfile that was read without a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// What the head of the file says.
    pub directives: Directives,
    /// The `ARG` instructions before the first `FROM`.
    pub global_arguments: Vec<Step>,
    /// The stages, at least one.
    pub stages: Vec<Stage>,
}

/// One instruction of a file that may have faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its lines.
    pub span: Span,
    /// The instruction, continued lines joined.
    pub text: String,
    /// The comments right above it.
    pub comments: Vec<String>,
    /// What it says, or what is wrong with it.
    pub step: Result<Step, Error>,
}

/// A file whose instructions are read one by one, whatever the others say: for advice, not for a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// What the head of the file says.
    pub directives: Directives,
    /// The instructions in their order.
    pub drafts: Vec<Draft>,
}

impl Outline {
    /// Reads a file.
    ///
    /// # Errors
    /// It does not divide into instructions.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let divided = lines::divide(bytes, &Limits::default())?;
        let escape = divided.directives.escape;
        let draft = |logical: lines::Logical| Draft {
            span: logical.span,
            text: logical.text.clone(),
            comments: logical.comments.clone(),
            step: parse::step(logical, escape),
        };
        Ok(Self {
            directives: divided.directives,
            drafts: divided.instructions.into_iter().map(draft).collect(),
        })
    }
}

impl Dockerfile {
    /// Reads a file within the usual limits.
    ///
    /// # Errors
    /// The first fault of the file, in Docker's words, with its lines.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_within(bytes, &Limits::default())
    }

    /// Reads a file within the given limits.
    ///
    /// # Errors
    /// As [`Dockerfile::parse`].
    pub fn parse_within(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let divided = lines::divide(bytes, limits)?;
        let mut file = Self {
            directives: divided.directives,
            global_arguments: Vec::new(),
            stages: Vec::new(),
        };
        for logical in divided.instructions {
            let step = parse::step(logical, file.directives.escape)?;
            file.add(step, limits)?;
        }
        if file.stages.is_empty() {
            let span = file.global_arguments.last().map(|step| step.span);
            let problem = Problem::new("dockerfile contains no stages to build");
            return Err(problem.in_file(span.unwrap_or_default()));
        }
        Ok(file)
    }

    fn add(&mut self, step: Step, limits: &Limits) -> Result<(), Error> {
        if let Instruction::From(from) = &step.instruction {
            if self.stages.len() == limits.stages {
                let (what, limit) = ("stages", limits.stages);
                return Err(Error::Limit { what, limit });
            }
            let stage = Stage {
                index: self.stages.len(),
                name: from.name.clone(),
                from: from.clone(),
                head: step,
                steps: Vec::new(),
            };
            self.stages.push(stage);
            return Ok(());
        }
        match (self.stages.last_mut(), &step.instruction) {
            (Some(stage), _) => stage.steps.push(step),
            (None, Instruction::Arg(_)) => self.global_arguments.push(step),
            (None, _) => {
                return Err(Problem::new("no build stage in current context").at(step.span));
            }
        }
        Ok(())
    }

    /// Finds a stage by its name, in whatever letters.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.is_named(name))
    }

    /// Lists all instructions of the file in their order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        let stages = self
            .stages
            .iter()
            .flat_map(|stage| std::iter::once(&stage.head).chain(&stage.steps));
        self.global_arguments.iter().chain(stages)
    }
}
