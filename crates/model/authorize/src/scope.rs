//! The label that bounds a socket: it sees and touches only what has it, and gives it to what it makes.

use std::collections::BTreeMap;

use crate::Denial;

/// A label and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The label.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Scope {
    /// Parses `KEY=VALUE`; a key alone would let everybody choose the value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (key, value) = text.split_once('=')?;
        let plain = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_control());
        (plain(key) && plain(value)).then(|| Self {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }

    /// Reports whether labels are those of an object of this scope.
    #[must_use]
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.key) == Some(&self.value)
    }

    /// Gives the value of a `label` filter that finds the objects of this scope.
    #[must_use]
    pub fn filter(&self) -> String {
        format!("{}={}", self.key, self.value)
    }

    /// Refuses labels of a request that claim another scope.
    pub(crate) fn check(&self, labels: &serde_json::Value) -> Result<(), Denial> {
        match labels.get(&self.key) {
            Some(value) if *value != self.value => Err(Denial::because(
                format!("the label {}", self.key),
                "it is the scope of this socket",
            )),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_needs_a_value() {
        assert!(Scope::parse("team").is_none() && Scope::parse("team=").is_none());
        let scope = Scope::parse("team=ci").unwrap();
        let labels = |value: &str| BTreeMap::from([("team".to_owned(), value.to_owned())]);
        assert!(scope.holds(&labels("ci")) && !scope.holds(&labels("cd")));
        assert!(scope.check(&serde_json::json!({"team": "cd"})).is_err());
        assert!(scope.check(&serde_json::json!({"team": "ci"})).is_ok());
    }
}
