//! Tells connection tracking of TCP connections that it has not seen begin, and makes it forget one.
//!
//! A packet from the middle of a connection says who sends it, not who began. Taken for a first one, an answer of the server's is
//! the server that reaches for its client's port; so whoever knows better says so before.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
};

use hakone_base::Protocol;

use crate::{
    Error,
    flows::{forget, message, open, request},
    kernel::{
        NEW_FLOW, NLM_F_ACK, NLM_F_CREATE, STATUS_ANSWERED, STATUS_ASSURED, STATUS_CONFIRMED,
        TRACKED_ESTABLISHED, TRACKED_LIBERALLY, attribute as a,
    },
    message::Message,
};

/// How long the kernel remembers a quiet connection, and what it does where it does not say so.
const PATIENCE: &str = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established";
const FIVE_DAYS: u32 = 432_000;

/// A TCP connection and who began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Established {
    /// Who began.
    pub client: SocketAddr,
    /// Whom it reached.
    pub server: SocketAddr,
}

/// Notes connections as established. One that is known is known anew: perhaps it went on unseen meanwhile, and its sequence numbers
/// are far from where they were. Works on the calling thread's network namespace.
///
/// # Errors
/// When the kernel has no connection tracking or refuses.
pub fn note_established(connections: &[Established]) -> Result<(), Error> {
    if connections.is_empty() {
        return Ok(());
    }
    let socket = open()?;
    let patience = fs::read_to_string(PATIENCE).ok();
    let patience = patience.and_then(|text| text.trim().parse().ok());
    let patience = patience.unwrap_or(FIVE_DAYS);
    let mut all = connections.iter();
    all.try_for_each(|connection| request(&socket, note(connection, patience)))
}

/// Forgets connections, whichever end is taken for the one that began. Works on the calling thread's network namespace.
///
/// # Errors
/// When the kernel has no connection tracking or refuses.
pub fn forget_established(connections: &[Established]) -> Result<(), Error> {
    if connections.is_empty() {
        return Ok(());
    }
    let socket = open()?;
    for Established { client, server } in connections {
        for (from, to) in [(client, server), (server, client)] {
            let mut original = Message::attributes();
            tuple(&mut original, *from, *to);
            forget(&socket, client.is_ipv6(), &original.written())?;
        }
    }
    Ok(())
}

fn note(connection: &Established, patience: u32) -> Message {
    let Established { client, server } = *connection;
    let flags = NLM_F_ACK | NLM_F_CREATE;
    let mut request = message(NEW_FLOW, flags, client.is_ipv6());
    request.nest(a::FLOW_ORIGINAL, |one| tuple(one, client, server));
    request.nest(a::FLOW_REPLY, |one| tuple(one, server, client));
    let status = STATUS_CONFIRMED | STATUS_ANSWERED | STATUS_ASSURED;
    request.number(a::FLOW_STATUS, status);
    request.number(a::FLOW_TIMEOUT, patience);
    request.nest(a::FLOW_STATE, |state| {
        state.nest(a::STATE_TCP, |tcp| {
            tcp.bytes(a::TCP_STATE, &[TRACKED_ESTABLISHED]);
            // Nobody saw how far either end is: its sequence numbers are believed.
            let liberally = [TRACKED_LIBERALLY, TRACKED_LIBERALLY];
            tcp.bytes(a::TCP_FLAGS_ORIGINAL, &liberally);
            tcp.bytes(a::TCP_FLAGS_REPLY, &liberally);
        });
    });
    request
}

fn tuple(message: &mut Message, from: SocketAddr, to: SocketAddr) {
    message.nest(a::TUPLE_ADDRESSES, |addresses| {
        match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                addresses.bytes(a::ADDRESS_FROM, &from.octets());
                addresses.bytes(a::ADDRESS_TO, &to.octets());
            }
            (from, to) => {
                addresses.bytes(a::ADDRESS_FROM_V6, &six(from));
                addresses.bytes(a::ADDRESS_TO_V6, &six(to));
            }
        };
    });
    message.nest(a::TUPLE_PROTOCOL, |protocol| {
        protocol.bytes(a::PROTOCOL_NUMBER, &[Protocol::Tcp.number()]);
        protocol.bytes(a::PROTOCOL_FROM, &from.port().to_be_bytes());
        protocol.bytes(a::PROTOCOL_TO, &to.port().to_be_bytes());
    });
}

fn six(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        IpAddr::V6(six) => six.octets(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hakone_netns::Netns;

    use super::*;

    fn connection(client: &str, server: &str) -> Established {
        Established {
            client: client.parse().unwrap(),
            server: server.parse().unwrap(),
        }
    }

    #[test]
    fn what_is_noted_is_known_once_and_can_be_forgotten() {
        let test = |_: &Netns| {
            let four = connection("10.0.0.1:40000", "10.0.0.2:80");
            let six = connection("[fd00::1]:40000", "[fd00::2]:80");
            note_established(&[four, six, four]).unwrap();
            let listed = || fs::read_to_string("/proc/thread-self/net/nf_conntrack").unwrap();
            let known = listed();
            assert_eq!(known.matches("ESTABLISHED").count(), 2, "{known}");
            assert_eq!(known.matches("[ASSURED]").count(), 2, "{known}");
            // From either end.
            let turned = connection("10.0.0.2:80", "10.0.0.1:40000");
            forget_established(&[turned, six]).unwrap();
            let begun = Instant::now();
            while !listed().is_empty() {
                assert!(begun.elapsed() < Duration::from_secs(60), "{}", listed());
            }
        };
        Netns::create(test).unwrap();
    }
}
