//! Sets of addresses, and of ports at addresses, cut into pieces that do not overlap: the kernel takes no others.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hakone_base::Subnet;
use hakone_network_policy::{Peers, PortRange, Ports, Rule};
use ipnet::{Ipv4Subnets, Ipv6Subnets};

use crate::ruleset::{IpFamily, Key, Value};

use IpFamily::{V4, V6};

/// Addresses of one family as ranges: sorted, apart from each other, as long as they can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    /// Every address of the family.
    pub(crate) fn all(family: IpFamily) -> Self {
        Self(vec![(0, last_of(family))])
    }

    /// The addresses of a prefix.
    pub(crate) fn of_prefix(prefix: &Subnet) -> Self {
        let net = prefix.net();
        Self(vec![(number(net.network()), number(net.broadcast()))])
    }

    /// These addresses alone.
    pub(crate) fn of_addresses(addresses: impl Iterator<Item = IpAddr>) -> Self {
        Self::joined(addresses.map(|own| (number(own), number(own))).collect())
    }

    fn joined(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.sort_unstable();
        let mut joined: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match joined.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                Some(_) | None => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    /// What is in one of them.
    pub(crate) fn union<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let ranges = all.into_iter().flat_map(|one| &one.0);
        Self::joined(ranges.copied().collect())
    }

    /// What is in these and not in those.
    pub(crate) fn without(&self, those: &Self) -> Self {
        let mut rest = Vec::new();
        let mut holes = those.0.as_slice();
        for range in &self.0 {
            // Holes before this range are before all that follow, too.
            let passed = holes.iter().take_while(|(_, end)| *end < range.0).count();
            holes = holes.get(passed..).unwrap_or_default();
            rest.extend(punched(*range, holes));
        }
        Self(rest)
    }

    /// Cuts them into as few prefixes as there can be.
    pub(crate) fn prefixes(&self, family: IpFamily) -> Vec<Subnet> {
        let cut = |&(first, last): &(u128, u128)| -> Vec<Subnet> {
            match (address(family, first), address(family, last)) {
                (IpAddr::V4(first), IpAddr::V4(last)) => Ipv4Subnets::new(first, last, 0)
                    .map(|net| Subnet::new(net.into()))
                    .collect(),
                (IpAddr::V6(first), IpAddr::V6(last)) => Ipv6Subnets::new(first, last, 0)
                    .map(|net| Subnet::new(net.into()))
                    .collect(),
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
            }
        };
        self.0.iter().flat_map(cut).collect()
    }
}

/// What is left of a range; the holes are sorted, and the first does not end before it.
fn punched((mut first, last): (u128, u128), holes: &[(u128, u128)]) -> Vec<(u128, u128)> {
    let mut rest = Vec::new();
    for &(start, end) in holes.iter().take_while(|(start, _)| *start <= last) {
        if let Some(before) = start.checked_sub(1).filter(|before| *before >= first) {
            rest.push((first, before));
        }
        if end >= last {
            return rest;
        }
        first = end + 1;
    }
    rest.push((first, last));
    rest
}

