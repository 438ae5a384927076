//! Hears what connection tracking and the rules tell: flows that begin and end, packets that a rule told of.
//!
//! Two sockets, for a flood of one must not cost the other. The bytes go to whoever asked, who knows how to read them; here it
//! is known what was lost: the kernel counts what found no room, for each socket.

use std::{
    fs,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use hakone_policy::{
    REFUSAL, TABLE,
    ruleset::{Family, TELL_BYTES, TELL_GROUP},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, getsockname, netlink,
        netlink::SocketAddrNetlink, recv, send, socket_with, sockopt,
    },
};

use crate::{
    Error,
    flows::{acknowledge, list},
    kernel::{
        GETRULE, GROUP_FLOW_GONE, GROUP_FLOW_NEW, LOG_BIND, LOG_CONFIG, LOG_COPY_PACKET,
        LOG_NUMBERED, NFTABLES, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, ULOG, attribute as a,
    },
    message::{Message, Received, all, find, messages},
    request::protocol,
};

/// Room for a datagram: the kernel's log packs many packets into one.
const DATAGRAM: usize = 256 * 1024;
/// Room for what is told while nobody reads; beyond it the kernel counts what it leaves out.
const BACKLOG: usize = 16 << 20;
/// Datagrams that one reading takes of each socket, so that a flood of one does not starve the other.
const READING: usize = 4096;
/// After how many hundredths of a second the kernel hands on a pack of packets that is not full.
const PATIENCE: u32 = 10;
/// The column of `/proc/net/netlink` that counts losses, and the one that names the socket.
const DROPS: usize = 8;
const PORT: usize = 2;

/// A listener of one network namespace.
#[derive(Debug)]
pub struct Witness {
    flows: Ear,
    told: Ear,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Ear {
    socket: OwnedFd,
    port: u32,
    overrun: bool,
    lost: u64,
}

/// What found no room since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Beginnings and ends of flows.
    pub flows: u64,
    /// Packs of packets that a rule told of.
    pub told: u64,
}

impl Witness {
    /// Begins to listen in the calling thread's namespace.
    ///
    /// # Errors
    /// When the kernel tells no flows or has no log, or somebody else listens to our group of it.
    pub fn open() -> Result<Self, Error> {
        let flows = Ear::open(1 << (GROUP_FLOW_NEW - 1) | 1 << (GROUP_FLOW_GONE - 1))?;
        let told = Ear::open(0)?;
        told.join_log()?;
        Ok(Self {
            flows,
            told,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Waits until something is told, the other descriptor is ready, or the time is over.
    ///
    /// # Errors
    /// When the kernel does not wait.
    pub fn wait(&self, other: BorrowedFd<'_>, time: std::time::Duration) -> Result<(), Error> {
        let mut ready = [
            PollFd::new(&self.flows.socket, PollFlags::IN),
            PollFd::new(&self.told.socket, PollFlags::IN),
            PollFd::from_borrowed_fd(other, PollFlags::IN),
        ];
        let time = Timespec::try_from(time).ok();
        match poll(&mut ready, time.as_ref()) {
            Err(Errno::INTR) => Ok(()),
            waited => Ok(waited.map(drop)?),
        }
    }

    /// Hands on what waits, without waiting itself; tells whether there may be more.
    ///
    /// # Errors
    /// When a socket fails.
    pub fn read(&mut self, mut hear: impl FnMut(&[u8])) -> Result<bool, Error> {
        let more = self.flows.read(&mut self.buffer, &mut hear)?;
        Ok(self.told.read(&mut self.buffer, &mut hear)? || more)
    }

    /// Tells what found no room since it was last asked.
    pub fn missed(&mut self) -> Missed {
        Missed {
            flows: self.flows.missed(),
            told: self.told.missed(),
        }
    }

    /// Counts the packets of which no rule told because others of its kind were told of already, by chain.
    ///
    /// # Errors
    /// When the kernel does not list our rules.
    pub fn untold(&self) -> Result<Vec<(String, u64)>, Error> {
        let socket = open(0)?;
        let mut untold = Vec::new();
        for family in [Family::Inet, Family::Bridge] {
            let kind = (NFTABLES << 8) | GETRULE;
            let mut request = Message::new(kind, NLM_F_REQUEST | NLM_F_DUMP, protocol(family), 0);
            request.text(a::RULE_TABLE, TABLE);
            untold.extend(list(&socket, request, counted)?);
        }
        Ok(untold)
    }
}

impl AsFd for Witness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.flows.socket.as_fd()
    }
}

impl Ear {
    fn open(groups: u32) -> Result<Self, Error> {
        let socket = open(groups)?;
        // Without the privilege the ordinary limit stands, and more is lost and told.
        sockopt::set_socket_recv_buffer_size_force(&socket, BACKLOG).ok();
        let port = SocketAddrNetlink::try_from(getsockname(&socket)?)?.pid();
        Ok(Self {
            socket,
            port,
            overrun: false,
            lost: 0,
        })
    }

