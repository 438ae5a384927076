//! Label selectors: `matchLabels` and `matchExpressions` as one list of requirements that all must hold.

use std::{collections::BTreeSet, fmt};

use crate::Labels;

/// Which labels are meant; without requirements, all.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// One condition on labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requirement {
    /// The key's value is one of these.
    In(String, BTreeSet<String>),
    /// The key is missing, or its value is none of these.
    NotIn(String, BTreeSet<String>),
    /// The key is there.
    Exists(String),
    /// The key is missing.
    DoesNotExist(String),
}

impl Selector {
    /// Makes the selector of these requirements.
    #[must_use]
    pub fn new(requirements: Vec<Requirement>) -> Self {
        Self { requirements }
    }

    /// Reports whether the labels meet every requirement.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let mut all = self.requirements.iter();
        all.all(|requirement| requirement.is_met_by(labels))
    }

    /// Gives the requirements.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }
}

impl Requirement {
    /// Reports whether the labels meet it.
    #[must_use]
    pub fn is_met_by(&self, labels: &Labels) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|own| values.contains(own)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|own| !values.contains(own)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }
}

impl fmt::Display for Selector {
    /// Writes it as `kubectl --selector` reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.requirements.iter().map(ToString::to_string).collect();
        match parts.is_empty() {
            true => f.write_str("all"),
            false => f.write_str(&parts.join(",")),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &BTreeSet<String>| {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            values.join(",")
        };
        match self {
            Self::In(key, values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Self::In(key, values) => write!(f, "{key} in ({})", list(values)),
            Self::NotIn(key, values) => write!(f, "{key} notin ({})", list(values)),
            Self::Exists(key) => f.write_str(key),
            Self::DoesNotExist(key) => write!(f, "!{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter();
        pairs.map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    fn of(values: &[&str]) -> BTreeSet<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn without_requirements_everything_is_meant() {
        assert!(Selector::default().matches(&labels(&[])));
        assert!(Selector::default().matches(&labels(&[("a", "b")])));
    }

    #[test]
    fn each_operator_means_what_kubernetes_says() {
        let tier = || "tier".to_owned();
        let (front, back, none) = (
            labels(&[("tier", "front")]),
            labels(&[("tier", "back")]),
            labels(&[]),
        );
        let rows = [
            (
                Requirement::In(tier(), of(&["front"])),
                [true, false, false],
            ),
            (
                Requirement::NotIn(tier(), of(&["front"])),
                [false, true, true],
            ),
            (Requirement::Exists(tier()), [true, true, false]),
            (Requirement::DoesNotExist(tier()), [false, false, true]),
        ];
        for (requirement, expected) in rows {
            let met = [&front, &back, &none].map(|labels| requirement.is_met_by(labels));
            assert_eq!(met, expected, "{requirement}");
        }
    }

    #[test]
    fn all_requirements_must_hold() {
        let selector = Selector::new(vec![
            Requirement::Exists("app".into()),
            Requirement::In("tier".into(), of(&["front", "back"])),
        ]);
        assert!(selector.matches(&labels(&[("app", ""), ("tier", "back")])));
        assert!(!selector.matches(&labels(&[("tier", "back")])));
        assert_eq!(selector.to_string(), "app,tier in (back,front)");
    }
}
