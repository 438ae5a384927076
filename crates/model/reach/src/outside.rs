//! Parts of the outside that policies tell from the rest: prefixes, what is left out of them, and names of other machines.
//!
//! The survey asks for one address far away; whoever reaches 10.0.0.0/8 alone would seem to reach nobody. So each part that a
//! policy about a container names is asked for by an address of its own.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hakone_base::{DomainPattern, Subnet};
use hakone_network_policy::{Direction, Peer, Peers, Policy};
use hakone_policy::{Bridge, Endpoint, Moment, Resolved, Route};

use crate::{
    World,
    survey::{FAR, Family},
};

/// A part, and an address that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// As the policy calls it: `10.0.0.0/8`, `*.example.org`.
    pub name: String,
    pub address: IpAddr,
}

/// Gives the parts that policies about a container's endpoints name for a direction.
pub(crate) fn parts(
    world: &World,
    on: &[(&Bridge, &Endpoint)],
    direction: Direction,
    family: Family,
) -> Vec<Part> {
    let about = world.topology.policies.iter().filter(|policy| {
        on.iter()
            .any(|(_, endpoint)| policy.selects(&endpoint.identity))
    });
    let mut blocks: BTreeSet<&Subnet> = BTreeSet::new();
    let mut patterns = BTreeSet::new();
    for peer in about.flat_map(|policy| peers(policy, direction)) {
        match peer {
            Peer::Block(block) => blocks.extend([&block.cidr].into_iter().chain(&block.except)),
            Peer::Name(pattern) => {
                patterns.insert(pattern);
            }
            Peer::Endpoints { .. } => {}
        }
    }
    let blocks: Vec<&Subnet> = blocks
        .into_iter()
        .filter(|block| block.is_ipv6() == matches!(family, Family::Ipv6))
        .collect();
    let of_block = |block: &&Subnet| {
        Some(Part {
            name: block.to_string(),
            address: example(world, block, &blocks)?,
        })
    };
    let of_name = |pattern: &DomainPattern| {
        let number = patterns_of(world)
            .iter()
            .position(|known| *known == pattern)?;
        Some(Part {
            name: pattern.to_string(),
            address: stand_in(number, family)?,
        })
    };
    let names = patterns.iter().filter_map(|pattern| of_name(pattern));
    blocks.iter().filter_map(of_block).chain(names).collect()
}

/// Adds an answer of the resolver for each name that a policy opens, for a container may ask for it at any time.
pub(crate) fn with_names(world: &World) -> Cow<'_, World> {
    let patterns = patterns_of(world);
    if patterns.is_empty() {
        return Cow::Borrowed(world);
    }
    let mut known = world.clone();
    let containers: BTreeSet<_> = world
        .topology
        .bridges
        .iter()
        .flat_map(|bridge| &bridge.endpoints)
        .map(|endpoint| &endpoint.container)
        .collect();
    for (number, pattern) in patterns.iter().enumerate() {
        for family in [Family::Ipv4, Family::Ipv6] {
            let Some(address) = stand_in(number, family) else {
                continue;
            };
            let answers = containers.iter().map(|container| Resolved {
                container: (*container).clone(),
                address,
                names: vec![pattern.to_string().replace('*', "any")],
                until: Some(Moment(u64::MAX)),
            });
            known.topology.resolved.extend(answers);
        }
    }
    Cow::Owned(known)
}

fn peers(policy: &Policy, direction: Direction) -> impl Iterator<Item = &Peer> {
    let rules = policy.rules(direction).unwrap_or_default();
    rules.iter().flat_map(|rule| match &rule.peers {
        Peers::All => &[],
        Peers::These(peers) => peers.as_slice(),
    })
}

fn patterns_of(world: &World) -> Vec<&DomainPattern> {
    let policies = world.topology.policies.iter();
    let patterns: BTreeSet<_> = policies.flat_map(Policy::names).collect();
    patterns.into_iter().collect()
}

/// An address that stands for a name: of 198.18.0.0/15, which nobody has outside of benches (RFC 2544), or of the documents' prefix.
fn stand_in(number: usize, family: Family) -> Option<IpAddr> {
    let number = u16::try_from(number).ok()?;
    let [high, low] = number.to_be_bytes();
    Some(match family {
        Family::Ipv4 => Ipv4Addr::new(198, 18, high, low).into(),
        Family::Ipv6 => Ipv6Addr::new(0x2001, 0xdb8, 0xfffe, 0, 0, 0, 0, number).into(),
    })
}

/// An address of a block that is outside, and in no narrower one that somebody names.
fn example(world: &World, block: &Subnet, all: &[&Subnet]) -> Option<IpAddr> {
    let narrower: Vec<&&Subnet> = all
        .iter()
        .filter(|other| other.prefix_len() > block.prefix_len() && block.contains(other.address()))
        .collect();
    let bounds = |subnet: &Subnet| {
        let net = subnet.net();
        [number(net.network()), number(net.broadcast())]
    };
    let [first, last] = bounds(block);
    let edges = narrower.iter().flat_map(|other| {
        let [first, last] = bounds(other);
        [last.saturating_add(1), first.saturating_sub(1)]
    });
    let middle = first + (last - first) / 2;
    let candidates = [
        first.saturating_add(1),
        middle,
        last.saturating_sub(1),
        first,
    ];
    let far = FAR
        .into_iter()
        .filter(|far| block.contains(*far))
        .map(number);
    let candidates = far.chain(candidates).chain(edges);
    let address = |number: u128| match block.is_ipv6() {
        true => Some(Ipv6Addr::from_bits(number).into()),
        false => Some(Ipv4Addr::from_bits(u32::try_from(number).ok()?).into()),
    };
    candidates
        .filter(|candidate| (first..=last).contains(candidate))
        .filter_map(address)
        .find(|address| {
            !narrower.iter().any(|other| other.contains(*address))
                && world.host.route(*address) == Route::Through(world.uplink.clone())
        })
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}
