//! Plugs a container in anew whose interface somebody removed while it runs.
//!
//! A pair goes as a whole, whichever end is deleted, and the kernel says of both only that they went. A port that went with its
//! container, or by our own hand, is nobody's by then. One whose container runs is made again with the addresses and routes that it had.
//! Root in a container with `NET_ADMIN` can delete its own end without end, so a port is made again at a pace; what is not is told: that
//! container is cut off until somebody connects it anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::AsFd as _,
    sync::Arc,
    time::{Duration, Instant},
};

use hakone_base::{ContainerId, EventKind, IfName};
use hakone_netlink::{LinkIndex, Socket, Suspects, delete_link};
use hakone_netns::{Netns, write_sysctl};

use crate::{
    Error, SandboxReport, driver,
    host::Host,
    record::Network,
    sandbox::{attachments, networks_of_state},
    service::{Inner, lock},
    state::{Stage, State},
};

/// How far apart two repairs of one port lie.
const APART: Duration = Duration::from_secs(10);

/// The ports that were plugged in, by their numbers, and when one was made again.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    pub(crate) known: BTreeMap<LinkIndex, IfName>,
    remade: BTreeMap<IfName, Instant>,
}

/// A running container whose port is gone.
struct Bereft {
    container: ContainerId,
    report: SandboxReport,
    networks: Vec<Network>,
    netns: Option<Arc<Netns>>,
}

/// Makes the ports again that are gone though their containers run; gives their names. Who stays cut off is told.
pub(crate) fn plug_anew(
    service: &Inner,
    host: &mut Host,
    suspects: &Suspects,
) -> Result<Vec<String>, Error> {
    let mut remade = Vec::new();
    for port in gone(host, suspects)? {
        let Some(bereft) = bereft(&lock(&service.state), &port) else {
            continue;
        };
        match bereft.plug(service, host, &port) {
            Ok(true) => remade.push(port.to_string()),
            Ok(false) => tell(service, &bereft, &port, "it was removed again"),
            Err(error) => tell(service, &bereft, &port, &error.to_string()),
        }
    }
    Ok(remade)
}

/// Finds the known ports that are no more, and knows them no longer.
fn gone(host: &mut Host, suspects: &Suspects) -> Result<Vec<IfName>, Error> {
    let mut gone: Vec<LinkIndex> = suspects.gone().iter().copied().collect();
    if suspects.are_all() {
        let there = host.links.links()?.into_iter();
        let there: BTreeSet<LinkIndex> = there.map(|link| LinkIndex(link.index)).collect();
        let known = host.ports.known.keys().copied();
        gone.extend(known.filter(|index| !there.contains(index)));
    }
    let known = gone.iter();
    Ok(known
        .filter_map(|index| host.ports.known.remove(index))
        .collect())
}

fn bereft(state: &State, port: &IfName) -> Option<Bereft> {
    let is_its = |report: &SandboxReport| {
        let mut ports = report.endpoints.iter().map(|one| one.port.as_ref());
        ports.any(|own| own == Some(port))
    };
    let mut live = state.sandboxes.iter();
    let (container, attached) =
        live.find(|(_, one)| one.stage == Stage::Live && is_its(&one.report))?;
    Some(Bereft {
        container: container.clone(),
        networks: networks_of_state(state, &attached.report),
        report: attached.report.clone(),
        netns: attached.netns.clone(),
    })
}

impl Bereft {
    /// Makes the port again; false when that was done a moment ago.
    fn plug(&self, service: &Inner, host: &mut Host, port: &IfName) -> Result<bool, Error> {
        let now = Instant::now();
        let remade = &mut host.ports.remade;
        remade.retain(|_, at| now.duration_since(*at) < APART);
        if remade.insert(port.clone(), now).is_some() {
            return Ok(false);
        }
        let made = self.make(service, host, port);
        if made.is_err() {
            // Half a port leads nowhere, and would be in the way of the next.
            host.links.execute([delete_link(port).unless_missing()])?;
        }
        made.map(|()| true)
    }

    /// The order in which nothing gets through too early: closed, judged, opened.
    fn make(&self, service: &Inner, host: &mut Host, port: &IfName) -> Result<(), Error> {
        let gone = || Error::NoSandbox(self.container.clone());
        let netns = self.netns.as_ref().ok_or_else(gone)?;
        let mut attachments = attachments(&self.report, &self.networks);
        attachments.retain(|one| one.endpoint.port.as_ref() == Some(port));
        for attachment in &attachments {
            let ipv6 = attachment.endpoint.ipv6.is_some();
            let closed = if ipv6 { "0" } else { "1" };
            let inherited =
                netns.on(|| write_sysctl("net/ipv6/conf/default/disable_ipv6", closed))?;
            if ipv6 {
                inherited?;
            }
            let mut inside = netns.on(Socket::open)??;
            driver::attach(attachment, host, netns.as_fd(), &mut inside)?;
        }
        host.load_rules(&service.state)?;
        driver::open_ports(&attachments, host)
    }
}

/// Tells who is cut off: someone must act.
fn tell(service: &Inner, bereft: &Bereft, port: &IfName, why: &str) {
    let container = &bereft.container;
    tracing::error!(container.id = %container, %port, why, "a container's interface was removed: it is cut off until it is connected anew");
    let attributes = BTreeMap::from([
        ("container".to_owned(), container.to_string()),
        ("links".to_owned(), port.to_string()),
        ("why".to_owned(), why.to_owned()),
    ]);
    service
        .events
        .publish(EventKind::Daemon, "network-cut-off", "", attributes);
}
