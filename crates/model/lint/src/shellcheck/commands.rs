//! Commands that are not used well: SC2005, SC2003, SC2024, SC2028, SC2059, SC2114, SC2115, SC2116, SC2155, SC2162,
//! SC2166, SC2174, SC2181, SC2283.

use hakone_shell::{Command, List, Part, Simple, Word};

use super::Rules;

/// Folders without which no system runs.
const SYSTEM: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/usr",
    "/usr/bin",
    "/usr/local",
    "/usr/share",
    "/var",
];

pub(super) fn check(simple: &Simple, rules: &mut Rules<'_>) {
    let name = simple.name().unwrap_or_default();
    let arguments: &[Word] = simple.words.get(1..).unwrap_or_default();
    let texts: Vec<String> = arguments.iter().map(Word::text).collect();
    match name.as_str() {
        "echo" => echo(arguments, &texts, rules),
        "expr" => rules.tell("SC2003", "Use $(( )) instead of expr"),
        "printf" => format(arguments, rules),
        "rm" => remove(arguments, &texts, rules),
        "read" => {
            let raw = texts.iter().any(|text| is_flag(text, 'r'));
            rules.tell_if(!raw, "SC2162", "read without -r loses backslashes");
        }
        "export" | "readonly" | "local" | "declare" | "typeset" => declared(arguments, rules),
        "mkdir" => {
            let parents = texts.iter().any(|text| is_flag(text, 'p'));
            let mode = texts.iter().any(|text| is_flag(text, 'm'));
            let both = parents && mode;
            rules.tell_if(
                both,
                "SC2174",
                "With -p the mode is that of the last folder alone",
            );
        }
        "sudo" => {
            let writes = simple
                .redirects
                .iter()
                .any(|one| one.operator.starts_with('>'));
            rules.tell_if(
                writes,
                "SC2024",
                "sudo does not write the file, the shell does: use tee",
            );
        }
        "[" => test(arguments, &texts, rules),
        _ => {
            let spaced = texts.first().is_some_and(|text| text == "=") && is_name(&name);
            rules.tell_if(
                spaced,
                "SC2283",
                "No spaces may stand around = in an assignment",
            );
        }
    }
    let values = simple.assignments.iter().flat_map(|one| &one.values);
    for word in simple.words.iter().chain(values) {
        echoed(&word.parts, rules);
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reports whether a word is a group of letters with that one.
fn is_flag(text: &str, letter: char) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| !rest.starts_with('-') && rest.contains(letter))
}

/// Reports whether the word is the output of commands and nothing else.
fn is_output(word: &Word) -> bool {
    let parts = match word.parts.as_slice() {
        [Part::Double(parts)] => parts.as_slice(),
        parts => parts,
    };
    matches!(parts, [Part::Substitution { .. }])
}

fn only(list: &List) -> Option<&Simple> {
    let [one] = list.as_slice() else { return None };
    match (one.rest.is_empty(), one.first.commands.as_slice()) {
        (true, [Command::Simple(simple)]) => Some(simple),
        _ => None,
    }
}

fn echo(arguments: &[Word], texts: &[String], rules: &mut Rules<'_>) {
    let relayed = matches!(arguments, [word] if is_output(word));
    let message = "echo of the output of a command is that command";
    rules.tell_if(relayed, "SC2005", message);
    let plain = !texts
        .first()
        .is_some_and(|text| text.starts_with('-') && text.len() > 1);
    let escaped = arguments
        .iter()
        .any(|word| word.parts.iter().any(has_escape));
    rules.tell_if(
        plain && escaped,
        "SC2028",
        "echo may print escapes as they are: use printf",
    );
}

fn has_escape(part: &Part) -> bool {
    let within = |text: &str| {
        let escapes = text
            .match_indices('\\')
            .filter_map(|(at, _)| text.get(at + 1..)?.chars().next());
        escapes.into_iter().any(|c| "rntabefv".contains(c))
    };
    match part {
        Part::Single(text) => within(text),
        Part::Double(parts) => parts
            .iter()
            .any(|part| matches!(part, Part::Bare(text) if within(text))),
        _ => false,
    }
}

