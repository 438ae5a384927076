//! A network's pool and the addresses given from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hakone_base::Subnet;
use serde::{Deserialize, Serialize};

use crate::{
    Error, PoolRequest,
    bounds::{Bounds, number},
};

/// The addresses of one family that a network has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The subnet.
    pub subnet: Subnet,
    /// The part of it that endpoints get addresses from unless they ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Subnet>,
    /// The gateway's address.
    pub gateway: IpAddr,
    /// Addresses that something else has, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub auxiliary: BTreeMap<String, IpAddr>,
}

impl Pool {
    /// Plans the pool of a request whose subnet is known, chosen by [`crate::Pools`] if the request has none.
    ///
    /// # Errors
    /// When another network has addresses of the subnet, or no address is left for a gateway.
    pub fn plan(request: PoolRequest, subnet: Subnet, taken: &[Subnet]) -> Result<Self, Error> {
        if let Some(other) = taken.iter().find(|other| other.overlaps(&subnet)) {
            return Err(Error::Overlap {
                wanted: subnet,
                taken: *other,
            });
        }
        let auxiliary = request.auxiliary;
        let busy: BTreeSet<IpAddr> = auxiliary.values().copied().collect();
        let gateway = match request.gateway {
            Some(gateway) if busy.contains(&gateway) => return Err(Error::InUse(gateway)),
            Some(gateway) => gateway,
            None => {
                let span = span(subnet, request.range).ok_or(Error::Exhausted(subnet))?;
                lowest(span, span.first, |address| busy.contains(&address))
                    .ok_or(Error::Exhausted(subnet))?
            }
        };
        Ok(Self {
            subnet,
            range: request.range,
            gateway,
            auxiliary,
        })
    }

    /// Gives the next free address after `last`, from the beginning again at the end; the lowest free one without `last`.
    ///
    /// Going on after the last one keeps the address of a container that just left from meaning another one at once.
    ///
    /// # Errors
    /// When every address has an owner.
    pub fn allocate(&self, used: &BTreeSet<IpAddr>, last: Option<IpAddr>) -> Result<IpAddr, Error> {
        let span = span(self.subnet, self.range).ok_or(Error::Exhausted(self.subnet))?;
        let before_end = |last: &IpAddr| span.contains(*last) && number(*last) < span.last;
        let start = last
            .filter(before_end)
            .map_or(span.first, |last| number(last) + 1);
        let busy = |address| self.is_reserved(address) || used.contains(&address);
        lowest(span, start, busy)
            .or_else(|| lowest(span, span.first, busy))
            .ok_or(Error::Exhausted(self.subnet))
    }

    /// Gives the very address asked for; it may lie outside the range, but not outside the subnet.
    ///
    /// # Errors
    /// When it has an owner or is not one that endpoints get.
    pub fn claim(&self, wanted: IpAddr, used: &BTreeSet<IpAddr>) -> Result<IpAddr, Error> {
        if !Bounds::usable(self.subnet).contains(wanted) {
            return Err(Error::OutOfRange {
                address: wanted,
                subnet: self.subnet,
            });
        }
        match self.is_reserved(wanted) || used.contains(&wanted) {
            true => Err(Error::InUse(wanted)),
            false => Ok(wanted),
        }
    }

    /// Reports whether the address is the gateway's or an auxiliary one.
    #[must_use]
    pub fn is_reserved(&self, address: IpAddr) -> bool {
        address == self.gateway || self.auxiliary.values().any(|other| *other == address)
    }
}

/// Spans what is given without asking: the range, or all of the subnet.
fn span(subnet: Subnet, range: Option<Subnet>) -> Option<Bounds> {
    let usable = Bounds::usable(subnet);
    match range {
        Some(range) => Bounds::of(range).within(usable),
        None => Some(usable),
    }
}

