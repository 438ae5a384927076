//! The rules of shell scripts, over `RUN` lines: those of ShellCheck that are about what such lines do.
//!
//! Each file holds rules of one kind, from a word to a whole script. A line that cannot be read, or is for another shell,
//! has none. Every finding is told at the line of its `RUN`.

mod commands;
mod flow;
mod loops;
mod pipes;
mod posix;
mod variables;
mod words;

use std::collections::BTreeSet;

use hakone_shell::{AndOr, Command, Pipeline, Simple, Visit, walk};

use crate::{
    finding::Findings,
    view::{Dialect, View},
};

/// Asks all of them.
pub(crate) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        let Some(script) = &run.script else { continue };
        let known = variables::known(view, line);
        let mut rules = Rules {
            line: line.number(),
            plain: variables::plain(script, &known),
            stops: flow::stops(&run.calls),
            posix: run.shell.dialect == Dialect::Sh,
            findings,
        };
        walk(script, &mut rules);
        flow::lists(script, &mut rules);
        variables::check(script, &known, &mut rules);
    }
}

/// What the rules know of the script, and where findings go.
struct Rules<'a> {
    line: u32,
    /// Variables whose value is one plain word.
    plain: BTreeSet<String>,
    /// Whether the script ends at the first failure.
    stops: bool,
    /// Whether nothing but POSIX may be used.
    posix: bool,
    findings: &'a mut Findings,
}

impl Rules<'_> {
    fn tell(&mut self, code: &'static str, message: &str) {
        self.findings.add(self.line, code, message);
    }

    /// Tells if it is so.
    fn tell_if(&mut self, so: bool, code: &'static str, message: &str) {
        if so {
            self.tell(code, message);
        }
    }
}

impl Visit for Rules<'_> {
    fn and_or(&mut self, one: &AndOr) {
        flow::choice(one, self);
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        pipes::check(pipeline, self);
    }

    fn command(&mut self, command: &Command) {
        loops::check(command, self);
        if self.posix {
            posix::command(command, self);
        }
    }

    fn simple(&mut self, simple: &Simple) {
        words::check(simple, self);
        commands::check(simple, self);
        if self.posix {
            posix::simple(simple, self);
        }
    }
}
