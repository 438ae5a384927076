//! Puts back what another program did to our bridges and their ports.
//!
//! A deleted bridge, a port taken out of it, a flag, an address or an entry changed: rules go by names and still hold, but members are
//! cut off, or believed what they should not be. The kernel tells of each change ([`LinkMonitor`]), our own among them; so a notice
//! makes us look, and what differs from what we would make is made again. What cannot be made again is told: someone must act.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use hakone_base::{BridgeName, EventKind};
use hakone_netlink::{Link, LinkIndex, LinkMonitor, Member, Noticed, Plugged, Suspects};
use hakone_nft::RepairPace;
use tokio::{io::unix::AsyncFd, task::JoinHandle};

use crate::{
    Error,
    driver::{self, port_of},
    host::Host,
    record::Network,
    replug::plug_anew,
    sandbox::{attachments, networks_of_state},
    service::{Inner, lock},
    state::{Stage, State},
};

/// What one change brings comes within moments, and is looked at together.
const TOGETHER: Duration = Duration::from_millis(5);

/// How often the parameters are looked at. The kernel tells of a few (`rp_filter`, `forwarding`), and of most (`arp_ignore`, `accept_ra`)
/// nobody; a look costs a dozen small reads a bridge.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// A network's bridge as it should be.
struct Wanted {
    network: Network,
    plugged: Plugged,
}

/// Begins to guard the links, on a runtime's thread.
pub(crate) fn start(service: &Arc<Inner>) -> Result<JoinHandle<()>, Error> {
    #[expect(
        deprecated,
        reason = "unsound for types that change their descriptor alone; a monitor owns one for good"
    )]
    let monitor = AsyncFd::new(LinkMonitor::open()?).map_err(Error::Monitor)?;
    Ok(service.runtime.spawn(run(Arc::downgrade(service), monitor)))
}

/// Looks now and then where the kernel tells nobody, until the service is gone.
pub(crate) async fn look_at_parameters(service: Weak<Inner>) {
    loop {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let Some(service) = service.upgrade() else {
            return;
        };
        let looking = tokio::task::spawn_blocking(move || {
            if wrong_parameters(&lock(&service.state)).is_empty() {
                return;
            }
            // One that is being made is not wrong: who makes it has the host meanwhile.
            let host = lock(&service.host);
            let wrong = wrong_parameters(&lock(&service.state));
            drop(host);
            if !wrong.is_empty() {
                look_at(&service, &wrong);
            }
        });
        looking.await.ok();
    }
}

/// Names the bridges whose parameters are not as their driver would set them.
fn wrong_parameters(state: &State) -> Vec<BridgeName> {
    let bridges = state.networks.values().filter(|one| one.is_bridge());
    let bridges = bridges.filter_map(|one| Some((one, one.bridge.clone()?)));
    let wrong = bridges.filter(|(network, name)| !are_set(&driver::parameters(network, name)));
    wrong.map(|(_, name)| name).collect()
}

fn look_at(service: &Inner, bridges: &[BridgeName]) {
    let links = {
        let mut host = lock(&service.host);
        let found = bridges.iter().filter_map(|name| host.bridge(name).ok());
        found.map(|(link, _)| link).collect()
    };
    let noticed = Noticed {
        links,
        ..Noticed::default()
    };
    look(service, &noticed);
}

async fn run(service: Weak<Inner>, mut monitor: AsyncFd<LinkMonitor>) {
    let mut pace = RepairPace::default();
    loop {
        let noticed = match listen(&mut monitor).await {
            Ok(noticed) => noticed,
            Err(error) => {
                tracing::error!(%error, "other programs' changes of bridges go unnoticed");
                return;
            }
        };
        let Some(service) = service.upgrade() else {
            return;
        };
        let looking = tokio::task::spawn_blocking(move || look(&service, &noticed));
        if looking.await.unwrap_or(false) {
            tokio::time::sleep(pace.wait(Instant::now())).await;
        }
    }
}

async fn listen(monitor: &mut AsyncFd<LinkMonitor>) -> Result<Noticed, Error> {
    loop {
        let mut ready = monitor.readable_mut().await.map_err(Error::Monitor)?;
        tokio::time::sleep(TOGETHER).await;
        let noticed = ready.get_inner_mut().read()?;
        ready.clear_ready();
        if !noticed.is_empty() {
            return Ok(noticed);
        }
    }
}

/// Looks at what was touched and mends it; tells whether there was anything to mend.
fn look(service: &Inner, noticed: &Noticed) -> bool {
    let begun = Instant::now();
    let mut host = lock(&service.host);
    // Before the end of the start not all are known who should be there; its end looks at everything.
    if !service.settled.load(Ordering::Acquire) {
        return false;
    }
    let mended = mend(service, &mut host, noticed);
    drop(host);
    match mended {
        Ok(mended) if mended.is_empty() => false,
        Ok(mended) => {
            tell(service, &mended, begun.elapsed());
            true
        }
        Err(error) => {
            tracing::error!(%error, "what another program did to our bridges could not be undone: their members are cut off");
            true
        }
    }
}

