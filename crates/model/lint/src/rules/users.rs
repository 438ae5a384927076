//! As whom, and where: DL3000, DL3002, DL3046, DL3066.

use hakone_dockerfile::Instruction;

use crate::{finding::Findings, view::View};

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    folders(view, findings);
    last_user(view, findings);
    named_user(view, findings);
    high_numbers(view, findings);
}

fn folders(view: &View<'_>, findings: &mut Findings) {
    for (line, instruction) in view.instructions() {
        if let Instruction::Workdir(path) = instruction
            && !is_rooted(path)
        {
            findings.add(line.number(), "DL3000", "Use an absolute path for WORKDIR");
        }
    }
}

/// Reports whether a path begins at a root, of Unix or Windows, or with a variable.
pub(super) fn is_rooted(path: &str) -> bool {
    let path = path.trim_matches(['"', '\'']);
    let mut chars = path.chars();
    let drive = chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':');
    drive || path.starts_with(['/', '$', '\\'])
}

fn last_user(view: &View<'_>, findings: &mut Findings) {
    for index in 0..view.stages.len() {
        let users = view
            .instructions()
            .filter(|(line, _)| line.stage == Some(index));
        let last = users
            .filter_map(|(line, instruction)| match instruction {
                Instruction::User(user) => Some((line.number(), user)),
                _ => None,
            })
            .last();
        if let Some((number, user)) = last
            && is_root(user)
        {
            findings.add(number, "DL3002", "The last USER should not be root");
        }
    }
}

fn is_root(user: &str) -> bool {
    let name = user
        .trim_matches(['"', '\''])
        .split(':')
        .next()
        .unwrap_or_default();
    matches!(name, "root" | "0")
}

/// The user that the image ends with, here or in the stage that the last one begins with: who runs it knows its number alone,
/// so a rule that nobody may be root cannot be held against a name.
fn named_user(view: &View<'_>, findings: &mut Findings) {
    let mut stage = view.stages.len().checked_sub(1);
    while let Some(index) = stage {
        let of_stage = view.instructions().filter(|(line, _)| line.stage == stage);
        let users = of_stage.filter_map(|(line, instruction)| match instruction {
            Instruction::User(user) => Some((line.number(), user)),
            _ => None,
        });
        if let Some((number, user)) = users.last() {
            if is_name(user) {
                let message = "Give USER as a number: the host may not know the name";
                findings.add(number, "DL3066", message);
            }
            return;
        }
        stage = view.stages.get(index).and_then(|one| one.parent);
    }
}

/// Reports whether a user is given by name; a variable may hold a number.
fn is_name(user: &str) -> bool {
    let user = user.trim_matches(['"', '\'']);
    let user = user.split(':').next().unwrap_or_default();
    !user.contains('$') && !user.bytes().all(|byte| byte.is_ascii_digit())
}

/// A high number makes the log of last logins a huge sparse file, which a layer stores whole.
fn high_numbers(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        for call in run.calls_of(&["useradd"]) {
            let number = call
                .value(&["-u", "--uid"])
                .or_else(|| clustered(&call.arguments));
            let high = number.is_some_and(|number| {
                number.len() > 5 && number.bytes().all(|b| b.is_ascii_digit())
            });
            if high && call.short('l') == 0 && !call.long(&["no-log-init"]) {
                let message =
                    "useradd with a high number needs -l, or the image grows by gigabytes";
                findings.add(line.number(), "DL3046", message);
            }
        }
    }
}

/// Finds the value behind a cluster of letters that ends in `u`.
fn clustered(arguments: &[String]) -> Option<&str> {
    let ends = |argument: &String| {
        argument.starts_with('-') && !argument.starts_with("--") && argument.ends_with('u')
    };
    let at = arguments.iter().position(ends)?;
    arguments.get(at + 1).map(String::as_str)
}
