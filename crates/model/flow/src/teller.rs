//! Makes lines of what the kernel told: whose addresses these were, between whom it was, which rule decided.

use std::{net::IpAddr, sync::Arc};

use hakone_base::{ContainerId, IfName, Timestamp};

use crate::{
    Direction, End, Event, Owner, Owners, Party, Record, Refusal, Tracked, Verdict,
    packet::protocol_name,
};

/// What is to be told, and who caused it: known before a line is made, so that a flood costs no lines.
#[derive(Debug)]
pub struct Teller<'a> {
    what: What<'a>,
    source: Option<&'a Arc<Owner>>,
    destination: Option<&'a Arc<Owner>>,
    direction: Option<Direction>,
}

#[derive(Debug)]
enum What<'a> {
    Began(&'a Tracked, Timestamp),
    Ended(&'a Tracked, Timestamp),
    Told(&'a Refusal, Option<&'a IfName>, Timestamp),
}

impl<'a> Teller<'a> {
    /// Looks at a flow that began; `None` when it concerns no container.
    #[must_use]
    pub fn began(owners: &'a Owners, flow: &'a Tracked, now: Timestamp) -> Option<Self> {
        let when = flow.began.unwrap_or(now);
        Self::of_flow(owners, flow, Some(when), What::Began(flow, now))
    }

    /// Looks at a flow that ended; without knowing when it began, only of whom was there all along.
    #[must_use]
    pub fn ended(owners: &'a Owners, flow: &'a Tracked, now: Timestamp) -> Option<Self> {
        Self::of_flow(owners, flow, flow.began, What::Ended(flow, now))
    }

    /// Looks at a packet that a rule told of. Who stands behind a port is known by the port, whatever the packet claims.
    #[must_use]
    pub fn told(
        owners: &'a Owners,
        refusal: &'a Refusal,
        interface: Option<&'a IfName>,
        now: Timestamp,
    ) -> Self {
        let when = refusal.at.unwrap_or(now);
        let claimed = refusal.packet.source;
        let behind = interface.and_then(|port| owners.behind(port, when));
        let source = behind.or_else(|| owners.at(claimed?, when));
        let wanted = refusal.packet.destination;
        let destination = wanted.and_then(|wanted| owners.at(wanted, when));
        let direction = match refusal.for_host && source.is_some() && destination.is_none() {
            true => Some(Direction::ToHost),
            false => direction(owners, (source, claimed), (destination, wanted)),
        };
        Self {
            what: What::Told(refusal, interface, when),
            source,
            destination,
            direction,
        }
    }

    fn of_flow(
        owners: &'a Owners,
        flow: &Tracked,
        when: Option<Timestamp>,
        what: What<'a>,
    ) -> Option<Self> {
        let (from, to) = (flow.original.source, flow.reply.source);
        let owner = |address| match when {
            Some(when) => owners.at(address, when),
            None => owners.always(address),
        };
        let (source, destination) = (owner(from), owner(to));
        let direction = direction(owners, (source, Some(from)), (destination, Some(to)));
        let ours = source.is_some() || destination.is_some();
        ours.then_some(Self {
            what,
            source,
            destination,
            direction,
        })
    }

    /// Tells who caused it, when a container did.
    #[must_use]
    pub fn sender(&self) -> Option<&ContainerId> {
        self.source.map(|owner| &owner.container)
    }

    /// Makes the line.
    #[must_use]
    pub fn record(&self) -> Record {
        match self.what {
            What::Began(flow, now) => self.flow(Event::Begin, flow, flow.began.unwrap_or(now)),
            What::Ended(flow, now) => Record {
                began: flow.began,
                sent: flow.sent,
                received: flow.received,
                ..self.flow(Event::End, flow, now)
            },
            What::Told(refusal, interface, at) => self.refusal(refusal, interface, at),
        }
    }

    fn flow(&self, event: Event, flow: &Tracked, at: Timestamp) -> Record {
        let (original, reply) = (&flow.original, &flow.reply);
        let named = (original.destination, original.destination_port);
        let is_published = named != (reply.source, reply.source_port);
        let published = is_published.then(|| End {
            address: Some(named.0),
            port: named.1,
            ..End::default()
        });
        Record {
            verdict: Some(Verdict::Allowed),
            rule: self.allowed_by(is_published).map(str::to_owned),
            direction: self.direction,
            protocol: Some(protocol_name(original.protocol)),
            source: Some(end(
                self.source,
                Some(original.source),
                original.source_port,
            )),
            destination: Some(end(self.destination, Some(reply.source), reply.source_port)),
            published,
            flow: flow.id,
            ..Record::new(at, event)
        }
    }

    fn refusal(&self, refusal: &Refusal, interface: Option<&IfName>, at: Timestamp) -> Record {
        let packet = &refusal.packet;
        let (event, verdict) = match (refusal.is_beginning(), refusal.is_audit()) {
            (true, _) => (Event::Begin, Verdict::Allowed),
            (false, true) => (Event::Audit, Verdict::Allowed),
            (false, false) => (Event::Drop, Verdict::Dropped),
        };
        let source = End {
            mac: packet.ether,
            ..end(self.source, packet.source, packet.source_port)
        };
        Record {
            verdict: Some(verdict),
            rule: Some(refusal.words.clone()),
            direction: self.direction,
            protocol: packet.protocol.clone(),
            source: Some(source),
            destination: Some(end(
                self.destination,
                packet.destination,
                packet.destination_port,
            )),
            sent: packet
                .length
                .map(|bytes| crate::Volume { bytes, packets: 1 }),
            interface: interface.map(ToString::to_string),
            ..Record::new(at, event)
        }
    }

    /// Names the chain whose rules let a flow pass; what the host itself begins no rule judges.
    fn allowed_by(&self, is_published: bool) -> Option<&'static str> {
        match (is_published, self.direction?) {
            (_, Direction::FromHost) => None,
            (true, _) => Some("entering: published"),
            (false, Direction::Internal) => Some("forward: members of one network"),
            (false, Direction::Outbound) => Some("forward: out of a network"),
            (false, Direction::Inbound) => Some("entering: published, routed directly"),
            (false, Direction::ToHost) => Some("input: to the host"),
        }
    }
}

