//! A line of the flow log, as JSON has it and `docs/reference/flow-log.md` describes it.

use std::net::IpAddr;

use hakone_base::{MacAddr, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Volume;

/// A line. What does not apply is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it happened.
    #[serde(with = "text")]
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<Verdict>,
    /// The deciding rule: its chain, and its comment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// Between whom.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub direction: Option<Direction>,
    /// The protocol, by name or number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub protocol: Option<String>,
    /// Who began it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<End>,
    /// Whom it reached, or was for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub destination: Option<End>,
    /// What the source named instead of the destination: a published port.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub published: Option<End>,
    /// The flow's number in connection tracking: the same when it begins and ends.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub flow: Option<u32>,
    /// When the flow began that ended here.
    #[serde(skip_serializing_if = "Option::is_none", with = "maybe", default)]
    pub began: Option<Timestamp>,
    /// What went from the source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sent: Option<Volume>,
    /// What came back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub received: Option<Volume>,
    /// The interface at which it was dropped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interface: Option<String>,
    /// Which lines are missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lost: Option<Loss>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// The log was opened; what was before is not in it.
    Open,
    /// A connection began.
    Begin,
    /// A connection ended.
    End,
    /// A packet was dropped.
    Drop,
    /// A packet passed that a policy would have dropped if it was enforced and not only audited.
    Audit,
    /// Lines were left out.
    Lost,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was let through.
    Allowed,
    /// It was dropped.
    Dropped,
}

/// Between whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Between two containers.
    Internal,
    /// From a container to another machine.
    Outbound,
    /// From another machine to a container.
    Inbound,
    /// From a container to its host.
    ToHost,
    /// From the host to a container.
    FromHost,
}

/// One end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<IpAddr>,
    /// Its port, for a protocol that has ports.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub port: Option<u16>,
    /// Its Ethernet address, where a frame was dropped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mac: Option<MacAddr>,
    /// The container there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub container: Option<Party>,
    /// The network that it is there in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub network: Option<Party>,
}

/// A container or network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Which lines are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// How many; `None` when the kernel does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
    /// Where they were left out.
    pub reason: String,
}

impl Record {
    /// Makes a line that says no more than what and when.
    #[must_use]
    pub fn new(time: Timestamp, event: Event) -> Self {
        Self {
            time,
            event,
            verdict: None,
            rule: None,
            direction: None,
            protocol: None,
            source: None,
            destination: None,
            published: None,
            flow: None,
            began: None,
            sent: None,
            received: None,
            interface: None,
            lost: None,
        }
    }

    /// Makes the line that tells of missing ones.
    #[must_use]
    pub fn lost(time: Timestamp, count: Option<u64>, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            lost: Some(Loss { count, reason }),
            ..Self::new(time, Event::Lost)
        }
    }
}

impl Event {
    /// Gives its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Begin => "begin",
            Self::End => "end",
            Self::Drop => "drop",
            Self::Audit => "audit",
            Self::Lost => "lost",
        }
    }
}

impl Verdict {
    /// Gives its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Dropped => "dropped",
        }
    }
}

impl Direction {
    /// Gives its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::ToHost => "to-host",
            Self::FromHost => "from-host",
        }
    }
}

/// Times as text.
mod text {
    use hakone_base::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Times as text that may be absent.
mod maybe {
    use hakone_base::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "serde passes it so")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.collect_str(time),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let parsed = text.map(|text| text.parse().map_err(D::Error::custom));
        parsed.transpose()
    }
}