const fn last_of(family: IpFamily) -> u128 {
    match family {
        V4 => u32::MAX as u128,
        V6 => u128::MAX,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn address(family: IpFamily, number: u128) -> IpAddr {
    match family {
        V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        V6 => Ipv6Addr::from(number).into(),
    }
}

/// Which addresses of one family may be at the other end, by which protocols, at which ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cover {
    any: Vec<Ranges>,
    ports: BTreeMap<PortRange, Vec<Ranges>>,
}

/// A protocol by its number with ports from first to last.
type Piece = (u8, u16, u16);

impl Cover {
    /// Adds addresses at ports, or at all ports of all protocols.
    pub(crate) fn add(&mut self, addresses: &Ranges, ports: &Ports) {
        match ports {
            Ports::All => self.any.push(addresses.clone()),
            Ports::These(list) => list.iter().for_each(|range| {
                let list = self.ports.entry(*range).or_default();
                list.push(addresses.clone());
            }),
        }
    }

    /// Gives keys of address and protocol, and keys of address, protocol and port; no two of a kind overlap.
    pub(crate) fn keys(&self, family: IpFamily) -> (BTreeSet<Key>, BTreeSet<Key>) {
        let any = Ranges::union(&self.any);
        let mut wide = keys(&any, family, &[Value::Protocols(0, u8::MAX)]);
        let mut narrow = BTreeSet::new();
        for protocol in self.protocols() {
            let of_protocol = || {
                let all = self.ports.iter();
                all.filter(move |(range, _)| range.protocol.number() == protocol)
            };
            let whole = of_protocol().filter(|(range, _)| is_whole(range));
            let whole = Ranges::union(whole.flat_map(|(_, list)| list)).without(&any);
            let key = Value::Protocols(protocol, protocol);
            wide.extend(keys(&whole, family, std::slice::from_ref(&key)));
            let known = Ranges::union([&any, &whole]);
            let parts: Vec<(&PortRange, Ranges)> = of_protocol()
                .filter(|(range, _)| !is_whole(range))
                .map(|(range, list)| (range, Ranges::union(list).without(&known)))
                .collect();
            for ((_, first, last), addresses) in pieces(protocol, &parts) {
                let ports = Value::Ports(first, last);
                narrow.extend(keys(&addresses, family, &[key.clone(), ports]));
            }
        }
        (wide, narrow)
    }

    fn protocols(&self) -> BTreeSet<u8> {
        let ranges = self.ports.keys();
        ranges.map(|range| range.protocol.number()).collect()
    }
}

const fn is_whole(range: &PortRange) -> bool {
    range.first == 0 && range.last == u16::MAX
}

/// Cuts overlapping port ranges where one of them begins or ends, and joins neighbours with the same addresses.
fn pieces(protocol: u8, parts: &[(&PortRange, Ranges)]) -> Vec<(Piece, Ranges)> {
    let begins = parts.iter().map(|(range, _)| u32::from(range.first));
    let ends = parts.iter().map(|(range, _)| u32::from(range.last) + 1);
    let cuts: BTreeSet<u32> = begins.chain(ends).collect();
    let mut pieces: Vec<(Piece, Ranges)> = Vec::new();
    for (first, next) in cuts.iter().zip(cuts.iter().skip(1)) {
        let port = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        let (first, last) = (port(*first), port(next - 1));
        let covering = parts.iter();
        let covering = covering.filter(|(range, _)| range.first <= first && last <= range.last);
        let addresses = Ranges::union(covering.map(|(_, addresses)| addresses));
        match pieces.last_mut() {
            Some(((_, _, end), same))
                if *same == addresses && end.checked_add(1) == Some(first) =>
            {
                *end = last;
            }
            Some(_) | None => pieces.push(((protocol, first, last), addresses)),
        }
    }
    pieces
}

/// At which ports anybody may be at the other end. Most rules say no more, and need no look at addresses: a single port is a hash's
/// work, which costs a packet and a change the least.
#[derive(Debug, Default)]
pub(crate) struct Services {
    /// Keys of protocol and port.
    pub(crate) single: BTreeSet<Key>,
    ranges: BTreeMap<u8, Vec<(u128, u128)>>,
}

impl Services {
    /// Takes out of a rule what is open to anybody; gives the ports that are left to look up by address.
    pub(crate) fn take(&mut self, rule: &Rule) -> Ports {
        let (Peers::All, Ports::These(list)) = (&rule.peers, &rule.ports) else {
            return rule.ports.clone();
        };
        // A protocol as a whole is open also where no port can be read.
        let (whole, parts): (Vec<PortRange>, Vec<PortRange>) =
            list.iter().partition(|one| is_whole(one));
        for part in parts {
            let protocol = part.protocol.number();
            match part.first == part.last {
                true => {
                    let key = vec![Value::Protocol(protocol), Value::Port(part.first)];
                    self.single.insert(key);
                }
                false => {
                    let ranges = self.ranges.entry(protocol).or_default();
                    ranges.push((part.first.into(), part.last.into()));
                }
            }
        }
        Ports::These(whole)
    }

    /// Gives keys of protocol and ports, of which no two overlap.
    pub(crate) fn ranges(&self) -> BTreeSet<Key> {
        let port = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
        let of_protocol = |(protocol, ranges): (&u8, &Vec<(u128, u128)>)| {
            let protocol = Value::Protocols(*protocol, *protocol);
            let key =
                move |(first, last)| vec![protocol.clone(), Value::Ports(port(first), port(last))];
            Ranges::joined(ranges.clone()).0.into_iter().map(key)
        };
        self.ranges.iter().flat_map(of_protocol).collect()
    }
}

fn keys(addresses: &Ranges, family: IpFamily, rest: &[Value]) -> BTreeSet<Key> {
    let prefixes = addresses.prefixes(family).into_iter();
    prefixes
        .map(|prefix| [&[Value::Prefix(prefix)], rest].concat())
        .collect()
}

#[cfg(test)]
mod tests {
    use hakone_base::Protocol;

    use super::*;

    fn ranges(pairs: &[(u128, u128)]) -> Ranges {
        Ranges::joined(pairs.to_vec())
    }

    #[test]
    fn neighbours_and_overlaps_become_one() {
        assert_eq!(
            ranges(&[(5, 9), (1, 4), (8, 12), (20, 20)]).0,
            [(1, 12), (20, 20)]
        );
        let top = u128::MAX;
        assert_eq!(ranges(&[(3, top), (top, top)]).0, [(3, top)]);
    }

    #[test]
    fn what_is_taken_away_leaves_what_is_left() {
        let all = ranges(&[(0, 100), (200, 300)]);
        type Pairs = &'static [(u128, u128)];
        let rows: [(Pairs, Pairs); 6] = [
            (&[], &[(0, 100), (200, 300)]),
            (&[(0, 100)], &[(200, 300)]),
            (
                &[(10, 20), (30, 40)],
                &[(0, 9), (21, 29), (41, 100), (200, 300)],
            ),
            (&[(50, 250)], &[(0, 49), (251, 300)]),
            (&[(100, 100), (300, 300)], &[(0, 99), (200, 299)]),
            (&[(0, 1000)], &[]),
        ];
        for (holes, left) in rows {
            assert_eq!(all.without(&ranges(holes)).0, left, "{holes:?}");
        }
        let everything = Ranges::all(V6);
        assert_eq!(everything.without(&everything).0, []);
    }

    #[test]
    fn ranges_become_prefixes() {
        let addresses = ["10.0.0.2", "10.0.0.3", "10.0.0.4"].map(|text| text.parse().unwrap());
        let prefixes = Ranges::of_addresses(addresses.into_iter()).prefixes(V4);
        let text: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["10.0.0.2/31", "10.0.0.4/32"]);
        assert_eq!(Ranges::all(V6).prefixes(V6), ["::/0".parse().unwrap()]);
    }

    #[test]
    fn what_anybody_may_reach_is_looked_up_by_port_alone() {
        let range = |first, last| PortRange {
            protocol: Protocol::Tcp,
            first,
            last,
        };
        let whole = PortRange::all(Protocol::Udp);
        let ports = Ports::These(vec![range(80, 80), range(90, 95), range(93, 99), whole]);
        let rule = |peers| Rule {
            peers,
            ports: ports.clone(),
        };
        let mut services = Services::default();
        let left = services.take(&rule(Peers::All));
        assert_eq!(left, Ports::These(vec![whole]));
        assert_eq!(services.take(&rule(Peers::These(Vec::new()))), ports);
        let single = vec![Value::Protocol(6), Value::Port(80)];
        assert_eq!(services.single, [single].into());
        let joined = vec![Value::Protocols(6, 6), Value::Ports(90, 99)];
        assert_eq!(services.ranges(), [joined].into());
    }

    #[test]
    fn overlapping_ports_are_cut_and_wider_keys_swallow_narrower() {
        let prefix = |text: &str| Ranges::of_prefix(&text.parse().unwrap());
        let tcp = |first, last| PortRange {
            protocol: Protocol::Tcp,
            first,
            last,
        };
        let mut cover = Cover::default();
        let these = |range| Ports::These(vec![range]);
        for (ports, addresses) in [
            (these(tcp(80, 90)), "10.0.0.0/8"),
            (these(tcp(85, 95)), "10.0.0.0/8"),
            (these(tcp(90, 90)), "11.0.0.0/8"),
            (these(PortRange::all(Protocol::Tcp)), "12.0.0.0/8"),
            (these(tcp(1, 1)), "12.1.0.0/16"),
            (Ports::All, "13.0.0.0/8"),
            (these(tcp(1, 1)), "13.0.0.0/8"),
        ] {
            cover.add(&prefix(addresses), &ports);
        }
        let (wide, narrow) = cover.keys(V4);
        let text = |keys: BTreeSet<Key>| -> Vec<String> {
            let key = |key: Key| {
                key.iter()
                    .map(Value::to_string)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            keys.into_iter().map(key).collect()
        };
        assert_eq!(text(wide), ["12.0.0.0/8 6", "13.0.0.0/8 0-255"]);
        assert_eq!(
            text(narrow),
            [
                "10.0.0.0/7 6 90",
                "10.0.0.0/8 6 80-89",
                "10.0.0.0/8 6 91-95",
            ]
        );
    }
}