fn direction(
    owners: &Owners,
    (source, from): (Option<&Arc<Owner>>, Option<IpAddr>),
    (destination, to): (Option<&Arc<Owner>>, Option<IpAddr>),
) -> Option<Direction> {
    let is_host = |address: Option<IpAddr>| address.is_some_and(|one| owners.is_host(one));
    match (source, destination) {
        (Some(_), Some(_)) => Some(Direction::Internal),
        (Some(_), None) if is_host(to) => Some(Direction::ToHost),
        (Some(_), None) => Some(Direction::Outbound),
        (None, Some(_)) if is_host(from) => Some(Direction::FromHost),
        (None, Some(_)) => Some(Direction::Inbound),
        (None, None) => None,
    }
}

fn end(owner: Option<&Arc<Owner>>, address: Option<IpAddr>, port: Option<u16>) -> End {
    let party = |id: &str, name: &str| Party {
        id: id.to_owned(),
        name: name.to_owned(),
    };
    End {
        address,
        port,
        mac: None,
        container: owner.map(|owner| party(owner.container.as_str(), &owner.name)),
        network: owner.map(|owner| party(owner.network.as_str(), &owner.network_name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Packet, Tuple,
        owners::tests::{owner, seconds},
    };

    fn owners() -> Owners {
        let mut owners = Owners::default();
        let all = vec![owner(1, "web", "172.17.0.2"), owner(2, "db", "172.17.0.3")];
        owners.observe(all, seconds(1));
        owners.observe_host(["192.0.2.1".parse().unwrap()].into());
        owners
    }

    fn tuple(source: &str, destination: &str, ports: (u16, u16)) -> Tuple {
        Tuple {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: 6,
            source_port: Some(ports.0),
            destination_port: Some(ports.1),
        }
    }

    fn flow(original: Tuple, reply: Tuple) -> Tracked {
        Tracked {
            id: Some(5),
            original,
            reply,
            sent: None,
            received: None,
            began: Some(seconds(50)),
        }
    }

    #[test]
    fn a_published_port_leads_to_its_container() {
        let owners = owners();
        let flow = flow(
            tuple("198.51.100.7", "192.0.2.1", (4000, 8080)),
            tuple("172.17.0.2", "198.51.100.7", (80, 4000)),
        );
        let record = Teller::began(&owners, &flow, seconds(60)).unwrap().record();
        let container = record.destination.unwrap().container.unwrap();
        assert_eq!(
            (container.name.as_str(), record.direction),
            ("web", Some(Direction::Inbound))
        );
        assert_eq!(record.published.unwrap().port, Some(8080));
        assert_eq!(record.rule.as_deref(), Some("entering: published"));
    }

    #[test]
    fn flows_of_the_host_alone_are_not_told() {
        let owners = owners();
        let flow = flow(
            tuple("192.0.2.1", "198.51.100.7", (4000, 443)),
            tuple("198.51.100.7", "192.0.2.1", (443, 4000)),
        );
        assert!(Teller::began(&owners, &flow, seconds(60)).is_none());
    }

    #[test]
    fn a_forged_source_is_told_by_the_port_that_it_came_from() {
        let owners = owners();
        let refusal = Refusal {
            words: "from_ip: forged source".into(),
            interface: Some(4),
            for_host: false,
            at: None,
            sequence: None,
            packet: Packet {
                source: "172.17.0.3".parse().ok(),
                destination: "172.17.0.2".parse().ok(),
                ..Packet::default()
            },
        };
        let port = "hk1".parse().ok();
        let told = Teller::told(&owners, &refusal, port.as_ref(), seconds(60));
        let record = told.record();
        let source = record.source.unwrap();
        assert_eq!(source.container.unwrap().name, "web");
        assert_eq!(source.address.unwrap().to_string(), "172.17.0.3");
        assert_eq!(
            (record.event, record.verdict),
            (Event::Drop, Some(Verdict::Dropped))
        );
    }

    #[test]
    fn a_flow_that_ends_is_whose_it_was_when_it_began() {
        let mut owners = owners();
        owners.observe(vec![owner(2, "db", "172.17.0.3")], seconds(100));
        owners.observe(
            vec![owner(2, "db", "172.17.0.3"), owner(7, "evil", "172.17.0.2")],
            seconds(101),
        );
        let flow = flow(
            tuple("172.17.0.2", "198.51.100.7", (4000, 443)),
            tuple("198.51.100.7", "192.0.2.1", (443, 4000)),
        );
        let record = Teller::ended(&owners, &flow, seconds(200))
            .unwrap()
            .record();
        assert_eq!(record.source.unwrap().container.unwrap().name, "web");
        let unknown = Tracked {
            began: None,
            ..flow
        };
        assert!(Teller::ended(&owners, &unknown, seconds(200)).is_none());
    }

    #[test]
    fn what_begins_between_members_is_no_drop() {
        let owners = owners();
        let refusal = Refusal {
            words: hakone_policy::BEGINNING.into(),
            interface: None,
            for_host: false,
            at: None,
            sequence: None,
            packet: Packet::default(),
        };
        let record = Teller::told(&owners, &refusal, None, seconds(60)).record();
        assert_eq!(
            (record.event, record.verdict),
            (Event::Begin, Some(Verdict::Allowed))
        );
    }
}
