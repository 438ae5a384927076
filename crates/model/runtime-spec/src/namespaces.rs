//! The list of namespaces.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType as Type};

use crate::{Netns, Resolved};
use hakone_spec::{CgroupMode, ContainerSpec, IpcMode, PidMode, UtsMode};

/// Lists the namespaces that are made or joined; what the list lacks is the host's.
pub(crate) fn compose(spec: &ContainerSpec, resolved: &Resolved) -> Vec<LinuxNamespace> {
    let own = &spec.namespaces;
    let network = match &resolved.network {
        Netns::New => Some(namespace(Type::Network, None)),
        Netns::Path(path) => Some(namespace(Type::Network, Some(path))),
        Netns::Host => None,
    };
    let uts = match own.uts {
        UtsMode::Private => Some(namespace(Type::Uts, None)),
        UtsMode::Host => None,
    };
    let pid = match &own.pid {
        PidMode::Private => Some(namespace(Type::Pid, None)),
        PidMode::Container(_) => Some(namespace(Type::Pid, resolved.joined.pid.as_ref())),
        PidMode::Host => None,
    };
    let ipc = match &own.ipc {
        IpcMode::None | IpcMode::Private | IpcMode::Shareable => Some(namespace(Type::Ipc, None)),
        IpcMode::Container(_) => Some(namespace(Type::Ipc, resolved.joined.ipc.as_ref())),
        IpcMode::Host => None,
    };
    let cgroup = match own.cgroup {
        CgroupMode::Private => Some(namespace(Type::Cgroup, None)),
        CgroupMode::Host => None,
    };
    let user = resolved
        .mappings
        .is_some()
        .then(|| namespace(Type::User, None));
    let mount = Some(namespace(Type::Mount, None));
    [mount, network, uts, pid, ipc, cgroup, user]
        .into_iter()
        .flatten()
        .collect()
}

fn namespace(kind: Type, path: Option<&PathBuf>) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace.set_typ(kind);
    namespace.set_path(path.cloned());
    namespace
}
