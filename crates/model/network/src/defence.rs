//! What a network opens or closes beyond Docker's options: `dev.hakone.*`, as labels or as driver options.
//!
//! Closed is the default wherever Docker's own leaves a hole that nobody asked for. An unknown word is an error when the network
//! is created, so that a typing mistake opens nothing and closes nothing by accident.

use std::collections::{BTreeMap, BTreeSet};

use hakone_base::ExposedPort;
use hakone_policy::{HostAccess, Metadata, Multicast};

use crate::{Error, NetworkSpec};

const MULTICAST: &str = "dev.hakone.multicast";
const METADATA: &str = "dev.hakone.metadata";
const HARDENED: &str = "dev.hakone.hardened";
const HOST_ACCESS: &str = "dev.hakone.host-access";

/// The defences of one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defences {
    /// `dev.hakone.multicast=allow`.
    pub multicast: Multicast,
    /// `dev.hakone.metadata=allow`.
    pub metadata: Metadata,
    /// `dev.hakone.hardened=true`; `None` leaves it to the daemon.
    pub hardened: Option<bool>,
    /// `dev.hakone.host-access=8080/tcp,53/udp`: the host's ports that a hardened network reaches.
    pub host_ports: Vec<ExposedPort>,
}

impl Defences {
    /// Reads labels and options; an option goes before a label.
    ///
    /// # Errors
    /// When a value is not one of those that the key knows.
    pub fn parse(
        labels: &BTreeMap<String, String>,
        options: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let get = |key: &str| options.get(key).or_else(|| labels.get(key));
        let ports = get(HOST_ACCESS).map(|text| ports(text)).transpose()?;
        Ok(Self {
            multicast: match is_allowed(MULTICAST, get(MULTICAST))? {
                true => Multicast::Allowed,
                false => Multicast::Denied,
            },
            metadata: match is_allowed(METADATA, get(METADATA))? {
                true => Metadata::Allowed,
                false => Metadata::Denied,
            },
            hardened: match get(HARDENED).map(String::as_str) {
                None => None,
                Some("true") => Some(true),
                Some("false") => Some(false),
                Some(other) => return Err(unknown(HARDENED, other, "true or false")),
            },
            host_ports: ports.unwrap_or_default(),
        })
    }

    /// Gives those of a network that was created; what it was created with made sense then.
    #[must_use]
    pub fn of(spec: &NetworkSpec) -> Self {
        Self::parse(&spec.labels, &spec.options).unwrap_or_default()
    }

    /// Reports whether the network is hardened, by its own word or the daemon's.
    #[must_use]
    pub fn is_hardened(&self, daemon: bool) -> bool {
        self.hardened.unwrap_or(daemon)
    }

    /// Says what of the host members reach.
    #[must_use]
    pub fn host_access(&self, daemon: bool) -> HostAccess {
        match self.is_hardened(daemon) {
            true => HostAccess::Ports(self.host_ports.clone()),
            false => HostAccess::All,
        }
    }
}

/// Reports whether a name that a member takes beside its own leads neighbours astray: a name of the world outside, or another
/// member's (attacks `dns_alias_outside_domain`, `dns_alias_shadows_name`).
#[must_use]
pub fn leads_astray(alias: &str, own: &str, members: &BTreeSet<&str>) -> bool {
    let (alias, own) = (alias.to_ascii_lowercase(), own.to_ascii_lowercase());
    let anothers = |name: &&str| name.eq_ignore_ascii_case(&alias);
    alias != own && (alias.contains('.') || members.iter().any(anothers))
}

fn is_allowed(key: &str, value: Option<&String>) -> Result<bool, Error> {
    match value.map(String::as_str) {
        Some("allow") => Ok(true),
        None | Some("deny") => Ok(false),
        Some(other) => Err(unknown(key, other, "allow or deny")),
    }
}

fn ports(text: &str) -> Result<Vec<ExposedPort>, Error> {
    let parts = text.split(',').map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()
        .ok_or_else(|| unknown(HOST_ACCESS, text, "ports such as 8080/tcp,53/udp"))
}

fn unknown(key: &str, value: &str, wanted: &str) -> Error {
    Error::Invalid(format!("invalid value {value:?} of {key}: want {wanted}"))
}

#[cfg(test)]
#[path = "../tests/unit/defence.rs"]
mod tests;