    /// Joins our group of the kernel's log: headers of packets, numbered, in packs.
    fn join_log(&self) -> Result<(), Error> {
        let configure = |fill: &dyn Fn(&mut Message)| {
            let kind = (ULOG << 8) | LOG_CONFIG;
            let mut message = Message::new(kind, NLM_F_REQUEST | NLM_F_ACK, 0, TELL_GROUP);
            fill(&mut message);
            send(&self.socket, &message.finish(1), SendFlags::empty())?;
            let mut buffer = vec![0; 4096];
            let length = recv(&self.socket, &mut *buffer, RecvFlags::TRUNC)?.1;
            let answer = messages(buffer.get(..length).ok_or(Error::Reply)?).next();
            acknowledge(&answer.ok_or(Error::Reply)?)
        };
        configure(&|message| message.bytes(a::LOG_COMMAND, &[LOG_BIND]))?;
        configure(&|message| {
            let [x, y, z, w] = TELL_BYTES.to_be_bytes();
            message.bytes(a::LOG_MODE, &[x, y, z, w, LOG_COPY_PACKET, 0]);
            message.number(a::LOG_TIMEOUT, PATIENCE);
            message.bytes(a::LOG_FLAGS, &LOG_NUMBERED.to_be_bytes());
        })
    }

    fn read(&mut self, buffer: &mut [u8], hear: &mut impl FnMut(&[u8])) -> Result<bool, Error> {
        for _ in 0..READING {
            let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
            match recv(&self.socket, &mut *buffer, flags) {
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::NOBUFS) => self.overrun = true,
                received => {
                    let length = received?.1;
                    // A datagram longer than the buffer is one that the kernel never sends.
                    hear(buffer.get(..length).unwrap_or_default());
                }
            }
        }
        Ok(true)
    }

    /// Asks the kernel only after it said that something was lost.
    fn missed(&mut self) -> u64 {
        if !std::mem::take(&mut self.overrun) {
            return 0;
        }
        let table = fs::read_to_string("/proc/thread-self/net/netlink").unwrap_or_default();
        let total = drops(&table, self.port).unwrap_or(self.lost + 1);
        let missed = total.saturating_sub(self.lost);
        self.lost = total;
        missed
    }
}

fn open(groups: u32) -> Result<OwnedFd, Error> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(netlink::NETFILTER))?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

fn drops(table: &str, port: u32) -> Option<u64> {
    table.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let netfilter = *columns.get(1)? == "12";
        let ours = columns.get(PORT)?.parse() == Ok(port);
        (netfilter && ours).then(|| columns.get(DROPS)?.parse().ok())?
    })
}

/// The counter of a chain that tells of refusals: it counts what went beyond the pace.
fn counted(message: &Received<'_>) -> Option<(String, u64)> {
    let chain = message.attribute(a::RULE_CHAIN)?;
    let chain = String::from_utf8_lossy(chain.strip_suffix(&[0]).unwrap_or(chain)).into_owned();
    if !chain.starts_with(REFUSAL) {
        return None;
    }
    let expressions = message.attribute(a::RULE_EXPRESSIONS)?;
    let packets = all(expressions, a::LIST_ELEM).find_map(|expression| {
        let counter = find(expression, a::EXPR_NAME)? == b"counter\0";
        let data = find(expression, a::EXPR_DATA).filter(|_| counter)?;
        let packets = find(data, a::COUNTER_PACKETS)?;
        Some(u64::from_be_bytes(packets.try_into().ok()?))
    })?;
    Some((chain, packets))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
0000000000000000 0   17         00000000 0        0        0     2        4        111
0000000000000000 12  17         00000005 0        0        0     2        31       112
";

    #[test]
    fn the_kernel_counts_losses_for_each_socket() {
        assert_eq!(drops(TABLE, 17), Some(31));
        assert_eq!(drops(TABLE, 18), None);
        assert_eq!(drops("", 17), None);
    }
}
