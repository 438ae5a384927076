//! TCP connections between members of one bridge, when a policy comes to them.
//!
//! Until a policy selects somebody, a bridge switches frames past the host. Then packets are led through it, and connection tracking
//! meets connections in their middle: what a server says first looks like a server that reaches for its client's port, and is
//! dropped, or, where just that is allowed, revives what the policy has cut. So their ends are asked, in their namespaces: both must know
//! the connection, and one alone listens. What policies allow in the direction in which it began is noted; what they do not is ended at both
//! ends. A container cannot gain by lying: a connection counts only when the other end's kernel has it too, and what is noted is what both
//! could open anew. Where nobody can tell who began, connection tracking is left to find out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Weak},
};

use hakone_base::{BridgeName, Protocol};
use hakone_netlink::{Connection, Connections};
use hakone_netns::Netns;
use hakone_nft::{Established, forget_established, note_established};
use hakone_policy::{Consent, Ends};
use tokio::sync::Notify;

use crate::{
    Error,
    service::{Inner, lock},
    state::{Stage, State},
};

/// Whose connections are to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// The bridges whose members reach each other through the host from now on.
    pub(crate) led: BTreeSet<BridgeName>,
    /// The ends of tracked flows that were cut.
    pub(crate) cut: BTreeSet<IpAddr>,
}

/// An endpoint whose connections are looked at.
struct Member {
    bridge: BridgeName,
    addresses: Vec<IpAddr>,
    netns: Arc<Netns>,
}

/// A connection between two members that both know of.
struct Switched<'a> {
    bridge: &'a BridgeName,
    /// Which member has which end of it.
    ends: [(usize, Connection); 2],
    began: Established,
}

/// Looks whenever a policy asked for it, until the service is gone.
pub(crate) async fn run(service: Weak<Inner>, asked: Arc<Notify>) {
    loop {
        asked.notified().await;
        let Some(service) = service.upgrade() else {
            return;
        };
        let looking = tokio::task::spawn_blocking(move || look(&service));
        if let Ok(Err(error)) = looking.await {
            tracing::warn!(%error, "connections that were there before a policy may stand still until their clients speak");
        }
    }
}

impl crate::Service {
    /// Lists the TCP connections between members of one bridge, client and server, as far as it can be told who began: no connection
    /// tracking knows them. Cancellation safe: it changes nothing.
    pub async fn connections(&self) -> Vec<(SocketAddr, SocketAddr)> {
        let service = Arc::clone(&self.inner);
        let listing = tokio::task::spawn_blocking(move || {
            let members = members(&lock(&service.state), None);
            let switched = switched(&members);
            let ends = switched
                .iter()
                .map(|one| (one.began.client, one.began.server));
            ends.collect()
        });
        listing.await.unwrap_or_default()
    }
}

fn look(service: &Inner) -> Result<(), Error> {
    let looks = std::mem::take(&mut lock(&service.host).looks);
    let members = members(&lock(&service.state), Some(&looks));
    let switched = switched(&members);
    // Whoever changes policies next has this lock, too, and cuts afterwards what is noted here.
    let host = lock(&service.host);
    let consent = service.consent();
    let (allowed, ended): (Vec<_>, Vec<_>) = switched
        .into_iter()
        .partition(|one| one.is_allowed(&consent));
    let led = allowed.iter().filter(|one| looks.led.contains(one.bridge));
    let led: Vec<Established> = led.map(|one| one.began).collect();
    note_established(&led)?;
    let began: Vec<Established> = ended.iter().map(|one| one.began).collect();
    forget_established(&began)?;
    drop(host);
    if !led.is_empty() || !ended.is_empty() {
        tracing::info!(
            noted = led.len(),
            ended = ended.len(),
            "connections that were there before a policy"
        );
    }
    end(&members, ended)
}

/// Gives those that are to be looked at, or all.
fn members(state: &State, looks: Option<&Looks>) -> Vec<Member> {
    let live = state.sandboxes.values();
    let live = live.filter(|attached| attached.stage == Stage::Live);
    let endpoints = live.flat_map(|attached| {
        let endpoints = attached.report.endpoints.iter();
        endpoints.filter_map(|endpoint| Some((endpoint, attached.netns.clone()?)))
    });
    let members = endpoints.filter_map(|(endpoint, netns)| {
        let bridge = state.networks.get(&endpoint.network)?.bridge.clone()?;
        let addresses: Vec<IpAddr> = endpoint.addresses().collect();
        let is_meant = |looks: &Looks| {
            let is_cut = addresses.iter().any(|one| looks.cut.contains(one));
            is_cut || looks.led.contains(&bridge)
        };
        looks.is_none_or(is_meant).then_some(Member {
            bridge,
            addresses,
            netns,
        })
    });
    members.collect()
}

/// Finds the connections that two members agree about. One that cannot be asked has none.
fn switched(members: &[Member]) -> Vec<Switched<'_>> {
    let mut open: HashMap<(&BridgeName, SocketAddr, SocketAddr), (usize, Connection)> =
        HashMap::new();
    let mut found = Vec::new();
    for (place, member) in members.iter().enumerate() {
        let listed = member.netns.on(|| Connections::open()?.list());
        let listed = listed.map_err(Error::from).and_then(|listed| Ok(listed?));
        let listed = listed.unwrap_or_else(|error| {
            tracing::debug!(bridge = %member.bridge, %error, "a container was not asked for its connections");
            Vec::new()
        });
        let own = |one: &Connection| member.addresses.contains(&one.own.ip());
        for one in listed.into_iter().filter(own) {
            let Some(other) = open.remove(&(&member.bridge, one.other, one.own)) else {
                open.insert((&member.bridge, one.own, one.other), (place, one));
                continue;
            };
            found.extend(Switched::of(&member.bridge, (place, one), other));
        }
    }
    found
}

impl<'a> Switched<'a> {
    /// Tells who began, where that can be told.
    fn of(
        bridge: &'a BridgeName,
        one: (usize, Connection),
        other: (usize, Connection),
    ) -> Option<Self> {
        let server = match (one.1.listens, other.1.listens) {
            (true, false) => &one.1,
            (false, true) => &other.1,
            _ => return None,
        };
        let began = Established {
            client: server.other,
            server: server.own,
        };
        // What a container says to itself crosses no bridge.
        (one.0 != other.0).then_some(Self {
            bridge,
            began,
            ends: [one, other],
        })
    }

    fn is_allowed(&self, consent: &Consent) -> bool {
        consent.allows(&Ends {
            source: self.began.client.ip(),
            destination: self.began.server.ip(),
            protocol: Protocol::Tcp.number(),
            port: Some(self.began.server.port()),
        })
    }
}

/// Ends connections at both ends; goes on after a failure and gives the first.
fn end(members: &[Member], ended: Vec<Switched<'_>>) -> Result<(), Error> {
    let mut at: BTreeMap<usize, Vec<Connection>> = BTreeMap::new();
    for (place, connection) in ended.into_iter().flat_map(|one| one.ends) {
        at.entry(place).or_default().push(connection);
    }
    let mut outcome = Ok(());
    for (place, connections) in at {
        let Some(member) = members.get(place) else {
            continue;
        };
        let inside = member.netns.on(|| {
            let open = Connections::open()?;
            let ended = connections.iter().map(|one| open.end(one));
            ended.fold(Ok(()), Result::and)
        });
        let inside = inside.map_err(Error::from).and_then(|ended| Ok(ended?));
        outcome = outcome.and(inside);
    }
    outcome
}
