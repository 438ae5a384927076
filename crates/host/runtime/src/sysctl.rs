//! Kernel parameters of a container: only those that live in its own namespaces.

use std::{os::fd::OwnedFd, path::Path};

use hakone_mount::Root;
use hakone_sys::Namespaces;
use oci_spec::runtime::Spec;
use rustix::fs::OFlags;

use crate::{StartError, namespace::Wanted};

/// Sets the parameters of the spec, but those that [`apply_network`] has set.
pub(crate) fn apply(root: &Root, spec: &Spec, wanted: &Wanted) -> Result<(), StartError> {
    let mapped = wanted.new.has(Namespaces::USER);
    each(spec, |name, value| {
        check(name, wanted)?;
        match mapped && is_of_network(name) {
            true => Ok(()),
            false => set(root, name, value),
        }
    })
}

/// Sets those of the network namespace, which is not owned by the new user namespace: while the process still has the
/// host's ids and sees the host's `/proc`, which shows the parameters of whoever looks.
pub(crate) fn apply_network(spec: &Spec, wanted: &Wanted) -> Result<(), StartError> {
    let root = Root::open(Path::new("/")).map_err(StartError::of)?;
    each(spec, |name, value| match is_of_network(name) {
        true => check(name, wanted).and_then(|()| set(&root, name, value)),
        false => Ok(()),
    })
}

fn each(
    spec: &Spec,
    mut visit: impl FnMut(&str, &str) -> Result<(), StartError>,
) -> Result<(), StartError> {
    let linux = spec.linux().as_ref();
    let all = linux.and_then(|linux| linux.sysctl().as_ref());
    let mut all = all.into_iter().flatten();
    all.try_for_each(|(name, value)| visit(name, value))
}

fn is_of_network(name: &str) -> bool {
    name.starts_with("net.")
}

const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// A parameter of the host must not be set for a container: it would be everybody's.
fn check(name: &str, wanted: &Wanted) -> Result<(), StartError> {
    if is_of_network(name) {
        return allow(
            wanted.has_own_network(),
            name,
            "not allowed in host network namespace",
        );
    }
    if IPC.contains(&name) || name.starts_with("fs.mqueue.") {
        return allow(
            wanted.has_own_ipc(),
            name,
            "is not allowed in the hosts ipc namespace",
        );
    }
    if matches!(name, "kernel.domainname" | "kernel.hostname") {
        return allow(
            wanted.has_own_uts(),
            name,
            "is not in a separate kernel namespace",
        );
    }
    allow(false, name, "is not in a separate kernel namespace")
}

fn allow(allowed: bool, name: &str, reason: &str) -> Result<(), StartError> {
    if allowed {
        Ok(())
    } else {
        Err(StartError::Other(format!("sysctl {name:?} {reason}")))
    }
}

/// Dots separate folders; an interface's name may hold dots when written with slashes.
fn set(root: &Root, name: &str, value: &str) -> Result<(), StartError> {
    let path = if name.contains('/') {
        name.into()
    } else {
        name.replace('.', "/")
    };
    let path = Path::new("/proc/sys").join(path);
    let open = || -> Result<OwnedFd, StartError> {
        let file = root
            .open_plain(&path, OFlags::WRONLY)
            .map_err(StartError::of)?;
        // Written to anything else than proc, the value would land in a file of the image (CVE-2025-52881).
        match Root::is_on_proc(std::os::fd::AsFd::as_fd(&file)) {
            Ok(true) => Ok(file),
            Ok(false) | Err(_) => Err(StartError::of("/proc is not a proc file system")),
        }
    };
    let written = rustix::io::write(open()?, value.as_bytes());
    written.map(drop).map_err(|errno| {
        let reason = hakone_sys::reason(errno);
        StartError::Other(format!(
            "write sysctl key {name}: write {}: {reason}",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use hakone_sys::Namespaces;

    use super::*;

    fn wanted(new: Namespaces) -> Wanted {
        Wanted {
            new,
            joined: Vec::new(),
        }
    }

    #[test]
    fn a_parameter_of_the_host_is_refused() {
        let all = wanted(
            Namespaces::NETWORK
                .and(Namespaces::IPC)
                .and(Namespaces::UTS),
        );
        for name in ["kernel.panic", "vm.swappiness", "fs.file-max"] {
            let error = check(name, &all).unwrap_err();
            let text = format!("sysctl {name:?} is not in a separate kernel namespace");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn network_parameters_need_a_network_of_ones_own() {
        assert!(check("net.ipv4.ip_forward", &wanted(Namespaces::NETWORK)).is_ok());
        assert!(check("net.ipv4.ip_forward", &wanted(Namespaces::IPC)).is_err());
        assert!(check("kernel.shmmax", &wanted(Namespaces::IPC)).is_ok());
    }
}
