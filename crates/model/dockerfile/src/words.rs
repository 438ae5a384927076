//! How the rest of an instruction divides: keyword, flags, a JSON list, words with quotes, pairs.
//!
//! Each instruction has its own grammar, older than any rule; these are the pieces of them.

use crate::{Escape, error::Problem};

/// Divides the keyword from the rest.
pub(crate) fn keyword(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((keyword, rest)) => (keyword, rest.trim()),
        None => (text, ""),
    }
}

/// Takes the `--flag` words off the front.
pub(crate) fn flags(rest: &str, escape: Escape) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = rest.trim_start();
    while rest.starts_with("--") {
        let (flag, after) = first_word(rest, escape);
        rest = after.trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag);
    }
    (flags, rest.trim())
}

/// Takes one word off the front: its quotes and escapes are resolved.
fn first_word(text: &str, escape: Escape) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, next)) = chars.next() {
        match quote {
            None if next.is_whitespace() => return (word, text.get(at..).unwrap_or_default()),
            None if matches!(next, '"' | '\'') => quote = Some(next),
            Some(mark) if mark == next => quote = None,
            _ if next == escape.char() && quote != Some('\'') => {
                word.extend(chars.next().map(|(_, escaped)| escaped));
            }
            _ => word.push(next),
        }
    }
    (word, "")
}

/// Reads a JSON list of strings. None: it is no JSON list at all, and so a shell's line.
///
/// What follows the list is passed over, as Docker does.
pub(crate) fn json(rest: &str) -> Option<Result<Vec<String>, Problem>> {
    let rest = rest.trim_start();
    if !rest.starts_with('[') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<serde_json::Value>();
    let Some(Ok(serde_json::Value::Array(items))) = values.next() else {
        return None;
    };
    let strings: Option<Vec<String>> = items
        .into_iter()
        .map(|item| match item {
            serde_json::Value::String(text) => Some(text),
            _ => None,
        })
        .collect();
    Some(strings.ok_or_else(|| {
        Problem::new("when using JSON array syntax, arrays must be comprised of strings only")
    }))
}

/// Reads a JSON list, or words divided by spaces.
pub(crate) fn list(rest: &str) -> Result<Vec<String>, Problem> {
    json(rest).unwrap_or_else(|| Ok(spaced(rest)))
}

/// Divides at spaces; quotes mean nothing.
pub(crate) fn spaced(rest: &str) -> Vec<String> {
    rest.split_whitespace().map(str::to_owned).collect()
}

/// Divides at spaces that are not quoted or escaped; quotes and escapes stay, for the expansion to resolve.
pub(crate) fn quoted(rest: &str, escape: Escape) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut chars = rest.chars().peekable();
    while let Some(next) = chars.next() {
        if quote.is_none() && next.is_whitespace() {
            end(&mut words, &mut word);
            continue;
        }
        if next == escape.char() && quote != Some('\'') {
            // An escape at the very end escapes nothing.
            if let Some(escaped) = chars.next() {
                word.push(next);
                word.push(escaped);
            }
            continue;
        }
        quote = match quote {
            Some(mark) if mark == next => None,
            None if matches!(next, '"' | '\'') => Some(next),
            other => other,
        };
        word.push(next);
    }
    end(&mut words, &mut word);
    words
}

fn end(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

/// Pairs of `ENV` and `LABEL`, and whether they are in the old form `KEY value with spaces`.
pub(crate) fn pairs(
    rest: &str,
    keyword: &str,
    escape: Escape,
) -> Result<(Vec<(String, String)>, bool), Problem> {
    let words = quoted(rest, escape);
    let Some(first) = words.first() else {
        return Err(Problem::no_argument(keyword));
    };
    if !first.contains('=') {
        let Some((key, value)) = rest.split_once(char::is_whitespace) else {
            return Err(Problem::new(format!("{keyword} must have two arguments")));
        };
        return Ok((vec![(key.into(), value.trim_start().into())], true));
    }
    let pairs = words
        .iter()
        .map(|word| pair(word, keyword))
        .collect::<Result<_, _>>()?;
    Ok((pairs, false))
}

fn pair(word: &str, keyword: &str) -> Result<(String, String), Problem> {
    match word.split_once('=') {
        None => Err(Problem::new(format!(
            "Syntax error - can't find = in {word:?}. Must be of the form: name=value"
        ))),
        Some(("", _)) => Err(Problem::blank_name(keyword)),
        Some((key, value)) => Ok((key.into(), value.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_end_at_the_first_other_word() {
        let (found, rest) = flags("--a=1 --b=\"x y\" --c=d\\ e f --g", Escape::Backslash);
        assert_eq!(found, ["--a=1", "--b=x y", "--c=d e"]);
        assert_eq!(rest, "f --g");
        assert_eq!(flags("-- --a b", Escape::Backslash), (vec![], "--a b"));
    }

    #[test]
    fn lists_are_json_or_a_line_of_the_shell() {
        assert_eq!(json("[ \"a\", \"b\" ] rest").unwrap().unwrap(), ["a", "b"]);
        assert!(json("['a']").is_none() && json("a").is_none() && json("[\"a\"").is_none());
        assert!(json("[1]").unwrap().is_err());
    }

    #[test]
    fn quotes_keep_words_together_and_stay() {
        let found = quoted("a=\"b c\" 'd e'f g\\ h \"i\\\" j\" k\\", Escape::Backslash);
        assert_eq!(found, ["a=\"b c\"", "'d e'f", "g\\ h", "\"i\\\" j\"", "k"]);
    }

    #[test]
    fn pairs_come_in_two_forms() {
        let read = |text| pairs(text, "ENV", Escape::Backslash);
        assert_eq!(
            read("a b  c").unwrap(),
            (vec![("a".into(), "b  c".into())], true)
        );
        let (found, old) = read("a=1 b=\"2 3\"").unwrap();
        assert_eq!((found.len(), old), (2, false));
        assert!(
            read("a")
                .unwrap_err()
                .to_string()
                .contains("must have two arguments")
        );
        assert!(
            read("a=1 b")
                .unwrap_err()
                .to_string()
                .contains("can't find = in \"b\"")
        );
        assert!(
            read("=1")
                .unwrap_err()
                .to_string()
                .contains("names can not be blank")
        );
    }
}
