//! The ports of a place that another reaches.

use std::{collections::BTreeSet, fmt};

use hakone_base::{ExposedPort, Protocol};
use serde::{Deserialize, Serialize};

/// Which ports are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Whether every port of TCP is reached that is not named.
    pub tcp: bool,
    /// Whether every port of UDP is.
    pub udp: bool,
    /// Named ports that are reached.
    pub open: BTreeSet<ExposedPort>,
    /// Named ports that are not.
    pub closed: BTreeSet<ExposedPort>,
}

impl Ports {
    /// Reports whether none is reached.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.tcp && !self.udp && self.open.is_empty()
    }

    /// Reports whether all are.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.tcp && self.udp && self.closed.is_empty()
    }

    /// Adds what is reached in another way: it is enough to be reached in one.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.tcp |= other.tcp;
        self.udp |= other.udp;
        self.open.extend(&other.open);
        self.closed.extend(&other.closed);
        let open = &self.open;
        self.closed.retain(|port| !open.contains(port));
    }

    fn covers(&self, port: ExposedPort) -> bool {
        match port.protocol {
            Protocol::Tcp => self.tcp,
            Protocol::Udp => self.udp,
            Protocol::Sctp => false,
        }
    }
}

impl fmt::Display for Ports {
    /// `all`, `none`, `80/tcp`, `tcp, 53/udp`, `all but 22/tcp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        let mut parts: Vec<String> = Vec::new();
        match (self.tcp, self.udp) {
            (true, true) => parts.push("all".into()),
            (true, false) => parts.push("tcp".into()),
            (false, true) => parts.push("udp".into()),
            (false, false) => {}
        }
        let single = self.open.iter().filter(|port| !self.covers(**port));
        parts.extend(single.map(ToString::to_string));
        f.write_str(&parts.join(", "))?;
        let but = self.closed.iter().filter(|port| self.covers(**port));
        let but: Vec<String> = but.map(ToString::to_string).collect();
        match but.is_empty() {
            true => Ok(()),
            false => write!(f, " but {}", but.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(tcp: bool, udp: bool, open: &[&str], closed: &[&str]) -> String {
        let set = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let (open, closed) = (set(open), set(closed));
        Ports {
            tcp,
            udp,
            open,
            closed,
        }
        .to_string()
    }

    #[test]
    fn ports_read_as_people_say_them() {
        assert_eq!(ports(true, true, &["80/tcp"], &[]), "all");
        assert_eq!(ports(false, false, &[], &["80/tcp"]), "none");
        assert_eq!(
            ports(false, false, &["80/tcp", "53/udp"], &["22/tcp"]),
            "53/udp, 80/tcp"
        );
        assert_eq!(
            ports(true, false, &["53/udp", "80/tcp"], &[]),
            "tcp, 53/udp"
        );
        assert_eq!(ports(true, true, &[], &["22/tcp"]), "all but 22/tcp");
    }
}
