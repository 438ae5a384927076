//! File systems that show a namespace which is not the container's own: a container with a user namespace may not make them, so its
//! maker does, standing in those namespaces.

use std::os::fd::OwnedFd;

use hakone_mount::Detached;
use hakone_sys::{Forked, Namespaces, clone_process, exit_now};
use oci_spec::runtime::Spec;

use super::mount;
use crate::{
    Running, StartError,
    channel::{Channel, Message},
    child::{self, NeverReturn},
    namespace::Wanted,
};

/// Makes what a container is to be lent, in the order of the spec's mounts. The caller stands in all namespaces that it joins.
pub(crate) fn lend(spec: &Spec, wanted: &Wanted) -> Result<Vec<Option<Detached>>, StartError> {
    if !wanted.new.has(Namespaces::USER) {
        return Ok(Vec::new());
    }
    let shared = |namespace| !wanted.new.has(namespace);
    let mounts = spec.mounts().iter().flatten();
    mounts
        .map(|one| match mount::kind(one) {
            "sysfs" if shared(Namespaces::NETWORK) => mount::make(one).map(Some),
            "mqueue" if shared(Namespaces::IPC) => mount::make(one).map(Some),
            "proc" if shared(Namespaces::PID) => by_child(|| mount::make(one)).map(Some),
            _other => Ok(None),
        })
        .collect()
}

/// Mounts by a child: only who is born after its maker joined a pid namespace is in it.
fn by_child(make: impl FnOnce() -> Result<Detached, StartError>) -> Result<Detached, StartError> {
    let (ours, theirs) = Channel::pair()?;
    match clone_process(Namespaces::NONE, None).map_err(StartError::step("clone"))? {
        Forked::Child => {
            let _never = NeverReturn;
            drop(ours);
            match make().map(OwnedFd::from) {
                Ok(made) => {
                    theirs.send(&Message::Mount(made)).ok();
                    exit_now(0)
                }
                Err(error) => child::fail(&theirs, error),
            }
        }
        Forked::Parent { child, pidfd } => {
            drop(theirs);
            let ours = ours.with(&pidfd)?;
            let heard = ours.receive();
            Running::of(child, pidfd).kill_and_reap();
            match heard.map_err(StartError::step("hear of a mount"))? {
                Some(Message::Mount(made)) => Ok(Detached::from(made)),
                Some(Message::Failed(error)) => Err(error),
                _other => Err(StartError::of("a mount was not made")),
            }
        }
    }
}
