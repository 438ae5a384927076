//! Patterns of file names: those of `COPY` and `ADD`, and those of `.dockerignore` and `--exclude`.
//!
//! The first are Go's `filepath.Match`; the second add `**`. All states are walked at once, so the time is the length of
//! the pattern times that of the name, whatever a stranger writes.

/// A pattern that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// What `**` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// The same as `*`: within one folder.
    Name,
    /// Any number of folders.
    Path,
}

/// A pattern, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// `*`: anything within a folder.
    Star,
    /// `**` at the end: anything.
    All,
    /// `**/`: any folders, or none.
    Folders,
    /// `?`.
    One,
    Char(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Reports whether a name matches a pattern, as Go's `filepath.Match` does.
///
/// # Errors
/// The pattern cannot be read.
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    Ok(Pattern::parse(pattern, Flavor::Name)?.matches(name))
}

/// Reports whether a path of `COPY` has wildcards at all.
#[must_use]
pub fn has_wildcards(path: &str) -> bool {
    let mut chars = path.chars();
    while let Some(next) = chars.next() {
        match next {
            '\\' => drop(chars.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A class that does not end, or an escape of nothing.
    pub fn parse(text: &str, flavor: Flavor) -> Result<Self, BadPattern> {
        let mut tokens = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(next) = rest.next() {
            tokens.push(match next {
                '*' if flavor == Flavor::Path && rest.next_if_eq(&'*').is_some() => {
                    rest.next_if_eq(&'/');
                    match rest.peek() {
                        None => Token::All,
                        Some(_) => Token::Folders,
                    }
                }
                '*' => Token::Star,
                '?' => Token::One,
                '[' => class(&mut rest)?,
                '\\' => Token::Char(rest.next().ok_or(BadPattern)?),
                other => Token::Char(other),
            });
        }
        Ok(Self(tokens))
    }

    /// Reports whether the whole name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.walk(name).last() == Some(&true)
    }

    /// Reports whether something below that folder could match.
    #[must_use]
    pub fn may_match_below(&self, folder: &str) -> bool {
        let states = self.walk(&format!("{folder}/"));
        states.contains(&true)
    }

    fn walk(&self, name: &str) -> Vec<bool> {
        let mut states = vec![false; self.0.len() + 1];
        self.enter(&mut states, 0);
        for next in name.chars() {
            states = self.step(&states, next);
        }
        states
    }

    /// Marks a state, and those that it reaches without a character.
    fn enter(&self, states: &mut [bool], from: usize) {
        for at in from..states.len() {
            if let Some(state) = states.get_mut(at) {
                *state = true;
            }
            match self.0.get(at) {
                Some(Token::Star | Token::All | Token::Folders) => {}
                Some(Token::One | Token::Char(_) | Token::Class { .. }) | None => break,
            }
        }
    }

    fn step(&self, states: &[bool], next: char) -> Vec<bool> {
        let mut after = vec![false; states.len()];
        for (at, token) in self.0.iter().enumerate() {
            if states.get(at) == Some(&true) {
                self.advance(&mut after, at, token, next);
            }
        }
        after
    }

    fn advance(&self, after: &mut [bool], at: usize, token: &Token, next: char) {
        let passes = match token {
            Token::Star if next != '/' => return self.enter(after, at),
            Token::All => return self.enter(after, at),
            Token::Folders => {
                // Within folder names there is no way on but a slash.
                if let Some(state) = after.get_mut(at) {
                    *state = true;
                }
                next == '/'
            }
            Token::Star => false,
            Token::One => next != '/',
            Token::Char(c) => *c == next,
            Token::Class { negated, ranges } => {
                ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&next))
                    != *negated
            }
        };
        if passes {
            self.enter(after, at + 1);
        }
    }
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Reads a class behind its `[`.
fn class(rest: &mut Rest<'_>) -> Result<Token, BadPattern> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
        let low = member(rest)?;
        let high = match rest.next_if_eq(&'-') {
            Some(_) => member(rest)?,
            None => low,
        };
        ranges.push((low, high));
    }
    Ok(Token::Class { negated, ranges })
}

fn member(rest: &mut Rest<'_>) -> Result<char, BadPattern> {
    match rest.next() {
        None | Some('-' | ']') => Err(BadPattern),
        Some('\\') => rest.next().ok_or(BadPattern),
        Some(other) => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_go() {
        let table = [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[^c]", "abc", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("**", "a/b", false),
            ("", "", true),
        ];
        for (pattern, name, wanted) in table {
            assert_eq!(matches(pattern, name), Ok(wanted), "{pattern} {name}");
        }
        for bad in ["[]a]", "[-]", "[x-]", "[a", "[", "[^", "a\\", "[a-b-c]"] {
            assert_eq!(matches(bad, "a"), Err(BadPattern), "{bad}");
        }
    }

    #[test]
    fn two_stars_cross_folders() {
        let table = [
            ("**", "a/b/c", true),
            ("**/c", "a/b/c", true),
            ("**/c", "c", true),
            ("**/c", "abc", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/c", "a/c", true),
            ("a/**/c", "a/b/b/c", true),
            ("**c", "a/bc", false),
            ("**/*.go", "a/b/x.go", true),
            ("*/*", "a/b/c", false),
        ];
        for (pattern, name, wanted) in table {
            let found = Pattern::parse(pattern, Flavor::Path).unwrap().matches(name);
            assert_eq!(found, wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn long_patterns_take_no_longer() {
        let pattern = Pattern::parse(&"*a".repeat(500), Flavor::Path).unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(2_000))));
    }

    #[test]
    fn wildcards_may_be_escaped() {
        assert!(has_wildcards("a*") && has_wildcards("[x]") && !has_wildcards("a\\*"));
    }
}
