//! The TCP connections of a network namespace, as its sockets tell of them (`sock_diag`), and their end.
//!
//! Who led flows past connection tracking asks here what flows there are: the kernel has each connection at both its ends, and knows
//! which of them listens. A container's sockets are a container's word: what one end says counts when the other end says so too.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
        socket_with,
    },
};

use crate::{
    Error,
    kernel::{
        AF_INET, AF_INET6, IPPROTO_TCP, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE,
        NLMSG_ERROR, SOCK_DESTROY, SOCK_DIAG_BY_FAMILY, TCP_CLOSE_WAIT, TCP_ESTABLISHED,
        TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LISTEN,
    },
    message::{Message, messages},
    socket::errno,
};

/// Room for a datagram of a dump.
const DATAGRAM: usize = 64 * 1024;
/// How many sockets of one namespace are read: a container may have as many as it likes.
const MOST: usize = 1 << 16;
/// The states in which data may still come from either end, and that of a listener.
const STATES: u32 = 1 << TCP_ESTABLISHED
    | 1 << TCP_FIN_WAIT1
    | 1 << TCP_FIN_WAIT2
    | 1 << TCP_CLOSE_WAIT
    | 1 << TCP_LISTEN;

/// A socket that asks the namespace in which it was opened for its TCP connections.
#[derive(Debug)]
pub struct Connections(OwnedFd);

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// This end.
    pub own: SocketAddr,
    /// The other end.
    pub other: SocketAddr,
    /// Whether somebody listens at this end's port: then the other end began, as far as one can know here.
    pub listens: bool,
    /// `family` and `struct inet_diag_sockid`, by which the kernel knows it.
    socket: (u8, Vec<u8>),
}

/// A socket as the kernel tells of it.
struct Told {
    state: u8,
    own: SocketAddr,
    other: SocketAddr,
    socket: (u8, Vec<u8>),
}

impl Connections {
    /// Opens a socket in the calling thread's namespace.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn open() -> Result<Self, Error> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        let protocol = Some(netlink::SOCK_DIAG);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
        Ok(Self(socket))
    }

    /// Lists the connections, of both families; an IPv4 one of a socket for both is one of IPv4. After tens of thousands no
    /// more are read.
    ///
    /// # Errors
    /// When the kernel has no `inet_diag`.
    pub fn list(&self) -> Result<Vec<Connection>, Error> {
        let mut told = Vec::new();
        for family in [AF_INET, AF_INET6] {
            if !self.dump(family, &mut told)? {
                break;
            }
        }
        let listening = told.iter().filter(|one| one.state == TCP_LISTEN);
        let listening: BTreeSet<SocketAddr> = listening.map(|one| one.own).collect();
        let connected = told.into_iter().filter(|one| one.state != TCP_LISTEN);
        let connections = connected.map(|one| Connection {
            listens: is_listened_at(&listening, one.own),
            own: one.own,
            other: one.other,
            socket: one.socket,
        });
        Ok(connections.collect())
    }

    /// Ends a connection, as if the network had gone: both its program and the other end are told. One that ended by itself
    /// meanwhile is no failure.
    ///
    /// # Errors
    /// When the kernel cannot (`INET_DIAG_DESTROY`).
    pub fn end(&self, connection: &Connection) -> Result<(), Error> {
        let (family, id) = &connection.socket;
        let flags = NLM_F_REQUEST | NLM_F_ACK;
        let question = Message::new(SOCK_DESTROY, flags, &request(*family, u32::MAX, id));
        send(&self.0, &question.finish(1), SendFlags::empty())?;
        let mut buffer = vec![0; DATAGRAM];
        let length = recv(&self.0, &mut *buffer, RecvFlags::TRUNC)?.1;
        let datagram = buffer.get(..length).ok_or(Error::Reply)?;
        let answer = messages(datagram).next().ok_or(Error::Reply)?;
        match errno(&answer) {
            None | Some(Errno::NOENT) => Ok(()),
            Some(source) => Err(Error::Socket(source)),
        }
    }

    /// Reads one family's; false after the most that are read.
    fn dump(&self, family: u8, told: &mut Vec<Told>) -> Result<bool, Error> {
        let nobody = [0; SOCKET_ID];
        let flags = NLM_F_REQUEST | NLM_F_DUMP;
        let question = Message::new(
            SOCK_DIAG_BY_FAMILY,
            flags,
            &request(family, STATES, &nobody),
        );
        send(&self.0, &question.finish(1), SendFlags::empty())?;
        let mut buffer = vec![0; DATAGRAM];
        while told.len() < MOST {
            let length = recv(&self.0, &mut *buffer, RecvFlags::TRUNC)?.1;
            let datagram = buffer.get(..length).ok_or(Error::Reply)?;
            for message in messages(datagram) {
                match message.kind {
                    NLMSG_DONE => return Ok(true),
                    NLMSG_ERROR => return errno(&message).map_or(Ok(true), |e| Err(e.into())),
                    _ => told.extend(read(message.payload)),
                }
            }
        }
        Ok(false)
    }
}

