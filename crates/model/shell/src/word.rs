//! The grammar of words: quotes, variables, substitutions.

use crate::{
    ast::{Parameter, Part, Word},
    parser::{Fault, Parser, Read},
};

impl Word {
    /// Makes a word of bare text.
    pub(crate) fn bare(text: &str) -> Self {
        Self {
            parts: vec![Part::Bare(text.to_owned())],
        }
    }
}

/// Collects parts; bare characters become one.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn char(&mut self, c: char) {
        match self.0.last_mut() {
            Some(Part::Bare(text)) => text.push(c),
            _ => self.0.push(Part::Bare(c.to_string())),
        }
    }
}

impl Parser {
    /// Takes the next word, if there is one before the end of the command.
    pub(crate) fn word(&mut self) -> Read<Option<Word>> {
        self.word_of(false)
    }

    /// Takes a word; within `[[ ]]` brackets may be part of a pattern.
    pub(crate) fn word_of(&mut self, test: bool) -> Read<Option<Word>> {
        self.cursor.blanks();
        let mut parts = Parts::default();
        let mut open = 0_usize;
        while let Some(next) = self.cursor.peek() {
            match next {
                '(' if test && !parts.0.is_empty() => open += 1,
                ')' if open > 0 => open -= 1,
                '|' if open > 0 => {}
                '<' | '>' if self.cursor.look(1) == Some('(') => {
                    parts.0.push(self.process()?);
                    continue;
                }
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                _ if self.special(&mut parts)? => continue,
                _ => {}
            }
            parts.char(next);
            self.cursor.next();
        }
        Ok((!parts.0.is_empty()).then_some(Word { parts: parts.0 }))
    }

    /// Takes a part that begins with a special character.
    fn special(&mut self, parts: &mut Parts) -> Read<bool> {
        let part = match self.cursor.peek() {
            Some('\\') => {
                self.cursor.next();
                match self.cursor.next() {
                    // A joined line.
                    Some('\n') => return Ok(true),
                    escaped => Part::Escaped(escaped.unwrap_or('\\')),
                }
            }
            Some('\'') => {
                self.cursor.next();
                Part::Single(self.single()?)
            }
            Some('"') => {
                self.cursor.next();
                Part::Double(self.double()?)
            }
            Some('`') => self.backticks()?,
            Some('$') => match self.dollar(false)? {
                Some(part) => part,
                None => return Ok(false),
            },
            _ => return Ok(false),
        };
        parts.0.push(part);
        Ok(true)
    }

