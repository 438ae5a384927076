//! Removes interfaces of ours that no sandbox owns: those a crash left, and those of a namespace that somebody else keeps
//! alive after its container's end.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use hakone_base::IfName;
use hakone_netlink::{Link, LinkIndex, delete_link};
use tokio::sync::Notify;

use crate::{
    Error, driver,
    service::{Inner, lock},
};

/// How long the kernel gets to remove a dead sandbox's interfaces by itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sweeps whenever something was given back, until the service is gone.
pub(crate) async fn run(service: Weak<Inner>, strays: Arc<Notify>) {
    loop {
        strays.notified().await;
        tokio::time::sleep(PATIENCE).await;
        let Some(service) = service.upgrade() else {
            return;
        };
        let sweeping = tokio::task::spawn_blocking(move || sweep(&service));
        if let Ok(Err(error)) = sweeping.await {
            tracing::warn!(%error, "could not remove stray interfaces");
        }
    }
}

/// Removes the strays that are there now. Before all survivors are known, nothing is one.
pub(crate) fn sweep(service: &Arc<Inner>) -> Result<(), Error> {
    if !service.settled.load(Ordering::Acquire) {
        return Ok(());
    }
    // The host first, as everywhere: a sandbox being wired holds it while its interfaces appear.
    let mut host = lock(&service.host);
    let links = host.links.links()?;
    let owned = owned(service);
    let bridges = bridges(service);
    let is_foreign = |master: LinkIndex| {
        let found = links.iter().find(|link| link.index == master.0);
        found.is_some_and(|bridge| !bridges.contains(&bridge.name))
    };
    let strays = links
        .iter()
        .filter(|link| is_ours(link) && !link.master.is_some_and(is_foreign));
    let strays = strays.filter_map(|link| link.name.parse::<IfName>().ok());
    for stray in strays.filter(|name| !owned.contains(name)) {
        tracing::info!(port = %stray, "removing a stray interface");
        host.links.execute([delete_link(&stray).unless_missing()])?;
    }
    Ok(())
}

/// Reports whether a link is a port that we made: `hk`, or `hm` on a parent, and twelve digits of an endpoint's id.
pub(crate) fn is_ours(link: &Link) -> bool {
    let prefix = match link.kind.as_str() {
        "veth" => "hk",
        "macvlan" => "hm",
        _ => return false,
    };
    let digits = link.name.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 12 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Names our bridges: what is plugged into another engine's is not ours to judge.
fn bridges(service: &Inner) -> BTreeSet<String> {
    let state = lock(&service.state);
    let bridges = state
        .networks
        .values()
        .filter_map(|network| network.bridge.as_ref());
    bridges.map(ToString::to_string).collect()
}

fn owned(service: &Inner) -> BTreeSet<IfName> {
    let state = lock(&service.state);
    let endpoints = state
        .sandboxes
        .values()
        .flat_map(|attached| &attached.report.endpoints);
    let ports = endpoints.filter_map(|endpoint| endpoint.port.clone());
    let with_outer = |port: IfName| [driver::outer(&port).ok(), Some(port)];
    ports.flat_map(with_outer).flatten().collect()
}
