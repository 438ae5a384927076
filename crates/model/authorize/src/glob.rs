//! Patterns of rule files: text in which `*` stands for any run of characters.

use serde::Deserialize;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Glob(String);

impl From<String> for Glob {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Glob {
    /// Reports whether the whole text fits, in time that grows with the product of both lengths at most.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(glob: &str, text: &str) -> bool {
        Glob::from(glob.to_owned()).matches(text)
    }

    #[test]
    fn a_star_stands_for_any_run() {
        assert!(fits("*", "") && fits("*", "x") && fits("a*", "abc") && fits("*c", "abc"));
        assert!(fits("a*b*c", "a1b2c") && fits("reg/*:1", "reg/x/y:1"));
        assert!(!fits("a*b*c", "a1c2b") && !fits("abc", "abcd") && !fits("a*a", "a"));
    }
}