fn format(arguments: &[Word], rules: &mut Rules<'_>) {
    let mut words = arguments.iter().skip_while(|word| word.text() == "--");
    let mut format = words.next();
    if format.is_some_and(|word| word.text() == "-v") {
        format = words.nth(1);
    }
    let changes = format.is_some_and(|word| word.literal().is_none() && !word.text().contains('%'));
    rules.tell_if(
        changes,
        "SC2059",
        "A variable in the format of printf may hold signs of its own: use %s",
    );
}

fn remove(arguments: &[Word], texts: &[String], rules: &mut Rules<'_>) {
    let deep = texts
        .iter()
        .any(|text| is_flag(text, 'r') || is_flag(text, 'R') || text == "--recursive");
    if !deep {
        return;
    }
    let system = texts.iter().any(|text| SYSTEM.contains(&text.as_str()));
    rules.tell_if(system, "SC2114", "This removes a folder of the system");
    let empty = arguments.iter().any(may_be_root);
    rules.tell_if(
        empty,
        "SC2115",
        "When the variable is empty this removes a folder of the system: write ${name:?}",
    );
}

/// Reports whether a word is a folder of the system once its first variable is empty.
fn may_be_root(word: &Word) -> bool {
    let parts: Vec<&Part> = word
        .parts
        .iter()
        .flat_map(|part| match part {
            Part::Double(parts) => parts.iter().collect(),
            other => vec![other],
        })
        .collect();
    let Some((Part::Parameter(first), rest)) = parts.split_first() else {
        return false;
    };
    let fixed = rest.iter().map(|part| match part {
        Part::Bare(text) | Part::Single(text) => Some(text.as_str()),
        _ => None,
    });
    let Some(rest) = fixed.collect::<Option<String>>() else {
        return false;
    };
    let path = rest.trim_end_matches('*');
    let path = if path.len() > 1 {
        path.trim_end_matches('/')
    } else {
        path
    };
    let guarded = first.modifier.contains(['?', '-', '=']);
    !guarded && SYSTEM.contains(&path)
}

/// The failure of the command is hidden by the success of the declaration.
fn declared(arguments: &[Word], rules: &mut Rules<'_>) {
    let hides = |word: &Word| {
        let assigned = matches!(word.parts.first(), Some(Part::Bare(text)) if text.contains('='));
        let parts = word.parts.iter().skip(1);
        let is_output = |part: &Part| matches!(part, Part::Substitution { .. });
        let commands = |part: &Part| match part {
            Part::Double(inner) => inner.iter().any(is_output),
            other => is_output(other),
        };
        assigned && parts.into_iter().any(commands)
    };
    let hidden = arguments.iter().any(hides);
    rules.tell_if(
        hidden,
        "SC2155",
        "Declare and assign apart, or the failure of the command is lost",
    );
}

fn test(arguments: &[Word], texts: &[String], rules: &mut Rules<'_>) {
    let joined = texts
        .iter()
        .skip(1)
        .any(|text| text == "-a" || text == "-o");
    rules.tell_if(
        joined,
        "SC2166",
        "Join two tests with && or || instead of -a or -o",
    );
    let status = arguments.iter().any(|word| {
        let bare = match word.parts.as_slice() {
            [Part::Double(parts)] => parts.as_slice(),
            parts => parts,
        };
        matches!(bare, [Part::Parameter(one)] if one.name == "?")
    });
    let zero = texts.iter().any(|text| text == "0");
    rules.tell_if(
        status && zero,
        "SC2181",
        "Ask the command itself, not its status in $?",
    );
}

fn echoed(parts: &[Part], rules: &mut Rules<'_>) {
    for part in parts {
        match part {
            Part::Substitution { body, .. } => {
                let inner = only(body).filter(|one| one.name().as_deref() == Some("echo"));
                let plain = inner.is_some_and(|one| {
                    let option = one
                        .words
                        .get(1)
                        .is_some_and(|word| word.text().starts_with('-'));
                    one.redirects.is_empty() && one.words.len() > 1 && !option
                });
                rules.tell_if(plain, "SC2116", "$(echo x) is x");
            }
            Part::Double(inner) => echoed(inner, rules),
            _ => {}
        }
    }
}
