//! What one line of the flow log says that began: by whom, with whom, at which port.

use std::net::IpAddr;

use hakone_base::Protocol;
use hakone_flow_model::{Direction, End, Event, Record, Verdict};

/// Both ends of a flow, as far as it has ports: what is known by them may be told twice, from either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ends {
    pub(crate) from: (IpAddr, Option<u16>),
    pub(crate) to: (IpAddr, Option<u16>),
    pub(crate) protocol: Protocol,
}

/// What is to be made of a line.
pub(crate) enum Seen<'a> {
    /// This began.
    Flow(&'a End, &'a End, Ends),
    /// Something passed that no policy says, such as a ping.
    Unsayable(String),
    /// It says nothing of who may begin what.
    Nothing,
}

/// Reads a line. What the host began needs nobody's consent, and what was dropped is not learned.
pub(crate) fn seen(record: &Record) -> Seen<'_> {
    let began = matches!(record.event, Event::Begin | Event::End | Event::Audit);
    let allowed = record.verdict == Some(Verdict::Allowed);
    let by_host = record.direction == Some(Direction::FromHost);
    let (Some(source), Some(destination)) = (&record.source, &record.destination) else {
        return Seen::Nothing;
    };
    if !began || !allowed || by_host {
        return Seen::Nothing;
    }
    let (Some(from), Some(to)) = (source.address, destination.address) else {
        return Seen::Nothing;
    };
    let word = record.protocol.as_deref().unwrap_or_default();
    let known = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let Some(protocol) = known.into_iter().find(|one| one.as_str() == word) else {
        return Seen::Unsayable(format!("{word} from {from} to {to}"));
    };
    if is_shared(to) || destination.port.is_none() {
        return Seen::Unsayable(format!("{word} from {from} to {to}"));
    }
    let ends = Ends {
        from: (from, source.port),
        to: (to, destination.port),
        protocol,
    };
    Seen::Flow(source, destination, ends)
}

/// To many at once: policies end it between members.
fn is_shared(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::from([255; 4])
}

impl Ends {
    /// Gives the flow as it would be told from the other side.
    pub(crate) const fn reversed(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            protocol: self.protocol,
        }
    }
}
