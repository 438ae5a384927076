//! Which namespaces a container gets anew and which it shares.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use hakone_sys::Namespaces;
use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Spec};
use rustix::{
    fs::{Mode, OFlags, open},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::StartError;

/// The namespaces of one container.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// To be made.
    pub(crate) new: Namespaces,
    /// To be joined.
    pub(crate) joined: Vec<Joined>,
}

/// A namespace of somebody else.
#[derive(Debug)]
pub(crate) struct Joined {
    kind: LinkNameSpaceType,
    descriptor: OwnedFd,
}

impl Wanted {
    /// Reads the namespaces of a spec; `netns` goes before what it says of the network.
    pub(crate) fn read(spec: &Spec, netns: Option<OwnedFd>) -> Result<Self, StartError> {
        let mut wanted = Self {
            new: Namespaces::NONE,
            joined: Vec::new(),
        };
        let given = netns.is_some();
        let linux = spec.linux().as_ref();
        for one in linux
            .and_then(|linux| linux.namespaces().as_ref())
            .into_iter()
            .flatten()
        {
            if !(given && one.typ() == LinuxNamespaceType::Network) {
                wanted.add(one)?;
            }
        }
        wanted.joined.extend(netns.map(|descriptor| Joined {
            kind: LinkNameSpaceType::Network,
            descriptor,
        }));
        if wanted.new.has(Namespaces::MOUNT) {
            Ok(wanted)
        } else {
            Err(StartError::of(
                "a container needs a mount namespace of its own",
            ))
        }
    }

    fn add(&mut self, one: &LinuxNamespace) -> Result<(), StartError> {
        let (new, link) = kinds(one.typ())?;
        match (one.path(), link) {
            (None, _) => self.new = self.new.and(new),
            (Some(path), Some(kind)) => self.joined.push(Joined {
                kind,
                descriptor: open_namespace(path)?,
            }),
            (Some(path), None) => {
                let text = format!("cannot join namespace {}", path.display());
                return Err(StartError::Other(text));
            }
        }
        Ok(())
    }

    /// Reports whether processes see the network of a container, not the host's.
    pub(crate) fn has_own_network(&self) -> bool {
        self.has(Namespaces::NETWORK, LinkNameSpaceType::Network)
    }

    /// Reports whether System V IPC and message queues are a container's, not the host's.
    pub(crate) fn has_own_ipc(&self) -> bool {
        self.has(
            Namespaces::IPC,
            LinkNameSpaceType::InterProcessCommunication,
        )
    }

    /// Reports whether the host name is a container's, not the host's.
    pub(crate) fn has_own_uts(&self) -> bool {
        self.has(Namespaces::UTS, LinkNameSpaceType::HostNameAndNISDomainName)
    }

    fn has(&self, new: Namespaces, kind: LinkNameSpaceType) -> bool {
        self.new.has(new) || self.joined.iter().any(|one| one.kind == kind)
    }
}

/// What to make anew, and what can be joined before the fork.
fn kinds(kind: LinuxNamespaceType) -> Result<(Namespaces, Option<LinkNameSpaceType>), StartError> {
    Ok(match kind {
        LinuxNamespaceType::Mount => (Namespaces::MOUNT, None),
        LinuxNamespaceType::User => (Namespaces::USER, None),
        LinuxNamespaceType::Cgroup => (Namespaces::CGROUP, Some(LinkNameSpaceType::ControlGroup)),
        LinuxNamespaceType::Uts => (
            Namespaces::UTS,
            Some(LinkNameSpaceType::HostNameAndNISDomainName),
        ),
        LinuxNamespaceType::Ipc => (
            Namespaces::IPC,
            Some(LinkNameSpaceType::InterProcessCommunication),
        ),
        LinuxNamespaceType::Pid => (Namespaces::PID, Some(LinkNameSpaceType::ProcessID)),
        LinuxNamespaceType::Network => (Namespaces::NETWORK, Some(LinkNameSpaceType::Network)),
        LinuxNamespaceType::Time => {
            return Err(StartError::of("time namespaces are not supported"));
        }
    })
}

fn open_namespace(path: &Path) -> Result<OwnedFd, StartError> {
    open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| {
        let reason = hakone_sys::reason(errno);
        StartError::Other(format!("lstat {}: {reason}", path.display()))
    })
}

/// The caller's stay in namespaces that its next child is to be born in; dropped, the caller is back.
///
/// Joining before the fork needs no rights inside the child's user namespace, and costs one fork less for pids.
#[derive(Debug)]
pub(crate) struct Visit(Vec<Joined>);

impl Visit {
    /// Enters all of `wanted`.
    pub(crate) fn enter(wanted: &[Joined]) -> Result<Self, StartError> {
        let mut visit = Self(Vec::new());
        for one in wanted {
            visit.enter_one(one)?;
        }
        Ok(visit)
    }

    fn enter_one(&mut self, one: &Joined) -> Result<(), StartError> {
        let home = open_namespace(Path::new(own(one.kind)))?;
        one.enter()?;
        self.0.push(Joined {
            kind: one.kind,
            descriptor: home,
        });
        Ok(())
    }

    /// Stays where it went: for the child, whose home is there.
    pub(crate) fn stay(mut self) {
        self.0.clear();
    }

    /// Goes back, and says so when that fails.
    pub(crate) fn leave(mut self) -> Result<(), StartError> {
        let mut homes = std::mem::take(&mut self.0);
        homes.reverse();
        homes.iter().try_for_each(Joined::enter)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        for home in self.0.iter().rev() {
            // On the way of another error, which is the one to report.
            home.enter().ok();
        }
    }
}

impl Joined {
    /// The pid namespace of a process.
    pub(crate) fn pids_of(path: &Path) -> Result<Self, StartError> {
        Ok(Self {
            kind: LinkNameSpaceType::ProcessID,
            descriptor: open_namespace(path)?,
        })
    }

    fn enter(&self) -> Result<(), StartError> {
        move_into_link_name_space(self.descriptor.as_fd(), Some(self.kind))
            .map_err(StartError::step("join namespace"))
    }
}

fn own(kind: LinkNameSpaceType) -> &'static str {
    match kind {
        LinkNameSpaceType::Time => "/proc/self/ns/time",
        LinkNameSpaceType::Mount => "/proc/self/ns/mnt",
        LinkNameSpaceType::ControlGroup => "/proc/self/ns/cgroup",
        LinkNameSpaceType::HostNameAndNISDomainName => "/proc/self/ns/uts",
        LinkNameSpaceType::InterProcessCommunication => "/proc/self/ns/ipc",
        LinkNameSpaceType::User => "/proc/self/ns/user",
        LinkNameSpaceType::ProcessID => "/proc/self/ns/pid",
        LinkNameSpaceType::Network => "/proc/self/ns/net",
    }
}
