//! Pipes whose ends do not fit: SC2009, SC2010, SC2011, SC2012, SC2038.

use hakone_shell::{Command, Pipeline, Simple};

use super::Rules;

pub(super) fn check(pipeline: &Pipeline, rules: &mut Rules<'_>) {
    for pair in pipeline.commands.windows(2) {
        if let [Command::Simple(from), Command::Simple(to)] = pair {
            pair_of(from, to, rules);
        }
    }
}

fn pair_of(from: &Simple, to: &Simple, rules: &mut Rules<'_>) {
    let (Some(from_name), Some(to_name)) = (from.name(), to.name()) else {
        return;
    };
    let grep = matches!(to_name.as_str(), "grep" | "egrep" | "fgrep");
    match from_name.as_str() {
        "ls" if grep => rules.tell("SC2010", "Use a pattern, not ls and grep"),
        "ls" if to_name == "xargs" => {
            rules.tell("SC2011", "Use find, whose names xargs reads with -0");
        }
        "ls" => rules.tell("SC2012", "Use find: ls prints names for people"),
        "ps" if grep => rules.tell("SC2009", "Use pgrep, not ps and grep"),
        "find" if to_name == "xargs" => {
            let zero =
                has(from, &["-print0", "-printf"]) || has(to, &["--null", "-d", "--delimiter"]);
            let short =
                to.words.iter().map(hakone_shell::Word::text).any(|text| {
                    text.starts_with('-') && !text.starts_with("--") && text.contains('0')
                });
            rules.tell_if(
                !zero && !short,
                "SC2038",
                "Names may hold spaces: use -print0 and xargs -0, or -exec",
            );
        }
        _ => {}
    }
}

fn has(simple: &Simple, words: &[&str]) -> bool {
    simple
        .words
        .iter()
        .any(|word| words.contains(&word.text().as_str()))
}
