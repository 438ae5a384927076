//! Which lines a reader wants.

use std::{collections::BTreeMap, str::FromStr as _};

use hakone_base::Timestamp;

use crate::{Direction, End, Event, Party, Record, Verdict};

/// Values of a key are alternatives; every key that is there must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    since: Option<Timestamp>,
    containers: Vec<String>,
    networks: Vec<String>,
    verdicts: Vec<Verdict>,
    events: Vec<Event>,
    directions: Vec<Direction>,
    ports: Vec<u16>,
    protocols: Vec<String>,
}

/// Why a filter is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    key: String,
    value: String,
}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "invalid filter {:?}: {:?}", self.key, self.value)
    }
}

impl std::error::Error for FilterError {}

impl Filter {
    /// Reads keys with their values: `container network verdict event direction port protocol`.
    ///
    /// # Errors
    /// When a key or value is unknown.
    pub fn parse(given: &BTreeMap<String, Vec<String>>) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (key, values) in given {
            for value in values {
                let taken = filter.take(key, value);
                taken.ok_or_else(|| FilterError {
                    key: key.clone(),
                    value: value.clone(),
                })?;
            }
        }
        Ok(filter)
    }

    /// Leaves out what happened before.
    #[must_use]
    pub fn since(self, since: Option<Timestamp>) -> Self {
        Self { since, ..self }
    }

    /// Reports whether a line is wanted. Lines that tell of missing ones always are.
    #[must_use]
    pub fn wants(&self, record: &Record) -> bool {
        if self.since.is_some_and(|since| record.time < since) {
            return false;
        }
        if matches!(record.event, Event::Lost | Event::Open) {
            return true;
        }
        let ends = || [&record.source, &record.destination].into_iter().flatten();
        let all = || ends().chain(&record.published);
        let any = |wanted: &[String], party: fn(&End) -> Option<&Party>| {
            wanted.is_empty()
                || ends()
                    .filter_map(party)
                    .any(|party| is_named(party, wanted))
        };
        any(&self.containers, |end| end.container.as_ref())
            && any(&self.networks, |end| end.network.as_ref())
            && is_one(&self.verdicts, record.verdict)
            && is_one(&self.events, Some(record.event))
            && is_one(&self.directions, record.direction)
            && (self.ports.is_empty() || all().any(|end| is_one(&self.ports, end.port)))
            && is_one(&self.protocols, record.protocol.clone())
    }

    fn take(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "container" => self.containers.push(value.to_owned()),
            "network" => self.networks.push(value.to_owned()),
            "verdict" => self.verdicts.push(word(value)?),
            "event" => self.events.push(word(value)?),
            "direction" => self.directions.push(word(value)?),
            "port" => self.ports.push(u16::from_str(value).ok()?),
            "protocol" => self.protocols.push(value.to_ascii_lowercase()),
            _ => return None,
        }
        Some(())
    }
}

fn word<T: serde::de::DeserializeOwned>(value: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(value.to_owned())).ok()
}

fn is_one<T: PartialEq>(wanted: &[T], value: Option<T>) -> bool {
    wanted.is_empty() || value.is_some_and(|value| wanted.contains(&value))
}

/// A name, or the beginning of an id.
fn is_named(party: &Party, wanted: &[String]) -> bool {
    let is = |wanted: &String| {
        party.name == *wanted || (!wanted.is_empty() && party.id.starts_with(wanted.as_str()))
    };
    wanted.iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pairs: &[(&str, &str)]) -> Result<Filter, FilterError> {
        let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in pairs {
            given
                .entry((*key).into())
                .or_default()
                .push((*value).into());
        }
        Filter::parse(&given)
    }

    fn record() -> Record {
        let party = |name: &str| {
            Some(Party {
                id: "ab".repeat(32),
                name: name.into(),
            })
        };
        Record {
            verdict: Some(Verdict::Dropped),
            source: Some(End {
                container: party("web"),
                port: Some(4000),
                ..End::default()
            }),
            destination: Some(End {
                network: party("red"),
                port: Some(443),
                ..End::default()
            }),
            protocol: Some("tcp".into()),
            ..Record::new(Timestamp::from_nanos(5), Event::Drop)
        }
    }

    #[test]
    fn keys_must_all_be_met_and_values_are_alternatives() {
        let wants = |pairs: &[(&str, &str)]| parsed(pairs).unwrap().wants(&record());
        assert!(wants(&[
            ("container", "web"),
            ("container", "db"),
            ("port", "443")
        ]));
        assert!(wants(&[
            ("container", "abab"),
            ("network", "red"),
            ("verdict", "dropped")
        ]));
        assert!(!wants(&[("container", "db")]));
        assert!(!wants(&[("verdict", "allowed")]));
        assert!(!wants(&[("port", "80")]) && !wants(&[("event", "end")]));
        assert!(!wants(&[("direction", "inbound")]) && wants(&[("protocol", "TCP")]));
    }

    #[test]
    fn missing_lines_are_told_to_everybody() {
        let filter = parsed(&[("container", "nobody")]).unwrap();
        assert!(filter.wants(&Record::lost(Timestamp::from_nanos(5), Some(3), "x")));
    }

    #[test]
    fn an_unknown_word_is_an_error() {
        for pair in [("colour", "red"), ("port", "http"), ("verdict", "maybe")] {
            assert!(parsed(&[pair]).is_err(), "{pair:?}");
        }
    }
}
