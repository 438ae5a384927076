//! Names of other machines as people allow them: exactly, or all below one.

use std::{fmt, str::FromStr};

/// The longest name of DNS, as text.
const LONGEST: usize = 253;
/// The longest label of it.
const LONGEST_LABEL: usize = 63;

/// A name of DNS, or all names below one: `api.example.org`, `*.example.org`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainPattern {
    below: bool,
    name: Box<str>,
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// It has no dot: such names are those of containers.
    #[error("want a name with a dot, such as api.example.org or *.example.org")]
    Single,
    /// It is longer than names are.
    #[error("a name has at most {LONGEST} characters, and {LONGEST_LABEL} between two dots")]
    Long,
    /// It has other characters than names of machines have.
    #[error("a name has letters, digits, dashes and underscores between its dots")]
    Character,
}

impl DomainPattern {
    /// Reports whether a name is meant; it is lowercase, and without a dot at its end. One with an escaped character has a label
    /// that is no machine's, and may hold a dot of its own.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.below {
            _ if name.contains('\\') => false,
            false => *name == *self.name,
            true => {
                let rest = name.strip_suffix(&*self.name);
                rest.is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
        }
    }
}

impl FromStr for DomainPattern {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let labels: Vec<&str> = name.split('.').collect();
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_label = |label: &&str| !label.is_empty() && label.chars().all(known);
        // The last label of a name is never a number: what looks so is an address.
        let last = labels.last().copied().unwrap_or_default();
        if !labels.iter().all(is_label) || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DomainError::Character);
        }
        if labels.len() < 2 {
            return Err(DomainError::Single);
        }
        if name.len() > LONGEST || labels.iter().any(|label| label.len() > LONGEST_LABEL) {
            return Err(DomainError::Long);
        }
        Ok(Self {
            below,
            name: name.to_ascii_lowercase().into(),
        })
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        write!(f, "{star}{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_itself_and_a_star_all_below_and_not_the_name_itself() {
        let exact: DomainPattern = "Api.Example.org.".parse().unwrap();
        assert_eq!(exact.to_string(), "api.example.org");
        assert!(exact.matches("api.example.org"));
        assert!(!exact.matches("x.api.example.org") && !exact.matches("xapi.example.org"));
        let below: DomainPattern = "*.example.org".parse().unwrap();
        assert!(below.matches("a.example.org") && below.matches("a.b.example.org"));
        for other in [
            "example.org",
            ".example.org",
            "badexample.org",
            "example.org.evil.net",
            "a\\.example.org",
        ] {
            assert!(!below.matches(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "web",
            "*.org",
            "a..b",
            ".a.b",
            "a.*.b",
            "a b.c",
            "10.0.0.1",
            "*.10.0.0.1",
            "a.b..",
            "ä.org",
        ] {
            assert!(text.parse::<DomainPattern>().is_err(), "{text}");
        }
        let long = format!("{}.org", "a".repeat(64));
        assert_eq!(long.parse::<DomainPattern>(), Err(DomainError::Long));
    }
}
