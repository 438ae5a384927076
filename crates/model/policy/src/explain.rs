//! Says why a flow between two of a topology's addresses passes or does not: which network, which policy, which rule.

use std::net::IpAddr;

use hakone_base::ExposedPort;
use hakone_network_policy::{Judgement, PolicyKey};

use crate::{
    consent::{Consent, Ends},
    topology::{Bridge, Endpoint, Icc, Topology},
};

/// Why a flow passes or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The address that begins.
    pub from: IpAddr,
    /// The address that it reaches for.
    pub to: IpAddr,
    /// The port.
    pub port: ExposedPort,
    /// Whether it passes.
    pub allowed: bool,
    /// What decides, in the order of the asking: networks, the sender's policies, the receiver's.
    pub because: Vec<String>,
}

/// Explains a flow from one of some addresses to one of others; `None` when no two are of one family.
#[must_use]
pub fn explain(
    topology: &Topology,
    from: &[IpAddr],
    to: &[IpAddr],
    port: ExposedPort,
) -> Option<Explanation> {
    let pairs = pairs(from, to);
    let (from, to) = shared(topology, &pairs).or_else(|| pairs.first().copied())?;
    let ends = Ends {
        source: from,
        destination: to,
        protocol: port.protocol.number(),
        port: Some(port.port.get()),
    };
    let consent = Consent::of(topology);
    let [egress, ingress] = consent.judge(&ends);
    let (joined, networks) = networks(topology, from, to);
    Some(Explanation {
        from,
        to,
        port,
        allowed: joined && egress.is_allowed() && ingress.is_allowed(),
        because: vec![
            networks,
            format!("egress of {from}: {}", words(&egress)),
            format!("ingress of {to}: {}", words(&ingress)),
        ],
    })
}

fn pairs(from: &[IpAddr], to: &[IpAddr]) -> Vec<(IpAddr, IpAddr)> {
    let like = |from: &IpAddr| {
        let same = to.iter().filter(|to| to.is_ipv6() == from.is_ipv6());
        same.map(|to| (*from, *to)).collect::<Vec<_>>()
    };
    from.iter().flat_map(like).collect()
}

/// Prefers the addresses by which two containers really meet.
fn shared(topology: &Topology, pairs: &[(IpAddr, IpAddr)]) -> Option<(IpAddr, IpAddr)> {
    let mut pairs = pairs.iter();
    let meet = |(from, to): &&(IpAddr, IpAddr)| {
        let networks = [from, to].map(|own| network_of(topology, *own));
        matches!(networks, [Some((a, _)), Some((b, _))] if a.name == b.name)
    };
    pairs.find(meet).copied()
}

fn network_of(topology: &Topology, address: IpAddr) -> Option<(&Bridge, &Endpoint)> {
    let mut all = topology
        .bridges
        .iter()
        .flat_map(|bridge| bridge.endpoints.iter().map(move |one| (bridge, one)));
    all.find(|(_, endpoint)| endpoint.addresses.contains(&address))
}

/// Says whether networks join the two at all; policies open none.
fn networks(topology: &Topology, from: IpAddr, to: IpAddr) -> (bool, String) {
    let icc = Icc::Denied;
    match (network_of(topology, from), network_of(topology, to)) {
        (Some((a, _)), Some((b, _))) if a.name == b.name && a.icc == icc => {
            let linked = a
                .links
                .iter()
                .any(|link| link.client == from && link.server == to);
            let word = if linked { "linked" } else { "closed" };
            (linked, format!("network {}: without icc, {word}", a.name))
        }
        (Some((a, _)), Some((b, _))) if a.name == b.name => {
            (true, format!("network {}: both are members", a.name))
        }
        (Some((a, _)), Some((b, _))) => (
            false,
            format!(
                "networks {} and {}: apart, but for published ports",
                a.name, b.name
            ),
        ),
        (Some((a, _)), None) if a.internal => {
            (false, format!("network {}: internal, no way out", a.name))
        }
        (None, Some((b, _))) if b.internal => {
            (false, format!("network {}: internal, no way in", b.name))
        }
        (Some((a, _)), None) => (true, format!("network {}: leads out", a.name)),
        (None, Some((b, _))) => (true, format!("network {}: by published ports", b.name)),
        (None, None) => (true, "no network of ours".to_owned()),
    }
}

fn words(judgement: &Judgement<'_>) -> String {
    match judgement {
        Judgement::Open => "no policy selects it".to_owned(),
        Judgement::Allowed(key, rule) => format!("allowed by rule {rule} of policy {key}"),
        Judgement::Denied(keys) => format!("denied: no rule of {} lets it through", list(keys)),
        Judgement::Audited(keys) => format!(
            "passes, and is told: no rule of {} lets it through, audited only",
            list(keys)
        ),
    }
}

fn list(keys: &[&PolicyKey]) -> String {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    keys.join(", ")
}
