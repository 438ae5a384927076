//! The subnets that networks get when they ask for none in particular.

use std::net::{Ipv4Addr, Ipv6Addr};

use hakone_base::Subnet;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    bounds::{Bounds, Family, subnet_at},
};

/// A stretch of addresses that is cut into subnets of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolBase {
    /// The stretch.
    pub base: Subnet,
    /// The prefix length of each subnet cut from it.
    pub size: u8,
}

/// Where subnets are cut from, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pools {
    /// For IPv4.
    pub v4: Vec<PoolBase>,
    /// For IPv6.
    pub v6: Vec<PoolBase>,
}

impl Pools {
    /// Gives Docker's defaults: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in pieces of /20. For IPv6 a unique
    /// local /48 (RFC 4193) whose 40 random bits are the caller's, in pieces of /64.
    #[must_use]
    pub fn docker(global_id: [u8; 5]) -> Self {
        let v4 = |a, b, prefix, size| PoolBase {
            base: v4(a, b, prefix),
            size,
        };
        let sixteens = (17..=31).map(|second| v4(172, second, 16, 16));
        Self {
            v4: sixteens.chain([v4(192, 168, 16, 20)]).collect(),
            v6: vec![PoolBase {
                base: unique_local(global_id),
                size: 64,
            }],
        }
    }

    /// Chooses the first IPv4 subnet that shares no address with another network or a route of the host.
    ///
    /// # Errors
    /// When none is free.
    pub fn choose_v4(&self, taken: &[Subnet], routes: &[Subnet]) -> Result<Subnet, Error> {
        choose(&self.v4, taken, routes)
    }

    /// Chooses an IPv6 subnet likewise.
    ///
    /// # Errors
    /// When none is free.
    pub fn choose_v6(&self, taken: &[Subnet], routes: &[Subnet]) -> Result<Subnet, Error> {
        choose(&self.v6, taken, routes)
    }
}

fn v4(a: u8, b: u8, prefix: u8) -> Subnet {
    Subnet::new(IpNet::V4(Ipv4Net::new_assert(
        Ipv4Addr::new(a, b, 0, 0),
        prefix,
    )))
}

fn unique_local([a, b, c, d, e]: [u8; 5]) -> Subnet {
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let address = Ipv6Addr::new(pair(0xfd, a), pair(b, c), pair(d, e), 0, 0, 0, 0, 0);
    Subnet::new(IpNet::V6(Ipv6Net::new_assert(address, 48)))
}

fn choose(bases: &[PoolBase], taken: &[Subnet], routes: &[Subnet]) -> Result<Subnet, Error> {
    // A default route covers everything and conflicts with nothing.
    let routes = routes.iter().filter(|route| route.prefix_len() > 0);
    let busy: Vec<Bounds> = taken
        .iter()
        .chain(routes)
        .copied()
        .map(Bounds::of)
        .collect();
    let found = bases.iter().find_map(|base| free_piece(*base, &busy));
    found.ok_or(Error::PoolsExhausted)
}

/// Steps from piece to piece, over a busy span at once, so that a stretch of millions of pieces costs no more than the
/// number of busy spans.
fn free_piece(PoolBase { base, size }: PoolBase, busy: &[Bounds]) -> Option<Subnet> {
    let all = Bounds::of(base);
    let step = piece(all.family, size)?;
    let mut first = all.first;
    while first.checked_add(step - 1)? <= all.last {
        let last = first + step - 1;
        let clash =
            |span: &&Bounds| span.family == all.family && span.first <= last && first <= span.last;
        match busy.iter().find(clash) {
            None => return subnet_at(all.family, first, size),
            Some(span) => {
                let over = span.last - all.first;
                first = all
                    .first
                    .checked_add((over / step + 1).checked_mul(step)?)?;
            }
        }
    }
    None
}

/// Counts the addresses of one piece; a prefix longer than the address has none.
fn piece(family: Family, size: u8) -> Option<u128> {
    1_u128.checked_shl(family.bits().checked_sub(size)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnets(texts: &[&str]) -> Vec<Subnet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn chosen(taken: &[&str], routes: &[&str]) -> String {
        let pools = Pools::docker([1, 2, 3, 4, 5]);
        pools
            .choose_v4(&subnets(taken), &subnets(routes))
            .unwrap()
            .to_string()
    }

    #[test]
    fn the_first_network_gets_172_17() {
        assert_eq!(chosen(&[], &["0.0.0.0/0"]), "172.17.0.0/16");
    }

    #[test]
    fn networks_and_routes_are_stepped_over() {
        assert_eq!(
            chosen(&["172.17.0.0/16"], &["172.18.4.0/24"]),
            "172.19.0.0/16"
        );
        assert_eq!(chosen(&["172.16.0.0/12"], &[]), "192.168.0.0/20");
        assert_eq!(
            chosen(&["172.16.0.0/12"], &["192.168.0.0/22", "192.168.17.0/24"]),
            "192.168.32.0/20"
        );
    }

    #[test]
    fn when_all_are_taken_it_is_said() {
        let pools = Pools::docker([0; 5]);
        let all = subnets(&["172.16.0.0/12", "192.168.0.0/16"]);
        let error = pools.choose_v4(&all, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "all predefined address pools have been fully subnetted"
        );
    }

    #[test]
    fn ipv6_comes_from_a_prefix_of_this_hosts_own() {
        let pools = Pools::docker([0xab, 1, 2, 3, 4]);
        let first = pools.choose_v6(&[], &[]).unwrap();
        assert_eq!(first.to_string(), "fdab:102:304::/64");
        assert_eq!(
            pools.choose_v6(&[first], &[]).unwrap().to_string(),
            "fdab:102:304:1::/64"
        );
    }

    #[test]
    fn a_stretch_of_all_ipv6_is_no_endless_loop() {
        let pools = Pools {
            v4: vec![],
            v6: vec![PoolBase {
                base: "fd00::/8".parse().unwrap(),
                size: 128,
            }],
        };
        let taken = subnets(&["fd00::/9"]);
        assert_eq!(
            pools.choose_v6(&taken, &[]).unwrap().to_string(),
            "fd80::/128"
        );
        let odd = Pools {
            v4: vec![PoolBase {
                base: "10.0.0.0/8".parse().unwrap(),
                size: 64,
            }],
            v6: vec![],
        };
        assert!(odd.choose_v4(&[], &[]).is_err());
    }
}
