//! Which subnets a network gets and which address an endpoint gets: asks `hakone_ipam` with what the state knows.

use std::{collections::BTreeSet, net::IpAddr};

use hakone_base::Subnet;
use hakone_ipam::{Pool, PoolRequest, Pools};

use crate::{Config, Error, NetworkSpec};

/// What stands in the way of a new subnet.
pub(crate) struct Occupied<'a> {
    /// The subnets of all networks.
    pub(crate) networks: &'a [Subnet],
    /// The host's routes.
    pub(crate) routes: &'a [Subnet],
}

/// Decides the pools of a network: those asked for, and a free one for each enabled family without.
pub(crate) fn pools(
    spec: &NetworkSpec,
    free: &Pools,
    occupied: &Occupied<'_>,
) -> Result<Vec<Pool>, Error> {
    let mut taken = occupied.networks.to_vec();
    let mut decided: Vec<Pool> = Vec::new();
    for request in &spec.pools {
        let Some(subnet) = request.subnet else {
            continue;
        };
        decided.push(Pool::plan(request.clone(), subnet, &taken)?);
        taken.push(subnet);
    }
    let has = |decided: &[Pool], ipv6| decided.iter().any(|pool| pool.subnet.is_ipv6() == ipv6);
    if spec.ipv4 && !has(&decided, false) {
        let subnet = free.choose_v4(&taken, occupied.routes)?;
        decided.insert(0, Pool::plan(PoolRequest::default(), subnet, &taken)?);
        taken.push(subnet);
    }
    if spec.ipv6 && !has(&decided, true) {
        let subnet = free.choose_v6(&taken, occupied.routes)?;
        decided.push(Pool::plan(PoolRequest::default(), subnet, &taken)?);
    }
    decided.retain(|pool| {
        if pool.subnet.is_ipv6() {
            spec.ipv6
        } else {
            spec.ipv4
        }
    });
    Ok(decided)
}

/// Gives the pools that subnets are cut from: the daemon's, for a family without any Docker's.
pub(crate) fn free(config: &Config, global_id: [u8; 5]) -> Pools {
    let mut pools = Pools::docker(global_id);
    let (v6, v4): (Vec<_>, Vec<_>) = config.pools.iter().partition(|pool| pool.base.is_ipv6());
    if !v4.is_empty() {
        pools.v4 = v4;
    }
    if !v6.is_empty() {
        pools.v6 = v6;
    }
    pools
}

/// Chooses an endpoint's address: the one asked for or the lowest free one; `None` without a pool of the family.
pub(crate) fn choose(
    pool: Option<&Pool>,
    asked: Option<IpAddr>,
    taken: &BTreeSet<IpAddr>,
) -> Result<Option<IpAddr>, Error> {
    match (pool, asked) {
        (Some(pool), Some(asked)) => Ok(Some(pool.claim(asked, taken)?)),
        (Some(pool), None) => Ok(Some(pool.allocate(taken, None)?)),
        (None, Some(asked)) => Err(Error::Invalid(format!(
            "no configured subnet contains IP address {asked}"
        ))),
        (None, None) => Ok(None),
    }
}
