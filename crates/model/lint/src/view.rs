//! The file as the rules see it: instructions with their stages, `RUN` lines as scripts.

mod call;
mod shell;

use hakone_dockerfile::{Draft, Instruction, Mount, Outline, Run, Script};
use hakone_shell::List;

pub(crate) use call::Call;
pub(crate) use shell::{Dialect, Shell};

use crate::pragma;

/// The whole file.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) lines: Vec<Line<'a>>,
    pub(crate) stages: Vec<Stage<'a>>,
}

/// One instruction.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) draft: &'a Draft,
    /// The stage it belongs to; none before the first `FROM`.
    pub(crate) stage: Option<usize>,
    /// The script of a `RUN`.
    pub(crate) run: Option<RunView<'a>>,
}

/// A stage of the file.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) line: u32,
    /// The earlier stage that this one begins with.
    pub(crate) parent: Option<usize>,
}

/// A `RUN` line, read.
#[derive(Debug)]
pub(crate) struct RunView<'a> {
    pub(crate) run: &'a Run,
    pub(crate) shell: Shell,
    /// None, if it is for another shell, or cannot be read.
    pub(crate) script: Option<List>,
    pub(crate) calls: Vec<Call>,
}

impl<'a> View<'a> {
    pub(crate) fn new(outline: &'a Outline) -> Self {
        let mut view = Self {
            lines: Vec::new(),
            stages: Vec::new(),
        };
        let mut shell = Shell::default();
        for draft in &outline.drafts {
            view.add(draft, &mut shell);
        }
        view
    }

    fn add(&mut self, draft: &'a Draft, shell: &mut Shell) {
        match draft.step.as_ref().ok().map(|step| &step.instruction) {
            Some(Instruction::From(from)) => {
                *shell = Shell::default();
                let parent = self.stage_named(&from.image);
                self.stages.push(Stage {
                    name: from.name.as_deref(),
                    line: draft.span.first,
                    parent,
                });
            }
            Some(Instruction::Shell(words)) => *shell = Shell::new(words),
            _ => {}
        }
        if let Some(named) = draft
            .comments
            .iter()
            .find_map(|comment| pragma::shell(comment))
        {
            *shell = Shell::new(&[named.to_owned()]);
        }
        let run = match draft.step.as_ref().ok().map(|step| &step.instruction) {
            Some(Instruction::Run(run)) => Some(RunView::new(run, shell)),
            _ => None,
        };
        self.lines.push(Line {
            draft,
            stage: self.stages.len().checked_sub(1),
            run,
        });
    }

    /// Finds the last stage of that name so far.
    pub(crate) fn stage_named(&self, name: &str) -> Option<usize> {
        let is = |stage: &Stage<'_>| stage.name.is_some_and(|own| own.eq_ignore_ascii_case(name));
        self.stages.iter().rposition(is)
    }

    /// Lists the lines whose instruction can be read.
    pub(crate) fn instructions(&self) -> impl Iterator<Item = (&Line<'a>, &'a Instruction)> {
        self.lines
            .iter()
            .filter_map(|line| Some((line, line.instruction()?)))
    }

    /// Lists the `RUN` lines.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (&Line<'a>, &RunView<'a>)> {
        self.lines
            .iter()
            .filter_map(|line| Some((line, line.run.as_ref()?)))
    }

    /// Reports whether the stage goes into an image that is kept: the last one, or one that others begin with.
    pub(crate) fn is_kept(&self, stage: Option<usize>) -> bool {
        let last = self.stages.len().checked_sub(1);
        stage == last
            || self
                .stages
                .iter()
                .any(|one| one.parent.is_some() && one.parent == stage)
    }

    /// Reports whether a stage or one that it begins with has something.
    pub(crate) fn inherits(&self, stage: Option<usize>, has: impl Fn(usize) -> bool) -> bool {
        let mut next = stage;
        while let Some(index) = next {
            if has(index) {
                return true;
            }
            // A parent always stands before its child, so this ends.
            next = self.stages.get(index).and_then(|one| one.parent);
        }
        false
    }
}

impl<'a> Line<'a> {
    pub(crate) const fn number(&self) -> u32 {
        self.draft.span.first
    }

    pub(crate) fn comments(&self) -> &'a [String] {
        &self.draft.comments
    }

    pub(crate) fn instruction(&self) -> Option<&'a Instruction> {
        self.draft.step.as_ref().ok().map(|step| &step.instruction)
    }

    /// Gives the keyword in capital letters, of a broken instruction too.
    pub(crate) fn keyword(&self) -> String {
        self.draft
            .text
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase()
    }
}

impl<'a> RunView<'a> {
    fn new(run: &'a Run, shell: &Shell) -> Self {
        let script = match run.script() {
            Script::Shell(text) if shell.is_posix() => hakone_shell::parse(&text).ok(),
            Script::File { content, .. } if content.starts_with("#!/bin/sh") => {
                hakone_shell::parse(&content).ok()
            }
            Script::Exec(_) | Script::Shell(_) | Script::File { .. } => None,
        };
        let calls = match (&script, run.script()) {
            (Some(script), _) => Call::of(script),
            (None, Script::Exec(arguments)) => Call::plain(&arguments).into_iter().collect(),
            (None, Script::Shell(_) | Script::File { .. }) => Vec::new(),
        };
        Self {
            run,
            shell: shell.clone(),
            script,
            calls,
        }
    }

    /// Lists the calls of a program.
    pub(crate) fn calls_of<'b>(&'b self, names: &'b [&'b str]) -> impl Iterator<Item = &'b Call> {
        self.calls
            .iter()
            .filter(move |call| names.contains(&call.name.as_str()))
    }

    /// Reports whether a cache or memory is mounted at one of these folders, or above it.
    pub(crate) fn keeps_out(&self, folders: &[&str]) -> bool {
        self.run
            .mounts
            .iter()
            .any(|mount| keeps_out(mount, folders))
    }
}

fn keeps_out(mount: &Mount, folders: &[&str]) -> bool {
    use hakone_dockerfile::MountKind;
    let passing = match &mount.kind {
        MountKind::Cache { .. } | MountKind::Tmpfs { .. } => true,
        MountKind::Bind { .. } | MountKind::Secret { .. } | MountKind::Ssh { .. } => false,
    };
    let target = mount
        .target
        .as_deref()
        .unwrap_or_default()
        .trim_end_matches('/');
    let above = |folder: &&str| {
        folder
            .strip_prefix(target)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    passing && !target.is_empty() && folders.iter().any(above)
}