/// Finds the lowest free address from `start` on; stops at the first, so it costs as many steps as there are owners.
fn lowest(span: Bounds, start: u128, busy: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let candidates = (start..=span.last).map(|number| span.address(number));
    candidates.into_iter().find(|address| !busy(*address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(subnet: &str, range: &str, gateway: &str) -> Result<Pool, Error> {
        let request = PoolRequest::parse(subnet, range, gateway, [("dns", "10.0.0.2")])?;
        Pool::plan(request, subnet.parse().unwrap(), &[])
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_address_is_the_gateway_and_reserved_ones_are_stepped_over() {
        let pool = pool("10.0.0.0/29", "", "").unwrap();
        assert_eq!(pool.gateway, ip("10.0.0.1"));
        let mut used = BTreeSet::new();
        for expected in ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"] {
            let address = pool.allocate(&used, None).unwrap();
            assert_eq!(address, ip(expected));
            used.insert(address);
        }
        assert_eq!(
            pool.allocate(&used, None),
            Err(Error::Exhausted(pool.subnet))
        );
    }

    #[test]
    fn a_range_bounds_what_is_given_but_not_what_is_asked_for() {
        let pool = pool("10.0.0.0/16", "10.0.5.0/30", "10.0.0.1").unwrap();
        let none = BTreeSet::new();
        assert_eq!(pool.allocate(&none, None).unwrap(), ip("10.0.5.0"));
        assert_eq!(pool.claim(ip("10.0.9.9"), &none).unwrap(), ip("10.0.9.9"));
    }

    #[test]
    fn giving_goes_on_after_the_last_and_wraps() {
        let pool = pool("10.0.0.0/29", "", "").unwrap();
        let none = BTreeSet::new();
        assert_eq!(
            pool.allocate(&none, Some(ip("10.0.0.3"))).unwrap(),
            ip("10.0.0.4")
        );
        assert_eq!(
            pool.allocate(&none, Some(ip("10.0.0.6"))).unwrap(),
            ip("10.0.0.3")
        );
    }

    #[test]
    fn what_has_an_owner_is_not_given_on_demand() {
        let pool = pool("10.0.0.0/24", "", "").unwrap();
        let used = BTreeSet::from([ip("10.0.0.7")]);
        assert_eq!(
            pool.claim(ip("10.0.0.7"), &used),
            Err(Error::InUse(ip("10.0.0.7")))
        );
        assert_eq!(
            pool.claim(ip("10.0.0.1"), &used),
            Err(Error::InUse(ip("10.0.0.1")))
        );
        for odd in ["10.0.0.0", "10.0.0.255", "10.0.1.1", "fd00::1"] {
            assert!(
                matches!(pool.claim(ip(odd), &used), Err(Error::OutOfRange { .. })),
                "{odd}"
            );
        }
    }

    #[test]
    fn an_overlap_is_refused_in_dockers_words() {
        let taken = ["10.0.0.0/8".parse().unwrap()];
        let error = Pool::plan(
            PoolRequest::default(),
            "10.9.0.0/16".parse().unwrap(),
            &taken,
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "Pool overlaps with other one on this address space"
        );
    }

    #[test]
    fn a_prefix_of_two_addresses_has_a_gateway_and_one_endpoint() {
        let pool = Pool::plan(PoolRequest::default(), "10.0.0.8/31".parse().unwrap(), &[]).unwrap();
        assert_eq!(pool.gateway, ip("10.0.0.8"));
        assert_eq!(
            pool.allocate(&BTreeSet::new(), None).unwrap(),
            ip("10.0.0.9")
        );
    }

    #[test]
    fn the_last_address_of_all_does_not_overflow() {
        let subnet = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126"
            .parse()
            .unwrap();
        let pool = Pool::plan(PoolRequest::default(), subnet, &[]).unwrap();
        let last = ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        assert_eq!(
            pool.allocate(&BTreeSet::new(), Some(last)).unwrap(),
            ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")
        );
    }
}
