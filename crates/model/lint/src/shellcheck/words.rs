//! Words that become others than was meant: SC2086, SC2046, SC2068, SC2006, SC2035, SC2016, SC2088.

use hakone_shell::{Parameter, Part, Simple, Word};

use super::Rules;

/// They read `$` themselves, or hand it to a shell that does.
const READERS: &[&str] = &[
    "trap",
    "sh",
    "bash",
    "dash",
    "ash",
    "ksh",
    "zsh",
    "ssh",
    "eval",
    "alias",
    "awk",
    "gawk",
    "mawk",
    "perl",
    "jq",
    "find",
    "docker",
    "dpkg-query",
    "rename",
    "rg",
    "unset",
    "git",
    "xprop",
    "sudo",
    "parallel",
    "run-parts",
];

pub(super) fn check(simple: &Simple, rules: &mut Rules<'_>) {
    let name = simple.name().unwrap_or_default();
    for word in simple.words.iter().skip(1) {
        splitting(&word.parts, rules);
    }
    for redirect in simple
        .redirects
        .iter()
        .filter(|one| !one.operator.starts_with("<<"))
    {
        splitting(&redirect.target.parts, rules);
    }
    if !matches!(name.as_str(), "echo" | "printf") {
        globs(simple, rules);
    }
    let values = simple.assignments.iter().flat_map(|one| &one.values);
    let prompt = simple
        .assignments
        .iter()
        .any(|one| one.name.starts_with("PS"));
    for word in simple.words.iter().chain(values) {
        backticks(&word.parts, rules);
        home(word, rules);
        if !READERS.contains(&name.as_str()) && !prompt {
            quoted(word, name == "sed", rules);
        }
    }
}

/// What stands bare is divided at spaces, and its stars are replaced.
fn splitting(parts: &[Part], rules: &mut Rules<'_>) {
    for part in parts {
        match part {
            Part::Parameter(one) if one.name == "@" && !one.length => {
                rules.tell("SC2068", "Quote $@, or its elements are divided again");
            }
            Part::Parameter(one) if divides(one, rules) => {
                rules.tell(
                    "SC2086",
                    "Quote variables, or their values are divided at spaces",
                );
            }
            Part::Substitution { .. } => {
                rules.tell("SC2046", "Quote $( ), or its output is divided at spaces");
            }
            Part::Parameter(_)
            | Part::Bare(_)
            | Part::Escaped(_)
            | Part::Single(_)
            | Part::Ansi(_)
            | Part::Double(_)
            | Part::Arithmetic(_)
            | Part::Process(_) => {}
        }
    }
}

fn divides(one: &Parameter, rules: &Rules<'_>) -> bool {
    let numbers = [
        "?", "#", "$", "!", "-", "RANDOM", "UID", "EUID", "PPID", "SECONDS", "LINENO",
    ];
    let number = numbers.contains(&one.name.as_str()) || one.length;
    let other = one.modifier.starts_with([':', '+'])
        && one.modifier.trim_start_matches(':').starts_with('+');
    !number && !other && !rules.plain.contains(&one.name)
}

pub(super) fn backticks(parts: &[Part], rules: &mut Rules<'_>) {
    for part in parts {
        match part {
            Part::Substitution {
                backticks: true, ..
            } => {
                rules.tell("SC2006", "Write $( ) instead of backticks");
            }
            Part::Double(inner) => backticks(inner, rules),
            _ => {}
        }
    }
}

/// A name that begins with a dash would be an option.
fn globs(simple: &Simple, rules: &mut Rules<'_>) {
    let ended = simple.words.iter().position(|word| word.text() == "--");
    let before = ended.unwrap_or(simple.words.len());
    let star = |word: &Word| matches!(word.parts.first(), Some(Part::Bare(text)) if text.starts_with(['*', '?']));
    if simple.words.iter().take(before).skip(1).any(star) {
        rules.tell(
            "SC2035",
            "Write ./* instead of *, for names that begin with a dash",
        );
    }
}

fn home(word: &Word, rules: &mut Rules<'_>) {
    let first = match word.parts.first() {
        Some(Part::Double(parts)) => parts.first(),
        _ => return,
    };
    let tilde = matches!(first, Some(Part::Bare(text)) if text.starts_with("~/") || text == "~");
    rules.tell_if(
        tilde,
        "SC2088",
        "A tilde in quotes is no home folder: use $HOME",
    );
}

fn quoted(word: &Word, sed: bool, rules: &mut Rules<'_>) {
    let expects = |part: &Part| matches!(part, Part::Single(text) if expects_value(text, sed));
    if word.parts.iter().any(expects) {
        rules.tell(
            "SC2016",
            "Nothing is replaced in single quotes: use double ones if it should be",
        );
    }
}

/// Reports whether a text looks as if something in it should be replaced.
fn expects_value(text: &str, sed: bool) -> bool {
    let ticks = text.matches('`').count() > 1;
    let dollar = text.match_indices('$').any(|(at, _)| {
        let mut after = text.get(at + 1..).unwrap_or_default().chars();
        let (next, second) = (after.next(), after.next());
        // The last line, and what sed does there.
        let last = sed
            && next.is_some_and(|c| "{dpsaic".contains(c))
            && !second.is_some_and(char::is_alphanumeric);
        !last && next.is_some_and(|c| c.is_ascii_alphanumeric() || "_{(".contains(c))
    });
    ticks || dollar
}
