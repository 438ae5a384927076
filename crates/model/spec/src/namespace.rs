//! Which namespaces a container has for itself, which it shares and with whom.

use hakone_engine_api::wire::{HostConfig, HostConfigCgroupnsModeEnum as Cgroupns};

use crate::{Defaults, Error, spec::text};

/// The namespaces of a container, the network's apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaces {
    /// System V IPC, POSIX queues and `/dev/shm`.
    pub ipc: IpcMode,
    /// Process numbers.
    pub pid: PidMode,
    /// Host name and domain name.
    pub uts: UtsMode,
    /// The view of the cgroup tree.
    pub cgroup: CgroupMode,
    /// Users and groups.
    pub user: UserMode,
}

impl Namespaces {
    /// The containers that must be there for this one to be made: those whose IPC and processes it shares.
    pub fn joins(&self) -> impl Iterator<Item = &str> {
        let ipc = match &self.ipc {
            IpcMode::Container(other) => Some(other.as_str()),
            IpcMode::None | IpcMode::Private | IpcMode::Shareable | IpcMode::Host => None,
        };
        let pid = match &self.pid {
            PidMode::Container(other) => Some(other.as_str()),
            PidMode::Private | PidMode::Host => None,
        };
        ipc.into_iter().chain(pid)
    }
}

/// `--ipc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpcMode {
    /// A namespace of its own without `/dev/shm`.
    None,
    /// A namespace of its own that no other container may join.
    Private,
    /// A namespace of its own that others may join.
    Shareable,
    /// That of the named container.
    Container(String),
    /// The host's.
    Host,
}

/// `--pid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PidMode {
    /// A namespace of its own.
    Private,
    /// That of the named container.
    Container(String),
    /// The host's.
    Host,
}

/// `--uts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UtsMode {
    /// A namespace of its own.
    Private,
    /// The host's.
    Host,
}

/// `--cgroupns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupMode {
    /// A namespace of its own: the container's cgroup looks like the root.
    Private,
    /// The host's.
    Host,
}

/// `--userns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserMode {
    /// Ids that are nobody's on the host: those of the daemon's `--userns-remap`, or of the container alone.
    Remapped,
    /// The host's ids.
    Host,
}

pub(crate) fn parse(host: &HostConfig, defaults: &Defaults) -> Result<Namespaces, Error> {
    Ok(Namespaces {
        ipc: ipc(text(host.ipc_mode.as_ref()), defaults)?,
        pid: pid(text(host.pid_mode.as_ref()))?,
        uts: uts(text(host.uts_mode.as_ref()))?,
        cgroup: match host.cgroupns_mode {
            None | Some(Cgroupns::EMPTY) => defaults.cgroup_mode,
            Some(Cgroupns::PRIVATE) => CgroupMode::Private,
            Some(Cgroupns::HOST) => CgroupMode::Host,
        },
        user: user(text(host.userns_mode.as_ref()), defaults)?,
    })
}

fn ipc(mode: Option<&str>, defaults: &Defaults) -> Result<IpcMode, Error> {
    match mode {
        None => Ok(defaults.ipc_mode.clone()),
        Some("none") => Ok(IpcMode::None),
        Some("private") => Ok(IpcMode::Private),
        Some("shareable") => Ok(IpcMode::Shareable),
        Some("host") => Ok(IpcMode::Host),
        Some(other) => joined(other)
            .map(|name| IpcMode::Container(name.to_owned()))
            .ok_or_else(|| Error::IpcMode(other.to_owned())),
    }
}

fn pid(mode: Option<&str>) -> Result<PidMode, Error> {
    match mode {
        None | Some("private") => Ok(PidMode::Private),
        Some("host") => Ok(PidMode::Host),
        Some(other) => joined(other)
            .map(|name| PidMode::Container(name.to_owned()))
            .ok_or_else(|| Error::PidMode(other.to_owned())),
    }
}

fn uts(mode: Option<&str>) -> Result<UtsMode, Error> {
    match mode {
        None | Some("private") => Ok(UtsMode::Private),
        Some("host") => Ok(UtsMode::Host),
        Some(other) => Err(Error::UtsMode(other.to_owned())),
    }
}

fn user(mode: Option<&str>, defaults: &Defaults) -> Result<UserMode, Error> {
    match mode {
        None if defaults.userns_remap => Ok(UserMode::Remapped),
        None | Some("host") => Ok(UserMode::Host),
        Some(other) => Err(Error::UserMode(other.to_owned())),
    }
}

/// Reads `container:<name or id>`.
pub(crate) fn joined(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:")
        .filter(|name| !name.is_empty())
}

/// Refuses what a user namespace cannot hold: its members have no power over namespaces of the host.
pub(crate) fn check_remapped(
    namespaces: &Namespaces,
    privileged: bool,
    host_network: bool,
) -> Result<(), Error> {
    match namespaces.user {
        UserMode::Remapped if privileged => Err(Error::PrivilegedRemapped),
        UserMode::Remapped if host_network => Err(Error::HostNetworkRemapped),
        UserMode::Remapped if namespaces.pid == PidMode::Host => Err(Error::HostPidRemapped),
        UserMode::Host | UserMode::Remapped => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(set: impl FnOnce(&mut HostConfig)) -> Result<Namespaces, Error> {
        let mut host = HostConfig::default();
        set(&mut host);
        parse(&host, &Defaults::default())
    }

    #[test]
    fn empty_modes_are_unset() {
        let parsed = host(|host| {
            host.ipc_mode = Some(String::new());
            host.pid_mode = Some(String::new());
            host.cgroupns_mode = Some(Cgroupns::EMPTY);
        });
        assert_eq!(parsed.unwrap(), host(|_| ()).unwrap());
    }

    #[test]
    fn another_containers_namespace_is_joined_by_name() {
        let parsed = host(|host| host.ipc_mode = Some("container:db".into())).unwrap();
        assert_eq!(parsed.ipc, IpcMode::Container("db".into()));
        assert!(host(|host| host.pid_mode = Some("container:".into())).is_err());
        assert!(host(|host| host.uts_mode = Some("container:db".into())).is_err());
    }

    #[test]
    fn a_user_namespace_goes_with_no_host_namespace() {
        let defaults = Defaults {
            userns_remap: true,
            ..Defaults::default()
        };
        let namespaces = parse(&HostConfig::default(), &defaults).unwrap();
        assert!(check_remapped(&namespaces, false, false).is_ok());
        assert!(check_remapped(&namespaces, true, false).is_err());
        assert!(check_remapped(&namespaces, false, true).is_err());
    }
}
