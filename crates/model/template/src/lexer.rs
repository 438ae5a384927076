//! Cuts a template into text and actions, and an action into tokens.

use crate::Error;

/// What stands between `{{` and `}}`, or outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// Copied as it is.
    Text(String),
    /// To be parsed; the text is kept for messages.
    Action(Vec<Token>),
}

/// A word of an action.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// `.` or `.A.B`.
    Field(Vec<String>),
    /// `$x` or `$x.A`.
    Variable(String, Vec<String>),
    /// A keyword or function.
    Word(String),
    /// A quoted text.
    Text(String),
    /// A number.
    Number(serde_json::Number),
    /// `|`
    Pipe,
    /// `,`
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `(`
    Open,
    /// `)` and the fields taken of what was inside.
    Close(Vec<String>),
}

/// Cuts the whole template.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, Error> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    loop {
        let (mut before, action) = match rest.split_once("{{") {
            Some((before, tail)) => (before, Some(tail)),
            None => (rest, None),
        };
        if trim_next {
            before = before.trim_start();
        }
        let Some(action) = action else {
            push_text(&mut found, before);
            return Ok(found);
        };
        let (inside, tail) = split_action(action)?;
        let trimmed = inside
            .strip_prefix("- ")
            .or_else(|| (inside == "-").then_some(""));
        push_text(
            &mut found,
            if trimmed.is_some() {
                before.trim_end()
            } else {
                before
            },
        );
        let inside = trimmed.unwrap_or(inside);
        let inner = inside.strip_suffix(" -");
        trim_next = inner.is_some();
        let inside = inner.unwrap_or(inside).trim();
        if !(inside.starts_with("/*") && inside.ends_with("*/")) {
            found.push(Piece::Action(tokens(inside)?));
        }
        rest = tail;
    }
}

fn push_text(found: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        found.push(Piece::Text(text.to_owned()));
    }
}

/// Finds the `}}` that ends the action, not one inside quotes.
fn split_action(text: &str) -> Result<(&str, &str), Error> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None => {
                if let Some(tail) = text.get(at..).and_then(|rest| rest.strip_prefix("}}")) {
                    return Ok((text.get(..at).unwrap_or_default(), tail));
                }
            }
        }
    }
    Err(Error::Syntax(match quote {
        Some(_) => "unterminated quoted string".into(),
        None => "unclosed action".into(),
    }))
}

fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, tail) = token(first, rest)?;
        found.push(token);
        rest = tail.trim_start();
    }
    Ok(found)
}

fn token(first: char, text: &str) -> Result<(Token, &str), Error> {
    let tail = text.get(first.len_utf8()..).unwrap_or_default();
    match first {
        '|' => Ok((Token::Pipe, tail)),
        ',' => Ok((Token::Comma, tail)),
        '(' => Ok((Token::Open, tail)),
        '=' => Ok((Token::Assign, tail)),
        ')' => {
            let (fields, tail) = chain(tail);
            Ok((Token::Close(fields), tail))
        }
        ':' if tail.starts_with('=') => Ok((Token::Declare, tail.get(1..).unwrap_or_default())),
        '.' => {
            let (fields, tail) = chain(text);
            match fields.is_empty() {
                true => Ok((Token::Field(fields), text.get(1..).unwrap_or_default())),
                false => Ok((Token::Field(fields), tail)),
            }
        }
        '$' => {
            let (name, tail) = word(tail);
            let (fields, tail) = chain(tail);
            Ok((Token::Variable(name.to_owned(), fields), tail))
        }
        '"' => quoted(text),
        '`' => match tail.split_once('`') {
            Some((inside, tail)) => Ok((Token::Text(inside.to_owned()), tail)),
            None => Err(Error::Syntax("unterminated raw quoted string".into())),
        },
        '0'..='9' | '-' | '+' => number(text),
        c if c.is_alphabetic() || c == '_' => {
            let (name, tail) = word(text);
            Ok((Token::Word(name.to_owned()), tail))
        }
        c => Err(Error::Syntax(format!("unexpected {c:?} in command"))),
    }
}

/// Reads `.A.B`.
fn chain(mut text: &str) -> (Vec<String>, &str) {
    let mut fields = Vec::new();
    while let Some(tail) = text.strip_prefix('.') {
        let (name, rest) = word(tail);
        if name.is_empty() {
            break;
        }
        fields.push(name.to_owned());
        text = rest;
    }
    (fields, text)
}

fn word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at(end)
}

fn number(text: &str) -> Result<(Token, &str), Error> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '+'))
        .unwrap_or(text.len());
    let (digits, tail) = text.split_at(end);
    let bare = digits.strip_prefix('+').unwrap_or(digits);
    match serde_json::from_str(bare) {
        Ok(number) => Ok((Token::Number(number), tail)),
        Err(_) => Err(Error::Syntax(format!("bad number syntax: {digits:?}"))),
    }
}

/// Reads a double-quoted text with Go's escapes, of which JSON's are the greater part.
fn quoted(text: &str) -> Result<(Token, &str), Error> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(value), text.get(at + 1..).unwrap_or_default())),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(Error::Syntax("unterminated quoted string".into()))
}
