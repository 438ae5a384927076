//! Answers programs that ask for an ICMP socket: `ping` in a container without `CAP_NET_RAW`.
//!
//! The container's filter puts exactly this call to us (`Resolved::with_ping`). The socket is made in the caller's own network
//! namespace, never in the host's, and only for a caller with power over that network; whom we give nothing the kernel judges, as
//! without us: a caller without `CAP_NET_RAW` gets `EPERM`, one that was given it gets its socket.

use std::{
    fs,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    time::{Duration, Instant},
};

use hakone_netns::Netns;
use hakone_sys::{Question, answer_descriptor, answer_nothing, is_waiting, receive_question};
use rustix::{
    event::PollFlags,
    net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with},
    process::Pid,
};

use crate::{server::Server, socketcall};

/// ICMP sockets that a container gets in a [`PERIOD`]: enough for monitors, too few to keep us busy.
pub(crate) const PINGS: u32 = 64;
const PERIOD: Duration = Duration::from_secs(1);
/// The capability to bind low ports, which a container's root has and its other users do not (capabilities(7)).
const NET_BIND_SERVICE: u64 = 1 << 10;

/// How many sockets may still be given out.
#[derive(Debug)]
pub(crate) struct Allowance {
    since: Instant,
    each: u32,
    left: u32,
}

impl Allowance {
    /// Allows so many in a [`PERIOD`].
    pub(crate) fn new(now: Instant, each: u32) -> Self {
        Self {
            since: now,
            each,
            left: each,
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Option<()> {
        if now.duration_since(self.since) >= PERIOD {
            *self = Self::new(now, self.each);
        }
        self.left = self.left.checked_sub(1)?;
        Some(())
    }
}

impl Server {
    /// Answers from now on what the filter of a process asks.
    pub(crate) fn listen(&mut self, listener: Option<OwnedFd>) {
        if let Some(listener) = listener {
            let key = self.key();
            self.filters.insert(key, listener);
        }
    }

    /// Answers one question; forgets a filter that nobody lives under any more.
    pub(crate) fn answer_filter(&mut self, key: u32, flags: PollFlags) {
        let Some(listener) = self.filters.get(&key) else {
            return;
        };
        if !flags.contains(PollFlags::IN) {
            self.filters.remove(&key);
            return;
        }
        // A caller that was interrupted asks no more.
        let Ok(question) = receive_question(listener.as_fd()) else {
            return;
        };
        if let Some(call) = socketcall::recognize(&question) {
            return self.answer_socketcall(key, &question, call);
        }
        let allowed = self.allowance.take(Instant::now());
        if allowed
            .and_then(|()| give(listener.as_fd(), &question))
            .is_none()
        {
            // Gone meanwhile is answered enough.
            answer_nothing(listener.as_fd(), question.id).ok();
        }
    }
}

/// Gives the socket; nothing to who is not to have it, or waits no longer.
fn give(listener: BorrowedFd<'_>, question: &Question) -> Option<()> {
    let caller = question.caller?;
    let [family, kind, ..] = question.arguments;
    let (family, protocol) = match u32::try_from(family & u64::from(u32::MAX)) {
        Ok(2) => (AddressFamily::INET, ipproto::ICMP),
        Ok(10) => (AddressFamily::INET6, ipproto::ICMPV6),
        _ => return None,
    };
    let has = |flag: SocketFlags| kind & u64::from(flag.bits()) != 0;
    let netns = Netns::of_process(caller.as_raw_nonzero().get()).ok()?;
    // What was read under the caller's number was the caller's only if it still waits.
    if !may(caller) || is_ours(&netns) || !is_waiting(listener, question.id) {
        return None;
    }
    let mut flags = SocketFlags::CLOEXEC;
    flags.set(SocketFlags::NONBLOCK, has(SocketFlags::NONBLOCK));
    let made = netns.on(|| socket_with(family, SocketType::RAW, flags, Some(protocol)));
    let socket = made.ok()?.ok()?;
    let close_on_exec = has(SocketFlags::CLOEXEC);
    answer_descriptor(listener, question.id, socket.as_fd(), close_on_exec).ok()
}

fn may(caller: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", caller.as_raw_nonzero()));
    status.is_ok_and(|status| effective(&status) & NET_BIND_SERVICE != 0)
}

/// Reads the effective capabilities out of `/proc/PID/status`; none if it has no such line.
fn effective(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or_default()
}

/// Reports whether a namespace is the one that we live in, the host's.
fn is_ours(netns: &Netns) -> bool {
    let identity = |path: String| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    let theirs = identity(format!("/proc/self/fd/{}", netns.as_fd().as_raw_fd()));
    theirs.is_none() || theirs == identity("/proc/self/ns/net".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_read_from_the_effective_set() {
        let status =
            "CapInh:\t0000000000000400\nCapPrm:\t0000000000000400\nCapEff:\t00000000800005fb\n";
        assert_eq!(effective(status) & NET_BIND_SERVICE, NET_BIND_SERVICE);
        assert_eq!(
            effective("CapPrm:\t0000000000000400\nCapEff:\t0000000000000000\n"),
            0
        );
        assert_eq!(effective("CapEff:\tnonsense\n"), 0);
    }

    #[test]
    fn a_second_has_so_many_sockets() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start, PINGS);
        for _ in 0..PINGS {
            allowance.take(start).unwrap();
        }
        assert!(allowance.take(start).is_none());
        assert!(allowance.take(start + PERIOD).is_some());
    }
}
