//! A user namespace without a process: what id-mapped mounts take their shift from.

use std::os::fd::OwnedFd;

use hakone_sys::{Forked, Namespaces, clone_process, exit_now};
use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags, open};

use crate::{
    Running, StartError,
    channel::Channel,
    child::{self, NeverReturn},
    id_map,
};

/// Makes a user namespace with the maps of the spec, and room for the host's root as the maker of files; none when the spec maps
/// nothing. No process is ever to live in it.
///
/// # Errors
/// When the kernel grants no user namespace or refuses the maps.
pub fn user_namespace(spec: &Spec) -> Result<Option<OwnedFd>, StartError> {
    let linux = spec.linux().as_ref();
    let maps = linux.and_then(|linux| linux.uid_mappings().as_deref());
    match maps.is_none_or(<[_]>::is_empty) {
        true => Ok(None),
        false => make(spec).map(Some),
    }
}

/// The namespace needs a process only until it is open.
fn make(spec: &Spec) -> Result<OwnedFd, StartError> {
    let (ours, theirs) = Channel::pair()?;
    match clone_process(Namespaces::USER, None).map_err(StartError::step("clone"))? {
        Forked::Child => {
            let _never = NeverReturn;
            drop(ours);
            // Waits for its end, or for ours; nothing is ever said.
            match child::hear(&theirs) {
                Ok(_) => exit_now(0),
                Err(error) => Err(error),
            }
        }
        Forked::Parent { child, pidfd } => {
            let holder = Running::of(child, pidfd);
            let made = id_map::write_with_maker(child, spec).and_then(|()| {
                let path = format!("/proc/{}/ns/user", child.as_raw_nonzero());
                open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .map_err(StartError::step("open user namespace"))
            });
            holder.kill_and_reap();
            made
        }
    }
}
