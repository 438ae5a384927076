//! What runs after what: SC2015, SC2129, SC2164.

use hakone_shell::{AndOr, Command, Connective, List, Pipeline, Simple};

use super::Rules;
use crate::view::Call;

/// Reports whether the script ends at its first failure.
pub(super) fn stops(calls: &[Call]) -> bool {
    calls.iter().any(|call| {
        let named = call.has("errexit");
        call.name == "set" && (call.short('e') > 0 || named)
    })
}

fn simple(pipeline: &Pipeline) -> Option<&Simple> {
    match pipeline.commands.as_slice() {
        [Command::Simple(simple)] => Some(simple),
        _ => None,
    }
}

fn is_any(pipeline: &Pipeline, names: &[&str]) -> bool {
    let name = simple(pipeline).and_then(Simple::name);
    name.is_some_and(|name| names.contains(&name.as_str()))
}

/// `a && b || c` runs c when b fails, too.
pub(super) fn choice(one: &AndOr, rules: &mut Rules<'_>) {
    if let [(Connective::And, then), (Connective::Or, otherwise)] = one.rest.as_slice() {
        let sets = simple(then).is_some_and(|simple| simple.words.is_empty());
        let safe = sets || is_any(then, &["echo", "printf", "exit", "return", "true", ":"]);
        let harmless = is_any(
            otherwise,
            &["echo", "printf", "exit", "return", "true", "false", ":"],
        );
        let message = "a && b || c is no if: c runs when b fails, too";
        rules.tell_if(!safe && !harmless, "SC2015", message);
    }
    folder(one, rules);
}

/// The last of a list whose failure nobody sees.
fn folder(one: &AndOr, rules: &mut Rules<'_>) {
    let last = one.rest.last().map_or(&one.first, |(_, pipeline)| pipeline);
    let changes = simple(last).filter(|simple| {
        let target = simple.words.get(1).map(hakone_shell::Word::text);
        let up = target.is_none_or(|path| path.split('/').all(|part| part == ".."));
        simple.name().as_deref() == Some("cd") && !up
    });
    let message = "When cd fails, what follows runs in another folder: add || exit";
    rules.tell_if(changes.is_some() && !rules.stops, "SC2164", message);
}

/// Three writes to one file, one after the other.
pub(super) fn lists(list: &List, rules: &mut Rules<'_>) {
    let files: Vec<Option<String>> = list.iter().map(written).collect();
    let same = files.windows(3).any(|three| match three {
        [Some(a), Some(b), Some(c)] => a == b && b == c,
        _ => false,
    });
    rules.tell_if(
        same,
        "SC2129",
        "Write { a; b; } >> file once instead of each on its own",
    );
}

fn written(one: &AndOr) -> Option<String> {
    let simple = simple(&one.first).filter(|_| one.rest.is_empty())?;
    let redirect = simple
        .redirects
        .iter()
        .find(|one| one.operator == ">>" || one.operator == ">")?;
    Some(redirect.target.text())
}
