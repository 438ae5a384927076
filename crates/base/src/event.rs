//! What happened: the record that the event stream, restarts and audit share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The kind of object that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The builder.
    Builder,
    /// A container.
    Container,
    /// The daemon itself.
    Daemon,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl EventKind {
    /// Gives the `Type` of the wire format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Container => "container",
            Self::Daemon => "daemon",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}

/// One thing that happened to one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The kind of object.
    pub kind: EventKind,
    /// What happened: `create`, `start`, `exec_start: ls`, …
    pub action: String,
    /// The object's id (name for volumes, reference or id for images).
    pub actor: String,
    /// Names, labels, exit codes: all that filters and people look for.
    pub attributes: BTreeMap<String, String>,
    /// When it happened.
    pub at: Timestamp,
}