    fn single(&mut self) -> Read<String> {
        let mut text = String::new();
        loop {
            match self.cursor.next() {
                None => return Err(Fault::Syntax),
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }

    fn double(&mut self) -> Read<Vec<Part>> {
        let mut parts = Parts::default();
        loop {
            match self.cursor.peek() {
                None => return Err(Fault::Syntax),
                Some('"') => {
                    self.cursor.next();
                    return Ok(parts.0);
                }
                Some('`') => parts.0.push(self.backticks()?),
                Some('$') => match self.dollar(true)? {
                    Some(part) => parts.0.push(part),
                    None => {
                        self.cursor.next();
                        parts.char('$');
                    }
                },
                Some('\\') => self.escaped(&mut parts),
                Some(c) => {
                    self.cursor.next();
                    parts.char(c);
                }
            }
        }
    }

    /// Within double quotes a backslash works on a few characters alone.
    fn escaped(&mut self, parts: &mut Parts) {
        self.cursor.next();
        match self.cursor.peek() {
            Some(c @ ('"' | '$' | '`' | '\\')) => {
                self.cursor.next();
                parts.0.push(Part::Escaped(c));
            }
            Some('\n') => drop(self.cursor.next()),
            _ => parts.char('\\'),
        }
    }

    fn backticks(&mut self) -> Read<Part> {
        self.cursor.next();
        let mut text = String::new();
        loop {
            match self.cursor.next() {
                None => return Err(Fault::Syntax),
                Some('`') => break,
                Some('\\') => match self.cursor.next() {
                    Some(c @ ('`' | '\\' | '$')) => text.push(c),
                    other => {
                        text.push('\\');
                        text.extend(other);
                    }
                },
                Some(c) => text.push(c),
            }
        }
        let body = self.deeper(|parser| parser.nested(&text))?;
        Ok(Part::Substitution {
            body,
            backticks: true,
        })
    }

    /// Reads text that was taken out of its place.
    fn nested(&mut self, text: &str) -> Read<crate::List> {
        let outer = std::mem::replace(&mut self.cursor, crate::cursor::Cursor::new(text));
        let list = self.list(&[]);
        let over = self.cursor.peek().is_none();
        self.cursor = outer;
        if over {
            list
        } else {
            list.and(Err(Fault::Syntax))
        }
    }

    fn process(&mut self) -> Read<Part> {
        self.cursor.next();
        self.cursor.next();
        self.deeper(|parser| parser.closed(")")).map(Part::Process)
    }

    /// Takes what `$` begins; nothing, if it is a character as others.
    fn dollar(&mut self, quoted: bool) -> Read<Option<Part>> {
        if self.cursor.take("$((") {
            return self
                .until_double_bracket()
                .map(|text| Some(Part::Arithmetic(text)));
        }
        if self.cursor.take("$(") {
            let body = self.deeper(|parser| parser.closed(")"))?;
            let backticks = false;
            return Ok(Some(Part::Substitution { body, backticks }));
        }
        if self.cursor.take("${") {
            return self
                .braces()
                .map(|parameter| Some(Part::Parameter(parameter)));
        }
        if !quoted && self.cursor.take("$'") {
            return self.ansi().map(|text| Some(Part::Ansi(text)));
        }
        let name = match self.cursor.look(1) {
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                self.cursor.next();
                self.name()
            }
            Some(c) if c.is_ascii_digit() || "@*#?-$!".contains(c) => {
                self.cursor.next();
                self.cursor.next();
                c.to_string()
            }
            _ => return Ok(None),
        };
        Ok(Some(Part::Parameter(Parameter {
            name,
            length: false,
            indirect: false,
            modifier: String::new(),
            braces: false,
        })))
    }

    fn ansi(&mut self) -> Read<String> {
        let mut text = String::new();
        loop {
            match self.cursor.next() {
                None => return Err(Fault::Syntax),
                Some('\'') => return Ok(text),
                Some('\\') => {
                    text.push('\\');
                    text.extend(self.cursor.next());
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self
            .cursor
            .peek()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        {
            name.push(c);
            self.cursor.next();
        }
        name
    }

    fn braces(&mut self) -> Read<Parameter> {
        let alone = |parser: &Self| parser.cursor.look(1) != Some('}');
        let length = self.cursor.peek() == Some('#') && alone(self) && self.cursor.take("#");
        let indirect = self.cursor.peek() == Some('!') && alone(self) && self.cursor.take("!");
        let mut name = self.name();
        if name.is_empty() {
            name.extend(self.cursor.next());
        }
        let modifier = self.modifier()?;
        Ok(Parameter {
            name,
            length,
            indirect,
            modifier,
            braces: true,
        })
    }

    /// Takes the text up to the closing brace, braces and quotes in it balanced.
    fn modifier(&mut self) -> Read<String> {
        let mut text = String::new();
        let mut open = 0_usize;
        let mut quote = None;
        loop {
            let next = self.cursor.next().ok_or(Fault::Syntax)?;
            match (next, quote) {
                ('}', None) if open == 0 => return Ok(text),
                ('}', None) => open -= 1,
                ('{', None) => open += 1,
                ('\\', mark) if mark != Some('\'') => {
                    text.push('\\');
                    text.extend(self.cursor.next());
                    continue;
                }
                ('"' | '\'', None) => quote = Some(next),
                (mark, Some(open)) if mark == open => quote = None,
                _ => {}
            }
            text.push(next);
        }
    }
}
