//! Seeing every command and word of a script, those within substitutions too.

use crate::ast::{AndOr, Command, List, Part, Pipeline, Simple, Word};

/// What is told of a script, in its order.
pub trait Visit {
    /// Pipelines joined by `&&` and `||`.
    fn and_or(&mut self, _one: &AndOr) {}
    /// A pipeline, before its commands.
    fn pipeline(&mut self, _pipeline: &Pipeline) {}
    /// A command of any kind, before what is in it.
    fn command(&mut self, _command: &Command) {}
    /// A command without structure.
    fn simple(&mut self, _simple: &Simple) {}
}

/// Tells of everything in the script.
pub fn walk(list: &List, visit: &mut impl Visit) {
    for one in list {
        visit.and_or(one);
        pipeline(&one.first, visit);
        for (_, next) in &one.rest {
            pipeline(next, visit);
        }
    }
}

fn pipeline(one: &Pipeline, visit: &mut impl Visit) {
    visit.pipeline(one);
    for each in &one.commands {
        command(each, visit);
    }
}

fn command(one: &Command, visit: &mut impl Visit) {
    visit.command(one);
    match one {
        Command::Simple(simple) => {
            visit.simple(simple);
            let values = simple.assignments.iter().flat_map(|one| &one.values);
            words(values, visit);
            words(&simple.words, visit);
            words(simple.redirects.iter().map(|one| &one.target), visit);
        }
        Command::Group(list) | Command::Subshell(list) => walk(list, visit),
        Command::If { arms, otherwise } => {
            for (condition, body) in arms {
                walk(condition, visit);
                walk(body, visit);
            }
            walk(otherwise, visit);
        }
        Command::Loop { condition, body } => {
            walk(condition, visit);
            walk(body, visit);
        }
        Command::For {
            words: over, body, ..
        } => {
            words(over.iter().flatten(), visit);
            walk(body, visit);
        }
        Command::Case { subject, arms } => {
            words([subject], visit);
            for (patterns, body) in arms {
                words(patterns, visit);
                walk(body, visit);
            }
        }
        Command::Function { body, .. } => command(body, visit),
        Command::Test(all) => words(all, visit),
        Command::Arithmetic(_) => {}
    }
}

fn words<'a>(all: impl IntoIterator<Item = &'a Word>, visit: &mut impl Visit) {
    for word in all {
        parts(&word.parts, visit);
    }
}

fn parts(all: &[Part], visit: &mut impl Visit) {
    for part in all {
        match part {
            Part::Substitution { body, .. } | Part::Process(body) => walk(body, visit),
            Part::Double(inner) => parts(inner, visit),
            Part::Bare(_)
            | Part::Escaped(_)
            | Part::Single(_)
            | Part::Ansi(_)
            | Part::Parameter(_)
            | Part::Arithmetic(_) => {}
        }
    }
}
