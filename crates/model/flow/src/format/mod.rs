//! How a line reads: our JSON, OCSF, or CEF. One record, one line, whatever names it holds.

mod cef;
mod ocsf;

use std::str::FromStr;

use crate::Record;

/// The form of the log's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Our own JSON.
    #[default]
    Json,
    /// The Open Cybersecurity Schema Framework: class 4001, network activity.
    Ocsf,
    /// ArcSight's Common Event Format.
    Cef,
}

impl Format {
    /// Prints a record as one line, without its end.
    #[must_use]
    pub fn line(self, record: &Record) -> String {
        match self {
            Self::Json => serde_json::to_string(record).unwrap_or_default(),
            Self::Ocsf => ocsf::event(record).to_string(),
            Self::Cef => cef::event(record),
        }
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "ocsf" => Ok(Self::Ocsf),
            "cef" => Ok(Self::Cef),
            _ => Err("json, ocsf or cef is expected"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Direction, End, Event, Party, Verdict, Volume};
    use hakone_base::Timestamp;
    use proptest::prelude::*;

    pub(crate) fn record(name: &str) -> Record {
        let party = |name: &str| {
            Some(Party {
                id: "ab".repeat(32),
                name: name.to_owned(),
            })
        };
        Record {
            verdict: Some(Verdict::Allowed),
            rule: Some("entering: published".into()),
            direction: Some(Direction::Inbound),
            protocol: Some("tcp".into()),
            source: Some(End {
                address: "198.51.100.7".parse().ok(),
                port: Some(4000),
                ..End::default()
            }),
            destination: Some(End {
                address: "172.17.0.2".parse().ok(),
                port: Some(80),
                container: party(name),
                network: party(name),
                ..End::default()
            }),
            published: Some(End {
                address: "192.0.2.1".parse().ok(),
                port: Some(8080),
                ..End::default()
            }),
            flow: Some(5),
            began: Some(Timestamp::from_nanos(1_000_000_000)),
            sent: Some(Volume {
                bytes: 300,
                packets: 5,
            }),
            received: Some(Volume {
                bytes: 2000,
                packets: 4,
            }),
            ..Record::new(Timestamp::from_nanos(3_500_000_000), Event::End)
        }
    }

    #[test]
    fn json_is_read_back_as_it_was() {
        let line = Format::Json.line(&record("web"));
        assert_eq!(
            serde_json::from_str::<Record>(&line).unwrap(),
            record("web")
        );
        assert!(
            line.starts_with(
                r#"{"time":"1970-01-01T00:00:03.5Z","event":"end","verdict":"allowed""#
            ),
            "{line}"
        );
    }

    proptest! {
        #[test]
        fn no_name_breaks_a_line(name in "\\PC*|[\\x00-\\x1f|=\\\\\"]*") {
            for format in [Format::Json, Format::Ocsf, Format::Cef] {
                let line = format.line(&record(&name));
                prop_assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
            }
        }
    }
}
