//! Looks a log server's name up again, in a process of its own: nothing here ever waits for a name server.
//!
//! The supervisor is single-threaded, so a fork may go on with any code. What the child found comes through a pipe, one address a
//! line; a child that takes too long is ended. It holds no other descriptor of ours: a client's connection ends when the
//! supervisor ends it, however long a name server thinks.

use std::{
    io::Write as _,
    net::{SocketAddr, ToSocketAddrs as _},
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

use hakone_sys::{exit_now, fork, with_one_descriptor};
use rustix::{
    io::{Errno, read},
    pipe::{PipeFlags, pipe_with},
    process::{PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid},
};

/// How long a name server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many addresses of a name are believed; as many lines fit in a pipe.
const ADDRESSES: usize = 4;

/// A look-up under way.
#[derive(Debug)]
pub(super) struct Lookup {
    child: OwnedFd,
    answer: OwnedFd,
    heard: Vec<u8>,
    begun: Instant,
}

impl Lookup {
    /// Begins to look a name up; nothing when no process can be made.
    pub(super) fn begin(name: &(String, u16)) -> Option<Self> {
        let (answer, found) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        match fork() {
            Ok(Some(child)) => Some(Self {
                child: pidfd_open(child, PidfdFlags::empty()).ok()?,
                answer,
                heard: Vec::new(),
                begun: Instant::now(),
            }),
            Ok(None) => with_one_descriptor(3, found, |found| {
                tell(found, name);
                exit_now(0)
            }),
            Err(_) => None,
        }
    }

    /// Gives what was found, nothing while it is being looked for. None at all is an answer too.
    pub(super) fn end(&mut self) -> Option<Vec<SocketAddr>> {
        let mut buffer = [0; 512];
        loop {
            match read(&self.answer, &mut buffer) {
                Ok(0) => return Some(addresses(&self.heard)),
                Ok(count) => self
                    .heard
                    .extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.begun.elapsed() < PATIENCE => return None,
                Err(_) => return Some(Vec::new()),
            }
        }
    }
}

impl Drop for Lookup {
    /// Ends the child; by descriptor, for somebody else may have reaped it long ago.
    fn drop(&mut self) {
        pidfd_send_signal(&self.child, Signal::KILL).ok();
        let end = WaitId::PidFd(self.child.as_fd());
        waitid(end, WaitIdOptions::EXITED).ok();
    }
}

fn tell(pipe: OwnedFd, (name, port): &(String, u16)) {
    let found = (name.as_str(), *port).to_socket_addrs();
    let found = found.into_iter().flatten().take(ADDRESSES);
    let text: String = found.map(|address| format!("{address}\n")).collect();
    std::fs::File::from(pipe).write_all(text.as_bytes()).ok();
}

fn addresses(text: &[u8]) -> Vec<SocketAddr> {
    let text = String::from_utf8_lossy(text);
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_left_out() {
        let text = b"10.0.0.1:514\nnonsense\n[fe80::1%2]:9\n[::1]:9\n10.0.";
        assert_eq!(
            addresses(text),
            ["10.0.0.1:514", "[fe80::1%2]:9", "[::1]:9"].map(|one| one.parse().unwrap())
        );
    }
}
