//! Takes back the sandbox of a container that outlived the daemon.

use std::{os::fd::OwnedFd, sync::Arc};

use hakone_base::ContainerId;
use hakone_netns::Netns;

use super::{rules::listen, wire::serve};
use crate::{
    Error, SandboxReport,
    service::{Inner, lock},
    state::{Attached, Stage},
};

/// A sandbox as it was before the daemon went away.
pub(crate) struct Survivor {
    pub(crate) container: ContainerId,
    pub(crate) init: i32,
    pub(crate) report: SandboxReport,
    pub(crate) held: Vec<OwnedFd>,
}

/// Puts the sandbox back into the state and serves its names and loopback ports again; the rules come with `settle`.
pub(crate) fn restore(service: &Arc<Inner>, survivor: Survivor) -> Result<(), Error> {
    let wants_resolver = survivor.report.resolver.is_some();
    let netns = Netns::of_process(survivor.init).map(Arc::new);
    let attached = Attached {
        report: survivor.report,
        stage: Stage::Live,
        netns: netns.as_ref().ok().cloned(),
        held: survivor.held.into_iter().map(Arc::new).collect(),
        tasks: Vec::new(),
    };
    let mut state = lock(&service.state);
    state.sandboxes.insert(survivor.container.clone(), attached);
    state.changed();
    drop(state);
    let listening = match wants_resolver {
        true => Some(listen(&service.config, &*netns?)?),
        false => None,
    };
    serve(service, &survivor.container, listening)
}
