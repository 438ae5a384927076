//! The `filters` query parameter.

use std::collections::{BTreeMap, BTreeSet};

use hakone_base::Timestamp;
use serde::Deserialize;

/// Filters as a map from key to values: values of one key are alternatives (labels excepted), keys must all match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

/// Why filters are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Not the JSON that clients send.
    #[error("invalid filter")]
    Syntax,
    /// A key that this list does not have.
    #[error("invalid filter '{0}'")]
    Key(String),
    /// A moment that is none.
    #[error("failed to parse value as time or duration: \"{0}\"")]
    Moment(String),
    /// Two moments where one is meant.
    #[error("more than one until filter specified")]
    Moments,
    /// A value that this key cannot have, in words of the key's own.
    #[error("{0}")]
    Worded(String),
    /// A value that this key cannot have.
    #[error("invalid filter '{key}={value}'")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
}

/// The two forms on the wire: `{"label":{"x=y":true}}` of the CLI, `{"label":["x=y"]}` of SDKs.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Map(BTreeMap<String, bool>),
    List(Vec<String>),
}

impl Filters {
    /// Parses the parameter and refuses keys other than `known`.
    ///
    /// # Errors
    /// When the text is not such JSON, or a key is unknown.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let found = Self::parse_any(text)?;
        match found.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(FilterError::Key(key.clone())),
            None => Ok(found),
        }
    }

    /// Parses the parameter and takes any key: the stream of events never refused one.
    ///
    /// # Errors
    /// When the text is not such JSON.
    pub fn parse_any(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let found: Option<BTreeMap<String, Values>> =
            serde_json::from_str(text).ok().ok_or(FilterError::Syntax)?;
        let sets = found
            .unwrap_or_default()
            .into_iter()
            .map(|(key, values)| (key, values.into_set()));
        Ok(Self(sets.collect()))
    }

    /// Adds a value to a key.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let values = self.0.entry(key.to_owned()).or_default();
        values.insert(value.to_owned());
        self
    }

    /// Gives the values of a key, in order.
    pub fn get(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Reports whether the key was given.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|values| !values.is_empty())
    }

    /// Reports whether the key is absent or one of its values passes.
    pub fn any(&self, key: &str, pass: impl Fn(&str) -> bool) -> bool {
        !self.has(key) || self.get(key).any(pass)
    }

    /// Reports whether every `label` filter holds: `key` asks for presence, `key=value` for equality.
    pub fn labels<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.get("label")
            .all(|filter| label_matches(filter, &lookup))
    }

    /// Reports whether some `label!` filter holds, which excludes the object from a prune.
    pub fn excluded<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.get("label!")
            .any(|filter| label_matches(filter, &lookup))
    }

    /// Reads `until`, which takes one moment or a time before now.
    ///
    /// # Errors
    /// When the value is no moment, or there are two.
    pub fn until(&self, now: Timestamp) -> Result<Option<Timestamp>, FilterError> {
        let mut values = self.get("until");
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(FilterError::Moments);
        }
        let moment = Timestamp::parse_relative(value, now).ok();
        moment
            .map(Some)
            .ok_or_else(|| FilterError::Moment(value.to_owned()))
    }

    /// Reads a key that takes one truth value.
    ///
    /// # Errors
    /// When the value is neither true nor false, or both are given.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, FilterError> {
        let mut found = None;
        for value in self.get(key) {
            let flag = match value {
                "1" | "t" | "T" | "true" | "True" | "TRUE" => true,
                "0" | "f" | "F" | "false" | "False" | "FALSE" => false,
                _ => {
                    return Err(FilterError::Value {
                        key: key.into(),
                        value: format!("[{value}]"),
                    });
                }
            };
            if found.is_some_and(|other| other != flag) {
                return Err(FilterError::Value {
                    key: key.into(),
                    value: value.into(),
                });
            }
            found = Some(flag);
        }
        Ok(found)
    }
}

impl Values {
    fn into_set(self) -> BTreeSet<String> {
        match self {
            Self::Map(map) => map
                .into_iter()
                .filter_map(|(value, on)| on.then_some(value))
                .collect(),
            Self::List(list) => list.into_iter().collect(),
        }
    }
}

fn label_matches<'a>(filter: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
    match filter.split_once('=') {
        Some((key, value)) => lookup(key) == Some(value),
        None => lookup(filter).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_wire_forms_mean_the_same() {
        let cli = Filters::parse(r#"{"label":{"x=y":true}}"#, &["label"]);
        let sdk = Filters::parse(r#"{"label":["x=y"]}"#, &["label"]);
        assert_eq!(cli, sdk);
        assert!(cli.unwrap().labels(|key| (key == "x").then_some("y")));
    }

    #[test]
    fn refusals_are_dockers() {
        let message = |text: &str| Filters::parse(text, &["label"]).unwrap_err().to_string();
        assert_eq!(message(r#"{"bogus":["1"]}"#), "invalid filter 'bogus'");
        assert_eq!(message("nonsense"), "invalid filter");
    }

    #[test]
    fn a_flag_filter_takes_truth_values_only() {
        let filters =
            |value: &str| Filters::parse(&format!(r#"{{"d":["{value}"]}}"#), &["d"]).unwrap();
        assert_eq!(filters("true").flag("d"), Ok(Some(true)));
        assert!(filters("maybe").flag("d").is_err());
    }
}
