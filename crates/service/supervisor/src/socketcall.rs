//! Makes the sockets of 32-bit programs, whose `socketcall` keeps its arguments in memory, where no filter can judge them.
//!
//! The container's filter puts these calls to us (`Resolved::with_judged_socketcall`). They are never let through: the caller could
//! change its memory after we looked. A child of ours reads the arguments once, judges the family, becomes what the caller is
//! (control groups, network, user, power) so that the kernel judges and counts as if the caller had called, makes the
//! socket and hands it over. It cannot be traced, and is gone after one answer.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    time::Instant,
};

use hakone_cgroup::Door;
use hakone_netns::Netns;
use hakone_seccomp::{SocketRequest, Socketcall};
use hakone_sys::{
    Forked, Namespaces, Question, add_descriptor, answer_descriptor, answer_result, clone_process,
    exit_now, is_waiting,
};
use rustix::{
    io::Errno,
    net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with, socketpair},
    process::{DumpableBehavior, Gid, Pid, Uid, set_dumpable_behavior},
    thread::{
        CapabilitySet, CapabilitySets, LinkNameSpaceType, move_into_link_name_space,
        set_capabilities, set_keep_capabilities, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid,
    },
};

use crate::{ping::Allowance, server::Server};

/// Sockets that a container gets this way in a second: each costs a short-lived process.
const SOCKETS: u32 = 1024;
/// The part of a socket's type that is not a flag.
const KIND: u32 = 0xf;

/// The children that make sockets: whom each of them is to answer.
#[derive(Debug)]
pub(crate) struct Makers {
    at_work: BTreeMap<i32, (u32, u64)>,
    allowance: Allowance,
}

impl Makers {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            at_work: BTreeMap::new(),
            allowance: Allowance::new(now, SOCKETS),
        }
    }
}

/// Recognizes the call.
pub(crate) fn recognize(question: &Question) -> Option<Socketcall> {
    Socketcall::recognize(question.architecture, question.number, &question.arguments)
}

impl Server {
    /// Has the call answered by a child.
    pub(crate) fn answer_socketcall(&mut self, key: u32, question: &Question, call: Socketcall) {
        if let (Err(errno), Some(listener)) =
            (self.delegate(key, question, call), self.filters.get(&key))
        {
            // Gone meanwhile is answered enough.
            answer_result(listener.as_fd(), question.id, Err(errno)).ok();
        }
    }

    fn delegate(&mut self, key: u32, question: &Question, call: Socketcall) -> Result<(), Errno> {
        let allowed = self.makers.allowance.take(Instant::now());
        allowed.ok_or(Errno::NOBUFS)?;
        let listener = self.filters.get(&key).ok_or(Errno::NOENT)?;
        let container = self.container.as_ref().ok_or(Errno::NOENT)?;
        let cgroup = container.cgroup().ok_or(Errno::NOENT)?;
        let door = cgroup.door().map_err(|_gone| Errno::NOENT)?;
        // At its limit of processes the container gets no socket either.
        match clone_process(Namespaces::NONE, door.unified()).map_err(|_limit| Errno::NOMEM)? {
            Forked::Parent { child, .. } => {
                let work = (key, question.id);
                self.makers
                    .at_work
                    .insert(child.as_raw_nonzero().get(), work);
                Ok(())
            }
            Forked::Child => work(listener.as_fd(), question, call, &door),
        }
    }

    /// Answers for a child that ended; one that was killed left its caller waiting.
    pub(crate) fn forget_maker(&mut self, child: Pid) {
        let Some((key, id)) = self.makers.at_work.remove(&child.as_raw_nonzero().get()) else {
            return;
        };
        if let Some(listener) = self.filters.get(&key) {
            answer_result(listener.as_fd(), id, Err(Errno::NOMEM)).ok();
        }
    }
}

/// The child's whole life.
fn work(listener: BorrowedFd<'_>, question: &Question, call: Socketcall, door: &Door) -> ! {
    if let Err(errno) = make(listener, question, call, door) {
        answer_result(listener, question.id, Err(errno)).ok();
    }
    exit_now(0)
}

fn make(
    listener: BorrowedFd<'_>,
    question: &Question,
    call: Socketcall,
    door: &Door,
) -> Result<(), Errno> {
    door.enter().map_err(|_limit| Errno::NOMEM)?;
    // With the caller's power, the container could trace us where it sees the host's processes.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let caller = Caller::open(question.caller.ok_or(Errno::PERM)?).ok_or(Errno::PERM)?;
    // What was opened under the caller's number was the caller's only if it still waits.
    if !is_waiting(listener, question.id) {
        return Err(Errno::NOENT);
    }
    let request = caller.read(call)?;
    if !request.is_allowed(call.is_pair) {
        return Err(Errno::PERM);
    }
    caller.imitate()?;
    let made = Wanted::of(&request)?;
    match call.is_pair {
        false => made.give_one(listener, question.id),
        true => made.give_pair(listener, question.id, |numbers| {
            caller.write(request.answer, numbers)
        }),
    }
}

/// What is taken over from a caller.
struct Caller {
    memory: File,
    netns: Netns,
    identity: Identity,
}

impl Caller {
    /// Opens all that is needed while there is the right to.
    fn open(caller: Pid) -> Option<Self> {
        let process = caller.as_raw_nonzero().get();
        let proc = |name: &str| format!("/proc/{process}/{name}");
        let mut memory = File::options();
        let memory = memory.read(true).write(true).open(proc("mem")).ok()?;
        let mut identity = Identity::parse(&fs::read_to_string(proc("status")).ok()?)?;
        if !is_same(&proc("ns/user"), "/proc/self/ns/user") {
            // Its power is over things of its own user namespace; networks belong to the host's.
            identity.power = CapabilitySet::empty();
        }
        Some(Self {
            memory,
            netns: Netns::of_process(process).ok()?,
            identity,
        })
    }

