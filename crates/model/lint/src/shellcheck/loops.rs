//! Loops over the wrong words: SC2013, SC2044, SC2045.

use hakone_shell::{Command, List, Part, Word};

use super::Rules;

pub(super) fn check(command: &Command, rules: &mut Rules<'_>) {
    let Command::For {
        words: Some(words), ..
    } = command
    else {
        return;
    };
    for word in words {
        super::words::backticks(&word.parts, rules);
    }
    for name in words.iter().filter_map(first_program) {
        match name.as_str() {
            "ls" => rules.tell("SC2045", "Loop over a pattern, not over the output of ls"),
            "find" => rules.tell(
                "SC2044",
                "Names may hold spaces: use find -exec, or a while loop",
            ),
            "cat" => rules.tell("SC2013", "Read lines with while read, not words with for"),
            _ => {}
        }
    }
}

/// Gives the program whose bare output the word is.
fn first_program(word: &Word) -> Option<String> {
    let [Part::Substitution { body, .. }] = word.parts.as_slice() else {
        return None;
    };
    let list: &List = body;
    match list.first()?.first.commands.as_slice() {
        [Command::Simple(simple)] => simple.name(),
        _ => None,
    }
}
