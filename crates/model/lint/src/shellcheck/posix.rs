//! What `/bin/sh` of many images does not know: SC3001 to SC3060.

use hakone_shell::{Command, Parameter, Part, Simple, Word};

use super::Rules;

/// Variables that bash alone sets.
const OF_BASH: &[&str] = &[
    "RANDOM",
    "HOSTNAME",
    "UID",
    "EUID",
    "SECONDS",
    "BASH_VERSION",
    "BASH_SOURCE",
    "FUNCNAME",
    "PIPESTATUS",
    "OSTYPE",
    "DIRSTACK",
    "SHLVL",
    "HOSTTYPE",
    "MACHTYPE",
    "GROUPS",
    "BASH_REMATCH",
];

pub(super) fn command(command: &Command, rules: &mut Rules<'_>) {
    match command {
        Command::Test(_) => rules.tell("SC3010", "sh has no [[ ]]: use [ ]"),
        Command::Arithmetic(text) => {
            rules.tell("SC3006", "sh has no (( )): use [ ] with $(( ))");
            let counts = text.contains("++") || text.contains("--");
            rules.tell_if(counts, "SC3018", "sh has no ++ and --");
        }
        _ => {}
    }
}

pub(super) fn simple(simple: &Simple, rules: &mut Rules<'_>) {
    for redirect in &simple.redirects {
        let number = redirect
            .target
            .text()
            .chars()
            .all(|c| c.is_ascii_digit() || c == '-');
        match redirect.operator.as_str() {
            "&>" | "&>>" => rules.tell("SC3020", "sh has no &>: use > file 2>&1"),
            ">&" if !number => rules.tell("SC3021", "sh has no >& with a file: use > file 2>&1"),
            "<<<" => rules.tell("SC3011", "sh has no <<<: use printf and a pipe"),
            _ => {}
        }
    }
    for one in &simple.assignments {
        rules.tell_if(one.array, "SC3030", "sh has no arrays");
        rules.tell_if(one.append, "SC3024", "sh has no +=");
    }
    builtin(simple, rules);
    let values = simple.assignments.iter().flat_map(|one| &one.values);
    let targets = simple.redirects.iter().map(|one| &one.target);
    for word in simple.words.iter().chain(values).chain(targets) {
        braces(word, rules);
        parts(&word.parts, rules);
    }
}

fn builtin(simple: &Simple, rules: &mut Rules<'_>) {
    let texts: Vec<String> = simple.words.iter().skip(1).map(Word::text).collect();
    let has = |wanted: &str| texts.iter().any(|text| text == wanted);
    match simple.name().unwrap_or_default().as_str() {
        "source" => rules.tell("SC3046", "sh has no source: use a dot"),
        "local" => rules.tell("SC3043", "local is not in POSIX"),
        "echo" => {
            let flag = texts.first().is_some_and(|text| {
                text.len() > 1
                    && text.starts_with('-')
                    && text.chars().skip(1).all(|c| "neE".contains(c))
            });
            rules.tell_if(flag, "SC3037", "echo has no flags in sh: use printf");
        }
        "set" => rules.tell_if(
            has("pipefail"),
            "SC3040",
            "sh may have no pipefail: use SHELL with bash",
        ),
        "[" | "test" => {
            rules.tell_if(has("=="), "SC3014", "sh compares with =, not with ==");
            rules.tell_if(has("<") || has(">"), "SC3012", "sh does not order texts");
        }
        "pushd" | "popd" | "dirs" | "shopt" | "declare" | "typeset" | "mapfile" | "readarray"
        | "caller" | "disown" | "enable" | "builtin" | "suspend" | "compgen" | "complete" => {
            rules.tell("SC3044", "This is a builtin of bash, not of sh");
        }
        "let" => rules.tell("SC3039", "sh has no let: use $(( ))"),
        "trap" => rules.tell_if(
            has("ERR") || has("DEBUG") || has("RETURN"),
            "SC3047",
            "sh traps signals and EXIT alone",
        ),
        "printf" => {
            let quotes = texts.first().is_some_and(|text| text.contains("%q"));
            rules.tell_if(quotes, "SC3050", "printf has no %q in sh");
        }
        _ => {}
    }
}

/// `{a,b}` and `{1..3}`, outside quotes.
fn braces(word: &Word, rules: &mut Rules<'_>) {
    let bare: String = word
        .parts
        .iter()
        .map(|part| match part {
            Part::Bare(text) => text.as_str(),
            _ => "x",
        })
        .collect();
    let listed = bare.split('{').skip(1).any(|rest| {
        let inside = rest
            .split_once('}')
            .map(|(inside, _)| inside)
            .unwrap_or_default();
        inside.contains(',') || inside.contains("..")
    });
    rules.tell_if(listed, "SC3009", "sh has no {a,b}: write the words out");
}

fn parts(all: &[Part], rules: &mut Rules<'_>) {
    for part in all {
        match part {
            Part::Ansi(_) => rules.tell("SC3003", "sh has no $'…': use printf"),
            Part::Process(_) => rules.tell("SC3001", "sh has no <( ): use a pipe or a file"),
            Part::Parameter(one) => parameter(one, rules),
            Part::Double(inner) => parts(inner, rules),
            Part::Bare(_)
            | Part::Escaped(_)
            | Part::Single(_)
            | Part::Substitution { .. }
            | Part::Arithmetic(_) => {}
        }
    }
}

fn parameter(one: &Parameter, rules: &mut Rules<'_>) {
    let modifier = one.modifier.as_str();
    rules.tell_if(one.indirect, "SC3053", "sh has no ${!name}");
    rules.tell_if(
        OF_BASH.contains(&one.name.as_str()),
        "SC3028",
        "sh does not set this variable",
    );
    let array = modifier.starts_with('[');
    rules.tell_if(array, "SC3054", "sh has no arrays");
    rules.tell_if(
        modifier.starts_with('/'),
        "SC3060",
        "sh does not replace in variables: use sed",
    );
    let case = modifier.starts_with('^') || modifier.starts_with(',');
    rules.tell_if(
        case,
        "SC3059",
        "sh does not change the case of variables: use tr",
    );
    let part = modifier
        .strip_prefix(':')
        .is_some_and(|rest| !rest.starts_with(['-', '+', '?', '=']));
    rules.tell_if(part, "SC3057", "sh has no ${name:from:length}: use cut");
}
