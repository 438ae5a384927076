//! Who may do what to which repository: rules, and the scopes of tokens.
//!
//! Deny by default: what no rule allows is refused. A token never gives more than the rules give at the moment it is shown.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::RepositoryName;

/// One thing that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Read.
    Pull,
    /// Write.
    Push,
    /// Remove.
    Delete,
}

/// What may be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Somebody.
    Anonymous,
    /// A user who showed the password.
    User(String),
}

/// Whom a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Who {
    /// `anyone`, with or without a name.
    Anyone,
    /// `users`: everybody with a name.
    Users,
    /// One user.
    User(String),
}

/// Repositories: `team/app`, `team/*` (one part), `team/**` (any depth).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Vec<String>);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pattern of repositories: names, * for one part, ** at the end for all below")]
pub struct PatternError(String);

/// What some may do to some repositories.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For whom.
    pub who: Vec<Who>,
    /// For which repositories.
    pub repositories: Vec<Pattern>,
    /// What.
    pub rights: Vec<Right>,
}

/// All rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// What a token is asked for: `repository:team/app:pull,push`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The repository.
    pub repository: RepositoryName,
    /// What is wanted.
    pub rights: Rights,
}

impl Right {
    const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Delete];

    /// Gives the word of scopes and rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Pull => 1,
            Self::Push => 2,
            Self::Delete => 4,
        }
    }
}

impl Rights {
    /// Everything.
    pub const ALL: Self = Self(7);

    /// Reports whether one is among them.
    #[must_use]
    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Gives what both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Gives what either allows.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Gives the words, in order.
    #[must_use]
    pub fn words(self) -> Vec<String> {
        let held = Right::ALL.into_iter().filter(|right| self.has(*right));
        held.map(|right| right.as_str().to_owned()).collect()
    }

    /// Reads words; `*` is everything, unknown ones are nothing.
    #[must_use]
    pub fn of_words<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        words.fold(Self::default(), |rights, word| match word {
            "*" => Self::ALL,
            word => rights.or(Right::ALL
                .into_iter()
                .filter(|right| right.as_str() == word)
                .collect()),
        })
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl Subject {
    /// Gives the user's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(name) => Some(name),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("-"))
    }
}

impl From<String> for Who {
    fn from(text: String) -> Self {
        match &*text {
            "anyone" => Self::Anyone,
            "users" => Self::Users,
            _ => Self::User(text),
        }
    }
}

impl Who {
    fn means(&self, subject: &Subject) -> bool {
        match (self, subject) {
            (Self::Anyone, _) | (Self::Users, Subject::User(_)) => true,
            (Self::User(wanted), Subject::User(name)) => wanted == name,
            (Self::Users | Self::User(_), Subject::Anonymous) => false,
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
        let plain: Vec<&str> = parts
            .iter()
            .map(|part| if part == "*" { "x" } else { part })
            .collect();
        let (last, front) = plain.split_last().unwrap_or((&"", &[]));
        let named = match *last {
            "**" => front.to_vec(),
            _ => plain.clone(),
        };
        let fits = named.is_empty() || named.join("/").parse::<RepositoryName>().is_ok();
        match fits {
            true => Ok(Self(parts)),
            false => Err(PatternError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl Pattern {
    /// Reports whether a repository is meant.
    #[must_use]
    pub fn fits(&self, name: &RepositoryName) -> bool {
        let mut parts = name.as_str().split('/');
        for pattern in &self.0 {
            match (pattern.as_str(), parts.next()) {
                ("**", part) => return part.is_some(),
                ("*", Some(_)) => {}
                (pattern, Some(part)) if pattern == part => {}
                _ => return false,
            }
        }
        parts.next().is_none()
    }
}

impl Rules {
    /// Takes the rules of a configuration.
    #[must_use]
    pub const fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// Tells what somebody may do to a repository.
    #[must_use]
    pub fn rights(&self, subject: &Subject, name: &RepositoryName) -> Rights {
        let fitting = self.0.iter().filter(|rule| {
            rule.who.iter().any(|who| who.means(subject))
                && rule.repositories.iter().any(|pattern| pattern.fits(name))
        });
        fitting
            .flat_map(|rule| rule.rights.iter().copied())
            .collect()
    }
}

impl Scope {
    /// Reads a scope; one of anything but a repository asks for nothing that we have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (repository, rights) = text.strip_prefix("repository:")?.rsplit_once(':')?;
        Some(Self {
            repository: repository.parse().ok()?,
            rights: Rights::of_words(rights.split(',')),
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "repository:{}:{}",
            self.repository,
            self.rights.words().join(",")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    fn rule(who: &str, pattern: &str, rights: &[Right]) -> Rule {
        Rule {
            who: vec![Who::from(who.to_owned())],
            repositories: vec![pattern.parse().unwrap()],
            rights: rights.to_vec(),
        }
    }

    #[test]
    fn what_no_rule_allows_is_refused() {
        let rules = Rules::new(vec![
            rule("anyone", "public/**", &[Right::Pull]),
            rule("users", "team/*", &[Right::Pull]),
            rule("bob", "team/app", &[Right::Push]),
        ]);
        let bob = Subject::User("bob".into());
        let words =
            |subject: &Subject, text: &str| rules.rights(subject, &name(text)).words().join(",");
        assert_eq!(words(&Subject::Anonymous, "public/a/b"), "pull");
        assert_eq!(words(&Subject::Anonymous, "team/app"), "");
        assert_eq!(words(&bob, "team/app"), "pull,push");
        assert_eq!(words(&Subject::User("eve".into()), "team/app"), "pull");
        assert_eq!(words(&bob, "team/app/deep"), "");
        assert_eq!(words(&bob, "public"), "");
        assert_eq!(words(&Subject::User("anyone".into()), "other"), "");
    }

    #[test]
    fn a_pattern_cannot_be_mistaken() {
        let all: Pattern = "**".parse().unwrap();
        assert!(all.fits(&name("a")) && all.fits(&name("a/b/c")));
        for bad in ["", "/", "a/**/b", "a*", "A", "../x", "a//b"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn scopes_are_read_as_they_are_printed() {
        let text = "repository:team/app:pull,push";
        assert_eq!(Scope::parse(text).unwrap().to_string(), text);
        let all = Scope::parse("repository:a:*").unwrap();
        assert_eq!(all.rights, Rights::ALL);
        let odd = Scope::parse("repository:a:pull,fly").unwrap();
        assert_eq!(odd.rights.words(), ["pull"]);
        for bad in [
            "registry:catalog:*",
            "repository:A:pull",
            "repository:a",
            "",
        ] {
            assert_eq!(Scope::parse(bad), None, "{bad}");
        }
    }
}
