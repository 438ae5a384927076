//! Lets one daemon alone keep the rules of a network namespace: two would take each other's for an attack and mend without end.
//!
//! The mark is a name among the abstract sockets of the namespace. It goes with the process that holds it, however that ends,
//! and it is seen from wherever the other daemon has its files.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::net::sockopt::socket_peercred;

const NAME: &str = "hakone/firewall";
/// How long a daemon that was killed may take to be gone: a child that it was starting holds its descriptors for a moment.
const PATIENCE: Duration = Duration::from_secs(3);

/// The right to keep the rules of a network namespace, for as long as it is held.
#[derive(Debug)]
pub struct Owner {
    _mark: UnixListener,
}

/// What came of asking for the right.
#[derive(Debug)]
pub enum Claim {
    /// It is ours.
    Ours(Owner),
    /// Another daemon has it.
    Anothers {
        /// Its process.
        process: u32,
    },
    /// Somebody else than a daemon holds the mark: a container in the host's network could keep us from starting this way.
    Nobodys,
}

impl Owner {
    /// Takes the right in the calling thread's network namespace.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn take() -> io::Result<Claim> {
        let name = SocketAddr::from_abstract_name(NAME)?;
        let start = Instant::now();
        loop {
            match UnixListener::bind_addr(&name) {
                Ok(mark) => return Ok(Claim::Ours(Self { _mark: mark })),
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(error),
                Err(_) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(50)),
                Err(_) => break,
            }
        }
        let anothers = |process| Claim::Anothers { process };
        Ok(holder(&name).map_or(Claim::Nobodys, anothers))
    }
}

/// Gives the process that holds the mark, when it sees the processes that we see; a container's does not.
fn holder(name: &SocketAddr) -> Option<u32> {
    let stream = UnixStream::connect_addr(name).ok()?;
    let peer = socket_peercred(&stream).ok()?;
    let process = peer.pid.as_raw_nonzero().get().cast_unsigned();
    let view = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    let same = view("self").is_some() && view(&process.to_string()) == view("self");
    same.then_some(process)
}