/// Looks at everything: at the end of the start, when nobody listened before.
pub(crate) fn mend_all(service: &Inner, host: &mut Host) {
    let lost = Noticed {
        lost: true,
        ..Noticed::default()
    };
    match mend(service, host, &lost) {
        Ok(mended) if mended.is_empty() => {}
        Ok(mended) => tracing::info!(?mended, "bridges were changed meanwhile: put back"),
        Err(error) => tracing::error!(%error, "bridges are not as they should be"),
    }
}

/// Gives the names of what had to be mended.
fn mend(service: &Inner, host: &mut Host, noticed: &Noticed) -> Result<Vec<String>, Error> {
    let wanted = wanted(&lock(&service.state));
    let told: Vec<&Plugged> = wanted.iter().map(|one| &one.plugged).collect();
    let suspects = Suspects::of(noticed, &told, &mut host.links)?;
    let mut mended = Vec::new();
    for one in &wanted {
        let name = &one.plugged.bridge;
        let is_gone = suspects.miss_a_link() && host.links.link(name)?.is_none();
        if is_gone || suspects.concern(&one.plugged) {
            mend_bridge(service, host, one, &suspects, &mut mended)?;
        }
    }
    mended.extend(plug_anew(service, host, &suspects)?);
    Ok(mended)
}

fn mend_bridge(
    service: &Inner,
    host: &mut Host,
    wanted: &Wanted,
    suspects: &Suspects,
    mended: &mut Vec<String>,
) -> Result<(), Error> {
    let name = &wanted.plugged.bridge;
    let found = host.links.link(name)?;
    if !stands(wanted, found.as_ref(), host)? {
        driver::of(wanted.network.spec.driver).ensure(&wanted.network, host, &service.config)?;
        mended.push(name.to_string());
    }
    let bridge = host.bridge(name)?.0;
    let is_new = found.is_none_or(|link| LinkIndex(link.index) != bridge);
    let suspected = |member: &&Member| is_new || suspects.concern_port(&member.port);
    for member in wanted.plugged.members.iter().filter(suspected) {
        // A port that is gone went with its container, or is plugged in anew afterwards.
        let Some(link) = host.links.link(&member.port)? else {
            continue;
        };
        let known = &mut host.ports.known;
        known.insert(LinkIndex(link.index), member.port.clone());
        if is_new || !member.is_in_place(&link, bridge, suspects) {
            // Whoever is let back in is judged by rules that know him.
            host.load_rules(&service.state)?;
            host.links.execute(member.put_back(&link, bridge))?;
            mended.push(member.port.to_string());
        }
    }
    Ok(())
}

/// Reports whether a bridge is as its driver would make it.
fn stands(wanted: &Wanted, found: Option<&Link>, host: &mut Host) -> Result<bool, Error> {
    let Some(link) = found else {
        return Ok(false);
    };
    let own = LinkIndex(link.index);
    let addresses = host.links.addresses()?;
    let has = |gateway| {
        addresses
            .iter()
            .any(|one| (one.link, one.address) == (own, gateway))
    };
    // One that somebody set down is his affair.
    Ok(link.mac == host.mac_of(&wanted.plugged.bridge)
        && wanted.network.gateways().all(has)
        && are_set(&driver::parameters(&wanted.network, &wanted.plugged.bridge)))
}

/// What this kernel does not have cannot be wrong.
fn are_set(parameters: &[(String, &str)]) -> bool {
    parameters.iter().all(|(path, value)| {
        fs::read_to_string(format!("/proc/sys/{path}")).map_or(true, |now| now.trim() == *value)
    })
}

/// Derives every bridge of ours with those who are plugged in.
fn wanted(state: &State) -> Vec<Wanted> {
    let mut members: BTreeMap<&BridgeName, Vec<Member>> = BTreeMap::new();
    let live = |stage| stage == Stage::Live;
    for attached in state.sandboxes.values().filter(|one| live(one.stage)) {
        let networks = networks_of_state(state, &attached.report);
        for attachment in attachments(&attached.report, &networks) {
            let network = state.networks.get(&attachment.endpoint.network);
            let name = network.and_then(|network| network.bridge.as_ref());
            if let Some((name, (port, mac, settings))) = name.zip(port_of(&attachment)) {
                members.entry(name).or_default().push(Member {
                    port,
                    settings,
                    mac,
                    addresses: attachment.endpoint.addresses().collect(),
                });
            }
        }
    }
    let bridges = state.networks.values().filter(|one| one.is_bridge());
    let bridges = bridges.filter_map(|network| {
        let bridge = network.bridge.clone()?;
        let members = members.remove(&bridge).unwrap_or_default();
        Some(Wanted {
            network: network.clone(),
            plugged: Plugged { bridge, members },
        })
    });
    bridges.collect()
}

fn tell(service: &Inner, mended: &[String], took: Duration) {
    let repairs = service.repairs.fetch_add(1, Ordering::Relaxed) + 1;
    let links = mended.join(",");
    tracing::warn!(
        links,
        repairs,
        ?took,
        "another program changed our bridges: put back"
    );
    let attributes = BTreeMap::from([
        ("links".to_owned(), links),
        ("repairs".to_owned(), repairs.to_string()),
    ]);
    service
        .events
        .publish(EventKind::Daemon, "network-repair", "", attributes);
}
