//! Words with variables replaced: `$x`, `${x}`, `${x:-d}` and their kin, quotes and escapes, as Docker reads them.
//!
//! The text is hostile: nesting is bounded, a word may not grow beyond [`limits::WORD`], and patterns have a budget of
//! steps. Nothing here is recursive but what stands within braces.

mod glob;
mod word_list;

use std::{iter::Peekable, str::Chars};

use word_list::WordList;

use crate::{Escape, Variables, error::Problem, limits};

/// What becomes of quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// They group, and go.
    Removed,
    /// They group, and stay, as do escapes: to see whether a word was quoted.
    Kept,
    /// They are characters as others: the contents of heredocs.
    Plain,
}

/// How to read words: with which escape, which variables, and what of quotes.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    escape: Escape,
    variables: &'a Variables,
    quotes: Quotes,
    keep_unset: bool,
}

/// One word as it became, and the variables in it that were not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) unset: Vec<String>,
}

/// Replaces the variables of one word.
///
/// # Errors
/// The word does not hold together, or becomes too large.
pub fn word(text: &str, escape: Escape, variables: &Variables) -> Result<String, Problem> {
    Text::new(escape, variables)
        .word(text)
        .map(|word| word.text)
}

/// Replaces the variables of a text and divides it into words at its spaces.
///
/// # Errors
/// As [`word`].
pub fn words(text: &str, escape: Escape, variables: &Variables) -> Result<Vec<String>, Problem> {
    Text::new(escape, variables).words(text)
}

impl<'a> Text<'a> {
    /// Reads words with these variables; quotes group and go.
    #[must_use]
    pub const fn new(escape: Escape, variables: &'a Variables) -> Self {
        Self {
            escape,
            variables,
            quotes: Quotes::Removed,
            keep_unset: false,
        }
    }

    pub(crate) const fn quotes(mut self, quotes: Quotes) -> Self {
        self.quotes = quotes;
        self
    }

    /// Leaves variables that are not set as they are written.
    #[must_use]
    pub const fn keep_unset(mut self) -> Self {
        self.keep_unset = true;
        self
    }

    pub(crate) fn word(&self, text: &str) -> Result<Word, Problem> {
        let mut reader = Reader::new(*self, text);
        let (text, _) = reader.until(None, false)?;
        Ok(Word {
            text,
            unset: reader.unset,
        })
    }

    pub(crate) fn words(&self, text: &str) -> Result<Vec<String>, Problem> {
        let (_, words) = Reader::new(*self, text).until(None, false)?;
        Ok(words.finish())
    }
}

/// The place in the text.
struct Reader<'a> {
    text: Text<'a>,
    rest: Peekable<Chars<'a>>,
    unset: Vec<String>,
    depth: usize,
    steps: usize,
}

type Read = Result<String, Problem>;

impl<'a> Reader<'a> {
    fn new(text: Text<'a>, input: &'a str) -> Self {
        Self {
            text,
            rest: input.chars().peekable(),
            unset: Vec::new(),
            depth: 0,
            steps: glob::STEPS,
        }
    }

