//! The shell patterns of `${x#p}`, `${x%p}` and `${x/p/r}`: `*`, `?`, and escapes.
//!
//! Matching walks all states at once and counts its steps against a budget, so no pattern takes more than its share.

use crate::{error::Problem, limits};

/// Steps that the patterns of one word may take.
pub(super) const STEPS: usize = 1 << 20;

/// Whether the shortest or the longest match counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Shortest,
    Longest,
}

impl Extent {
    pub(super) const fn from_longest(longest: bool) -> Self {
        if longest {
            Self::Longest
        } else {
            Self::Shortest
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Char(char),
}

/// A pattern in its parts.
#[derive(Debug)]
pub(super) struct Glob(Vec<Token>);

impl Glob {
    pub(super) fn parse(pattern: &str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = pattern.chars();
        while let Some(next) = rest.next() {
            tokens.push(match next {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => Token::Char(rest.next().unwrap_or('\\')),
                other => Token::Char(other),
            });
        }
        Self(tokens)
    }

    pub(super) fn cut_prefix(
        &self,
        value: &str,
        extent: Extent,
        steps: &mut usize,
    ) -> Result<String, Problem> {
        let chars: Vec<char> = value.chars().collect();
        let cut = matched(&self.0, &chars, extent, steps)?.unwrap_or(0);
        Ok(chars.iter().skip(cut).collect())
    }

    pub(super) fn cut_suffix(
        &self,
        value: &str,
        extent: Extent,
        steps: &mut usize,
    ) -> Result<String, Problem> {
        let chars: Vec<char> = value.chars().rev().collect();
        let tokens: Vec<Token> = self.0.iter().rev().copied().collect();
        let cut = matched(&tokens, &chars, extent, steps)?.unwrap_or(0);
        Ok(chars.iter().skip(cut).rev().collect())
    }

    pub(super) fn replace(
        &self,
        value: &str,
        replacement: &str,
        all: bool,
        steps: &mut usize,
    ) -> Result<String, Problem> {
        let chars: Vec<char> = value.chars().collect();
        let mut result = String::new();
        let mut rest = chars.as_slice();
        let mut wanted = true;
        while let Some((first, after)) = rest.split_first() {
            let found = if wanted {
                matched(&self.0, rest, Extent::Longest, steps)?.filter(|length| *length > 0)
            } else {
                None
            };
            match found {
                Some(length) => {
                    result.push_str(replacement);
                    rest = rest.get(length..).unwrap_or_default();
                    wanted = all;
                }
                None => {
                    result.push(*first);
                    rest = after;
                }
            }
            if result.len() > limits::WORD {
                return Err(Problem::new("word too large after expansion"));
            }
        }
        Ok(result)
    }
}

/// How many characters at the front the whole pattern matches, the fewest or the most.
fn matched(
    tokens: &[Token],
    chars: &[char],
    extent: Extent,
    steps: &mut usize,
) -> Result<Option<usize>, Problem> {
    let mut states = vec![false; tokens.len() + 1];
    enter(&mut states, tokens, 0);
    let mut found = None;
    for length in 0..=chars.len() {
        *steps = steps
            .checked_sub(tokens.len() + 1)
            .ok_or_else(|| Problem::new("pattern takes too long to match"))?;
        if states.last() == Some(&true) {
            found = Some(length);
            if extent == Extent::Shortest {
                break;
            }
        }
        let Some(next) = chars.get(length) else { break };
        states = step(&states, tokens, *next);
        if !states.contains(&true) {
            break;
        }
    }
    Ok(found)
}

/// Marks a state and all that it reaches without a character.
fn enter(states: &mut [bool], tokens: &[Token], from: usize) {
    for at in from..states.len() {
        if let Some(state) = states.get_mut(at) {
            *state = true;
        }
        if tokens.get(at) != Some(&Token::Any) {
            break;
        }
    }
}

fn step(states: &[bool], tokens: &[Token], next: char) -> Vec<bool> {
    let mut after = vec![false; states.len()];
    for (at, token) in tokens.iter().enumerate() {
        if states.get(at) != Some(&true) {
            continue;
        }
        match token {
            Token::Any => enter(&mut after, tokens, at),
            Token::One => enter(&mut after, tokens, at + 1),
            Token::Char(c) if *c == next => enter(&mut after, tokens, at + 1),
            Token::Char(_) => {}
        }
    }
    after
}
