//! Gives a sandbox back.
//!
//! The order keeps an address from meeting two containers: rules and names forget it, then the bridge does, and only then
//! may somebody else have it. The interfaces go with the namespace, which the kernel removes after the last process; those that
//! a plugin lent go back to the host before, while the daemon holds the namespace.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hakone_base::ContainerId;
use hakone_netns::Netns;
use tokio::task::AbortHandle;

use super::wire::{attachments, networks_of};
use crate::{
    EndpointReport, Error, SandboxReport, driver, remote,
    service::{Inner, lock},
    state::Stage,
};

/// How long an aborted task may take to end.
const PATIENCE: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_micros(100);

/// What becomes of published ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// Anybody may have them.
    Freed,
    /// They are the container's, for its next run.
    Kept,
}

/// Gives back addresses, rules and ports; does nothing for an unknown container.
pub(crate) fn release(
    service: &Arc<Inner>,
    container: &ContainerId,
    ports: Published,
) -> Result<(), Error> {
    if ports == Published::Freed {
        free_ports(service, container);
    }
    let Some(Leaving {
        report,
        was_live,
        tasks,
        netns,
    }) = leave(service, container, ports)
    else {
        return Ok(());
    };
    let forgotten = forget_in_kernel(service, &report);
    return_lent(&report, netns.as_deref());
    await_end(&tasks);
    let endpoints: Vec<_> = report.endpoints.iter().map(|one| one.id.clone()).collect();
    remote::give_back(service, &endpoints);
    {
        let mut state = lock(&service.state);
        state.sandboxes.remove(container);
        state.given.remove(container);
        let addresses = report.endpoints.iter();
        state
            .left
            .extend(addresses.flat_map(EndpointReport::addresses));
    }
    if was_live {
        for endpoint in &report.endpoints {
            service.announce("disconnect", container, endpoint);
        }
        service.sweep_soon();
    }
    forgotten
}

/// What a sandbox was when it left.
struct Leaving {
    report: SandboxReport,
    was_live: bool,
    tasks: Vec<AbortHandle>,
    netns: Option<Arc<Netns>>,
}

/// Moves the interfaces back that plugins lent, and takes away what would keep its addresses. One that cannot go ends with the
/// namespace, as it would have without us.
fn return_lent(report: &SandboxReport, netns: Option<&Netns>) {
    let Some(netns) = netns else {
        return;
    };
    for endpoint in report.endpoints.iter().filter(|one| one.port.is_none()) {
        let gone = remote::take_out(endpoint, netns).and(driver::take_out(endpoint, netns));
        if let Err(error) = gone {
            tracing::warn!(endpoint.id = %endpoint.id, %error, "an interface could not leave a sandbox that ends");
        }
    }
}

/// Gives up the ports of a container that does not run again.
pub(crate) fn free_ports(service: &Inner, container: &ContainerId) {
    drop(lock(&service.state).parked.remove(container));
}

/// Stops proxies and resolver, closes the held sockets, and takes the sandbox out of rules and names.
fn leave(service: &Inner, container: &ContainerId, ports: Published) -> Option<Leaving> {
    let mut state = lock(&service.state);
    let attached = state.sandboxes.get_mut(container)?;
    let was_live = attached.stage == Stage::Live;
    attached.stage = Stage::Leaving;
    let tasks = attached.stop();
    let parked = match ports {
        Published::Freed => {
            attached.close();
            None
        }
        Published::Kept => Some(attached.park()),
    };
    let (report, netns) = (attached.report.clone(), attached.netns.clone());
    attached.report.published.clear();
    if let Some(parked) = parked {
        state.parked.insert(container.clone(), parked);
    }
    state.changed();
    Some(Leaving {
        report,
        was_live,
        tasks,
        netns,
    })
}

/// Waits until proxies have let go of their sockets, for whoever hears of the end may publish the same port at once.
fn await_end(tasks: &[AbortHandle]) {
    let deadline = Instant::now() + PATIENCE;
    while !tasks.iter().all(AbortHandle::is_finished) && Instant::now() < deadline {
        thread::sleep(NAP);
    }
}

/// Goes on after a failure and gives the first.
fn forget_in_kernel(service: &Inner, report: &SandboxReport) -> Result<(), Error> {
    let networks = networks_of(service, report);
    let mut host = lock(&service.host);
    let mut outcome = host.load_rules(&service.state);
    host.forget_flows(&report.published);
    for attachment in attachments(report, &networks) {
        outcome = outcome.and(driver::detach(&attachment, &mut host, false));
    }
    outcome
}