/// Bytes of `struct inet_diag_sockid`.
const SOCKET_ID: usize = 48;

/// `struct inet_diag_req_v2`.
fn request(family: u8, states: u32, id: &[u8]) -> Vec<u8> {
    let mut bytes = vec![family, IPPROTO_TCP, 0, 0];
    bytes.extend(states.to_ne_bytes());
    bytes.extend(id);
    bytes
}

/// `struct inet_diag_msg`.
fn read(payload: &[u8]) -> Option<Told> {
    let (family, state) = (*payload.first()?, *payload.get(1)?);
    let id = payload.get(4..4 + SOCKET_ID)?;
    let port = |at: usize| Some(u16::from_be_bytes(id.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| address(family, id.get(at..at + 16)?);
    Some(Told {
        state,
        own: SocketAddr::new(address(4)?, port(0)?),
        other: SocketAddr::new(address(20)?, port(2)?),
        socket: (family, id.to_vec()),
    })
}

fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    let address = match family {
        AF_INET => IpAddr::from(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?),
        AF_INET6 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(address.to_canonical())
}

/// A listener at every IPv6 address may be one at every IPv4 address, too.
fn is_listened_at(listening: &BTreeSet<SocketAddr>, own: SocketAddr) -> bool {
    let at = |address: IpAddr| listening.contains(&SocketAddr::new(address, own.port()));
    let every = [[0_u8; 4].into(), [0_u16; 8].into()];
    at(own.ip()) || every.into_iter().any(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(family: u8, own: [u8; 16]) -> Vec<u8> {
        let mut bytes = vec![family, TCP_ESTABLISHED, 0, 0, 0, 80, 0xa0, 0];
        bytes.extend(own);
        bytes.resize(72, 0);
        bytes
    }

    #[test]
    fn an_ipv4_connection_of_a_socket_for_both_families_is_one_of_ipv4() {
        let mut mapped = [0; 16];
        mapped[10..].copy_from_slice(&[0xff, 0xff, 10, 0, 0, 1]);
        let one = read(&told(AF_INET6, mapped)).unwrap();
        assert_eq!(one.own, "10.0.0.1:80".parse().unwrap());
        assert_eq!(one.other.port(), 40960);
    }

    #[test]
    fn a_torn_answer_and_another_family_are_nothing() {
        let whole = told(AF_INET, [0; 16]);
        assert!(read(&whole).is_some());
        (0..52).for_each(|cut| assert!(read(&whole[..cut]).is_none()));
        assert!(read(&told(1, [0; 16])).is_none());
    }

    #[test]
    fn who_listens_everywhere_listens_at_each_address() {
        let every = BTreeSet::from(["[::]:80".parse().unwrap()]);
        let is = |own: &str| is_listened_at(&every, own.parse().unwrap());
        assert!(is("10.0.0.1:80") && is("[fd00::1]:80"));
        assert!(!is("10.0.0.1:81"));
        let one = BTreeSet::from(["10.0.0.2:80".parse().unwrap()]);
        assert!(!is_listened_at(&one, "10.0.0.1:80".parse().unwrap()));
    }
}
