//! A place that packets come from or go to.

use serde::{Deserialize, Serialize};

/// A place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What it is.
    pub kind: Kind,
    /// A container's id; empty for the others.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The networks that it is on.
    pub networks: Vec<String>,
}

/// What a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A container.
    Container,
    /// The host itself.
    Host,
    /// Every other machine.
    Outside,
}

impl Place {
    pub(crate) fn of(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            id: String::new(),
            name: name.to_owned(),
            networks: Vec::new(),
        }
    }
}
