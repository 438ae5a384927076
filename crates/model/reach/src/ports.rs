//! The ports of a place that another reaches.

use std::{collections::BTreeSet, fmt};

use hakone_base::{ExposedPort, Port, Protocol};
use serde::{Deserialize, Serialize};

use crate::span::{Span, joined};

/// Which ports are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Whether every port of TCP is reached that is not named.
    pub tcp: bool,
    /// Whether every port of UDP is.
    pub udp: bool,
    /// Named ports that are reached: exposed, published, linked, opened by a policy.
    pub open: BTreeSet<Span>,
    /// Named ports that are not.
    pub closed: BTreeSet<Span>,
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
        self.closed.retain(|span| !open.contains(span));
    }

    /// Gives a port that nobody named; it stands for all of them.
    pub(crate) fn nameless(&self, protocol: Protocol) -> Option<ExposedPort> {
        let named: Vec<Span> = self.open.union(&self.closed).copied().collect();
        nameless(&named, protocol)
    }

    fn covers(&self, span: &Span) -> bool {
        match span.protocol {
            Protocol::Tcp => self.tcp,
            Protocol::Udp => self.udp,
            Protocol::Sctp => false,
        }
    }
}

impl fmt::Display for Ports {
    /// `all`, `none`, `80/tcp`, `tcp, 53/udp`, `all but 22/tcp`, `8000-8999/tcp`.
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
        let single = joined(self.open.iter().filter(|span| !self.covers(span)));
        parts.extend(single.iter().map(ToString::to_string));
        f.write_str(&parts.join(", "))?;
        let but = joined(self.closed.iter().filter(|span| self.covers(span)));
        let but: Vec<String> = but.iter().map(ToString::to_string).collect();
        match but.is_empty() {
            true => Ok(()),
            false => write!(f, " but {}", but.join(", ")),
        }
    }
}

/// A port outside of these spans; a high one, where services are rare.
pub(crate) fn nameless(spans: &[Span], protocol: Protocol) -> Option<ExposedPort> {
    let numbers = (54_321..=u16::MAX).chain((1..54_321).rev());
    let mut all = numbers
        .filter_map(Port::new)
        .map(|port| ExposedPort { port, protocol });
    all.find(|port| !spans.iter().any(|span| span.contains(*port)))
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
            "80/tcp, 53/udp"
        );
        assert_eq!(
            ports(true, false, &["53/udp", "80/tcp"], &[]),
            "tcp, 53/udp"
        );
        assert_eq!(ports(true, true, &[], &["22/tcp"]), "all but 22/tcp");
        let range = &["80/tcp", "81-90/tcp", "92/tcp", "93/udp"];
        assert_eq!(
            ports(false, false, range, &["91/tcp"]),
            "80-90/tcp, 92/tcp, 93/udp"
        );
    }
}