    fn read(&self, call: Socketcall) -> Result<SocketRequest, Errno> {
        let mut bytes = [0; 16];
        let arguments = bytes.get_mut(..call.length()).ok_or(Errno::INVAL)?;
        let read = self.memory.read_exact_at(arguments, call.address.into());
        read.map_err(|_not_there| Errno::FAULT)?;
        SocketRequest::parse(arguments).ok_or(Errno::INVAL)
    }

    fn write(&self, address: u32, numbers: [i32; 2]) -> Result<(), Errno> {
        let bytes = numbers.map(i32::to_ne_bytes);
        let written = self
            .memory
            .write_all_at(bytes.as_flattened(), address.into());
        written.map_err(|_not_there| Errno::FAULT)
    }

    /// Becomes for the kernel what the caller is.
    fn imitate(&self) -> Result<(), Errno> {
        move_into_link_name_space(self.netns.as_fd(), Some(LinkNameSpaceType::Network))?;
        let Identity {
            users: [user, effective_user, saved_user],
            groups: [group, effective_group, saved_group],
            ref more_groups,
            power,
        } = self.identity;
        set_thread_groups(more_groups)?;
        set_keep_capabilities(true)?;
        set_thread_res_gid(group, effective_group, saved_group)?;
        set_thread_res_uid(user, effective_user, saved_user)?;
        let sets = CapabilitySets {
            effective: power,
            permitted: power,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, sets)
    }
}

/// Who a process is, in the host's numbers.
#[derive(Debug)]
struct Identity {
    users: [Uid; 3],
    groups: [Gid; 3],
    more_groups: Vec<Gid>,
    power: CapabilitySet,
}

impl Identity {
    /// Reads `/proc/PID/status`.
    fn parse(status: &str) -> Option<Self> {
        let line = |key| status.lines().find_map(|line| line.strip_prefix(key));
        let numbers = |key| -> Option<Vec<u32>> {
            let all = line(key)?.split_whitespace();
            all.map(|number| number.parse().ok()).collect()
        };
        let three = |key| numbers(key)?.first_chunk::<3>().copied();
        let power = u64::from_str_radix(line("CapEff:")?.trim(), 16).ok()?;
        let more_groups = numbers("Groups:")?;
        Some(Self {
            users: three("Uid:")?.map(Uid::from_raw),
            groups: three("Gid:")?.map(Gid::from_raw),
            more_groups: more_groups.into_iter().map(Gid::from_raw).collect(),
            power: CapabilitySet::from_bits_retain(power),
        })
    }
}

fn is_same(one: &str, other: &str) -> bool {
    let identity = |path: &str| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// Sockets to be made, in our types.
struct Wanted {
    family: AddressFamily,
    kind: SocketType,
    flags: SocketFlags,
    protocol: Option<Protocol>,
}

impl Wanted {
    fn of(request: &SocketRequest) -> Result<Self, Errno> {
        let flags = SocketFlags::from_bits(request.kind & !KIND).ok_or(Errno::INVAL)?;
        let known = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        if !known.contains(flags) {
            return Err(Errno::INVAL);
        }
        let family = u16::try_from(request.family).map_err(|_unknown| Errno::AFNOSUPPORT)?;
        Ok(Self {
            family: AddressFamily::from_raw(family),
            kind: SocketType::from_raw(request.kind & KIND),
            flags,
            protocol: request.protocol.try_into().ok().map(Protocol::from_raw),
        })
    }

    fn close_on_exec(&self) -> bool {
        self.flags.contains(SocketFlags::CLOEXEC)
    }

    fn give_one(&self, listener: BorrowedFd<'_>, id: u64) -> Result<(), Errno> {
        let made = socket_with(self.family, self.kind, self.flags, self.protocol)?;
        answer_descriptor(listener, id, made.as_fd(), self.close_on_exec())
    }

    /// The caller's own table of descriptors is the bound for those that are given in vain.
    fn give_pair(
        &self,
        listener: BorrowedFd<'_>,
        id: u64,
        tell: impl FnOnce([i32; 2]) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let (one, other) = socketpair(self.family, self.kind, self.flags, self.protocol)?;
        let give =
            |socket: &OwnedFd| add_descriptor(listener, id, socket.as_fd(), self.close_on_exec());
        tell([give(&one)?, give(&other)?])?;
        answer_result(listener, id, Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx\nUid:\t1000\t1001\t1002\t1001\nGid:\t5\t6\t7\t6\nGroups:\t10 20 \nCapEff:\t0000000000000400\n";

    #[test]
    fn a_caller_is_taken_over_whole() {
        let identity = Identity::parse(STATUS).unwrap();
        assert_eq!(identity.users.map(Uid::as_raw), [1000, 1001, 1002]);
        assert_eq!(identity.groups.map(Gid::as_raw), [5, 6, 7]);
        assert_eq!(identity.more_groups.len(), 2);
        assert_eq!(identity.power, CapabilitySet::NET_BIND_SERVICE);
        for missing in ["Uid:", "Gid:", "Groups:", "CapEff:"] {
            assert!(Identity::parse(&STATUS.replace(missing, "X")).is_none());
        }
    }

    #[test]
    fn a_type_has_the_flags_that_the_kernel_knows() {
        let wanted = |kind| {
            Wanted::of(&SocketRequest {
                family: 2,
                kind,
                protocol: 0,
                answer: 0,
            })
        };
        let cloexec = wanted(0o2_000_001).unwrap();
        assert!(cloexec.close_on_exec());
        assert_eq!(cloexec.kind, SocketType::STREAM);
        assert_eq!(wanted(0o10_000_001).err(), Some(Errno::INVAL));
    }
}
