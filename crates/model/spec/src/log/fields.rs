//! What each line tells of its container: chosen labels and variables, and a tag.

use std::collections::BTreeMap;

use regex::Regex;

use super::Refusal;

/// Which labels and variables go along with each line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFields {
    /// Labels.
    pub labels: Vec<String>,
    /// A pattern of further ones.
    pub labels_regex: Option<String>,
    /// Variables.
    pub env: Vec<String>,
    /// A pattern of further ones.
    pub env_regex: Option<String>,
    /// The template of `tag`.
    pub tag: Option<String>,
}

impl LogFields {
    /// Takes an option; false when it is none of these.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<bool, Refusal> {
        match key {
            "labels" => self.labels = words(value),
            "labels-regex" => self.labels_regex = pattern(value)?,
            "env" => self.env = words(value),
            "env-regex" => self.env_regex = pattern(value)?,
            "tag" => self.tag = Some(value.to_owned()).filter(|tag| !tag.is_empty()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Picks from the container's labels and environment.
    #[must_use]
    pub fn pick(
        &self,
        labels: &BTreeMap<String, String>,
        env: &[String],
    ) -> BTreeMap<String, String> {
        let labelled = labels.iter();
        let labelled = labelled.filter(chosen(&self.labels, self.labels_regex.as_deref()));
        let variables = env.iter().filter_map(|entry| entry.split_once('='));
        let variables = variables.filter(chosen(&self.env, self.env_regex.as_deref()));
        labelled
            .map(|(key, value)| (key.clone(), value.clone()))
            .chain(variables.map(|(key, value)| (key.to_owned(), value.to_owned())))
            .collect()
    }
}

/// Tells keys that are listed or match a pattern.
fn chosen<K: AsRef<str>, V>(listed: &[String], pattern: Option<&str>) -> impl Fn(&(K, V)) -> bool {
    let pattern = pattern.and_then(|pattern| Regex::new(pattern).ok());
    move |(key, _)| {
        let key = key.as_ref();
        listed.iter().any(|wanted| wanted == key)
            || pattern
                .as_ref()
                .is_some_and(|pattern| pattern.is_match(key))
    }
}

fn words(value: &str) -> Vec<String> {
    let words = value.split(',').filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Checks a pattern, which is compiled again when it is used; nothing when it is empty.
fn pattern(value: &str) -> Result<Option<String>, Refusal> {
    match value {
        "" => Ok(None),
        text => Regex::new(text)
            .map(|_| Some(text.to_owned()))
            .map_err(|_invalid| Refusal::Value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_chosen_by_pattern() {
        let mut fields = LogFields::default();
        for (key, value) in [
            ("labels-regex", "^team"),
            ("env-regex", "ZONE$"),
            ("env", "A"),
        ] {
            assert!(fields.set(key, value).unwrap());
        }
        let labels = ["team", "team.lead", "my-team"].map(|key| (key.to_owned(), "x".to_owned()));
        let env = ["A=1", "HOME_ZONE=2", "ZONES=3"].map(str::to_owned);
        let picked = fields.pick(&BTreeMap::from(labels), &env);
        let keys: Vec<_> = picked.keys().map(String::as_str).collect();
        assert_eq!(keys, ["A", "HOME_ZONE", "team", "team.lead"]);
        assert!(fields.set("env-regex", "(").is_err());
        assert!(!fields.set("max-size", "1").unwrap());
    }

    #[test]
    fn fields_come_from_labels_and_environment() {
        let fields = LogFields {
            labels: vec!["tier".into()],
            env: vec!["ZONE".into()],
            ..LogFields::default()
        };
        let labels = BTreeMap::from([
            ("tier".to_owned(), "web".to_owned()),
            ("x".into(), "y".into()),
        ]);
        let picked = fields.pick(&labels, &["ZONE=a".into(), "B=c".into()]);
        assert_eq!(
            picked,
            BTreeMap::from([("tier".into(), "web".into()), ("ZONE".into(), "a".into())])
        );
    }
}