    /// Reads up to a character, or to the end.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Result<(String, WordList), Problem> {
        let mut result = String::new();
        let mut words = WordList::default();
        while let Some(&next) = self.rest.peek() {
            if Some(next) == stop {
                self.rest.next();
                return Ok((result, words));
            }
            self.piece(next, raw, &mut result, &mut words)?;
            if result.len() > limits::WORD {
                return Err(Problem::new("word too large after expansion"));
            }
        }
        match stop {
            None => Ok((result, words)),
            Some(stop) => Err(Problem::new(format!(
                "unexpected end of statement while looking for matching {stop}"
            ))),
        }
    }

    fn piece(
        &mut self,
        next: char,
        raw: bool,
        result: &mut String,
        words: &mut WordList,
    ) -> Result<(), Problem> {
        let quoting = self.text.quotes != Quotes::Plain;
        match next {
            '$' => {
                let value = self.dollar()?;
                words.text(&value);
                result.push_str(&value);
            }
            '\'' | '"' if quoting => {
                let quoted = if next == '"' {
                    self.double()?
                } else {
                    self.single()?
                };
                words.whole(&quoted);
                result.push_str(&quoted);
            }
            _ => self.plain(raw, result, words),
        }
        Ok(())
    }

    fn plain(&mut self, raw: bool, result: &mut String, words: &mut WordList) {
        let Some(mut next) = self.rest.next() else {
            return;
        };
        if next != self.text.escape.char() {
            words.char(next);
            result.push(next);
            return;
        }
        if raw || self.text.quotes == Quotes::Kept {
            words.whole(next.encode_utf8(&mut [0; 4]));
            result.push(next);
        }
        // The escape takes the meaning from the next character, and is nothing at the end.
        if let Some(escaped) = self.rest.next() {
            next = escaped;
            words.whole(next.encode_utf8(&mut [0; 4]));
            result.push(next);
        }
    }

    fn single(&mut self) -> Read {
        let mut result = String::new();
        self.quote_mark(&mut result);
        loop {
            match self.rest.peek() {
                None => return Err(unmatched("single-quote")),
                Some('\'') => {
                    self.quote_mark(&mut result);
                    return Ok(result);
                }
                Some(_) => result.extend(self.rest.next()),
            }
        }
    }

    fn double(&mut self) -> Read {
        let mut result = String::new();
        self.quote_mark(&mut result);
        loop {
            match self.rest.peek() {
                None => return Err(unmatched("double-quote")),
                Some('"') => {
                    self.quote_mark(&mut result);
                    return Ok(result);
                }
                Some('$') => result.push_str(&self.dollar()?),
                Some(_) => self.quoted(&mut result),
            }
            if result.len() > limits::WORD {
                return Err(Problem::new("word too large after expansion"));
            }
        }
    }

    /// Within double quotes an escape works on `"`, `$` and itself alone.
    fn quoted(&mut self, result: &mut String) {
        let escape = self.text.escape.char();
        let next = self.rest.next();
        if next != Some(escape) {
            result.extend(next);
            return;
        }
        if self.text.quotes == Quotes::Kept {
            result.push(escape);
        }
        match self.rest.peek() {
            None => {}
            Some(&one) if one == '"' || one == '$' || one == escape => {
                result.extend(self.rest.next());
            }
            Some(_) => result.push(escape),
        }
    }

    fn quote_mark(&mut self, result: &mut String) {
        let mark = self.rest.next();
        if self.text.quotes == Quotes::Kept {
            result.extend(mark);
        }
    }

    fn dollar(&mut self) -> Read {
        self.rest.next();
        if self.rest.peek() == Some(&'{') {
            self.rest.next();
            self.depth += 1;
            if self.depth > limits::NESTING {
                return Err(Problem::new("variables nested too deeply"));
            }
            let value = self.braces();
            self.depth -= 1;
            return value;
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".into());
        }
        match self.lookup(&name) {
            None if self.text.keep_unset => Ok(format!("${name}")),
            value => Ok(value.unwrap_or_default()),
        }
    }

    fn braces(&mut self) -> Read {
        match self.rest.peek() {
            None => return Err(Problem::new("syntax error: missing '}'")),
            Some('{' | '}' | ':') => return Err(Problem::new("syntax error: bad substitution")),
            Some(_) => {}
        }
        let name = self.name();
        match self.rest.next() {
            None => Err(Problem::new("syntax error: missing '}'")),
            Some('}') => match self.lookup(&name) {
                None if self.text.keep_unset => Ok(format!("${{{name}}}")),
                value => Ok(value.unwrap_or_default()),
            },
            Some(':') => match self.rest.next() {
                Some(modifier @ ('-' | '+' | '?')) => self.fallback(&name, modifier, true),
                other => Err(unsupported(&format!(":{}", other.unwrap_or_default()))),
            },
            Some(modifier @ ('-' | '+' | '?')) => self.fallback(&name, modifier, false),
            Some(side @ ('#' | '%')) => self.trim(&name, side),
            Some('/') => self.replace(&name),
            Some(other) => Err(unsupported(&other.to_string())),
        }
    }

    /// `-`, `+` and `?`, with or without a colon, which makes an empty value count as none.
    fn fallback(&mut self, name: &str, modifier: char, colon: bool) -> Read {
        let word = self.operand('}', false)?;
        let value = self.get(name);
        let value = value.filter(|value| !(colon && value.is_empty()));
        match (modifier, value) {
            ('+', Some(_)) | ('-', None) => Ok(word),
            ('+', None) => Ok(String::new()),
            ('?', None) if word.is_empty() => {
                Err(Problem::new(format!("{name}: is not allowed to be unset")))
            }
            ('?', None) => Err(Problem::new(format!("{name}: {word}"))),
            (_, value) => Ok(value.unwrap_or_default()),
        }
    }

    /// `#` and `%` cut the shortest match off the front or back, doubled the longest.
    fn trim(&mut self, name: &str, side: char) -> Read {
        let word = self.operand('}', true)?;
        let (longest, pattern) = match word.strip_prefix(side) {
            Some(pattern) => (true, pattern),
            None => (false, word.as_str()),
        };
        let value = self.lookup(name).unwrap_or_default();
        let pattern = glob::Glob::parse(pattern);
        let extent = glob::Extent::from_longest(longest);
        if side == '#' {
            pattern.cut_prefix(&value, extent, &mut self.steps)
        } else {
            pattern.cut_suffix(&value, extent, &mut self.steps)
        }
    }

    /// `${x/p/r}` and `${x//p/r}`.
    fn replace(&mut self, name: &str) -> Read {
        let all = self.rest.peek() == Some(&'/');
        if all {
            self.rest.next();
        }
        let pattern = self.operand('/', true)?;
        let replacement = self.operand('}', true)?;
        let value = self.lookup(name).unwrap_or_default();
        glob::Glob::parse(&pattern).replace(&value, &replacement, all, &mut self.steps)
    }

    fn operand(&mut self, stop: char, raw: bool) -> Read {
        match self.until(Some(stop), raw) {
            Ok((word, _)) => Ok(word),
            Err(_) if self.rest.peek().is_none() => {
                let place = if stop == '}' { "" } else { " in ${}" };
                Err(Problem::new(format!(
                    "syntax error: missing '{stop}'{place}"
                )))
            }
            Err(problem) => Err(problem),
        }
    }

    /// Reads a name, a number, or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek() {
            Some(c) if c.is_numeric() => {
                while let Some(digit) = self.rest.next_if(|c| c.is_numeric()) {
                    name.push(digit);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.rest.next()),
            _ => {
                while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    fn get(&self, name: &str) -> Option<String> {
        self.text.variables.get(name).map(str::to_owned)
    }

    /// Looks a value up, and remembers the name when there is none.
    fn lookup(&mut self, name: &str) -> Option<String> {
        let value = self.get(name);
        if value.is_none() {
            self.unset.push(name.to_owned());
        }
        value
    }
}

fn unmatched(what: &str) -> Problem {
    Problem::new(format!(
        "unexpected end of statement while looking for matching {what}"
    ))
}

fn unsupported(modifier: &str) -> Problem {
    Problem::new(format!("unsupported modifier ({modifier}) in substitution"))
}

#[cfg(test)]
mod tests;
