//! Decides a sandbox's endpoints: interfaces, addresses, names. Pure, but for the entropy that comes in.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hakone_base::{ContainerName, EndpointId};
use hakone_network_model::{Defences, SHARED_ADDRESSES, leads_astray, naming};
use hakone_network_plugin::Lease;

use crate::{
    DriverKind, EndpointAddress, EndpointReport, EndpointRequest, Error, NetworkMode,
    SandboxReport, SandboxRequest, addresses, record::Network, remote::Leases, state::State,
};

/// What is known of the container whatever network it joins.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) name: &'a ContainerName,
    pub(crate) short_id: &'a str,
    pub(crate) hostname: &'a str,
}

/// Decides all endpoints, in the order of their interfaces; nothing is published yet.
pub(crate) fn plan(
    request: &SandboxRequest,
    state: &State,
    leases: &Leases,
    mut new_id: impl FnMut() -> EndpointId,
) -> Result<SandboxReport, Error> {
    let who = Who {
        name: &request.name,
        short_id: request.container.short(),
        hostname: &request.hostname,
    };
    let mut endpoints = Vec::new();
    for (network, asked) in networks(request, state)? {
        let joining = Joining {
            who,
            network,
            asked: &asked,
            present: &endpoints,
            lease: leases.get(&network.id),
        };
        let planned = endpoint(&joining, state, new_id()).map_err(|error| of(network, error))?;
        endpoints.push(planned);
    }
    Ok(SandboxReport {
        name: request.name.clone(),
        hostname: request.hostname.clone(),
        domainname: request.domainname.clone(),
        labels: request.labels.clone(),
        endpoints,
        published: Vec::new(),
        exposed: request.exposed.clone(),
        links: request
            .links
            .iter()
            .map(|link| link.container.clone())
            .collect(),
        resolver: None,
        hosts: None,
        resolv_conf: None,
    })
}

/// Says of which network's settings a start is refused.
fn of(network: &Network, error: Error) -> Error {
    match error {
        Error::Settings(_) => Error::Endpoint {
            network: network.name().to_owned(),
            source: Box::new(error),
        },
        other => other,
    }
}

/// A container that joins a network.
pub(crate) struct Joining<'a> {
    pub(crate) who: Who<'a>,
    pub(crate) network: &'a Network,
    pub(crate) asked: &'a EndpointRequest,
    /// The endpoints that it has.
    pub(crate) present: &'a [EndpointReport],
    /// What an address plugin gave for it.
    pub(crate) lease: Option<&'a Lease>,
}

/// Decides one endpoint beside those that the sandbox has.
pub(crate) fn endpoint(
    joining: &Joining<'_>,
    state: &State,
    id: EndpointId,
) -> Result<EndpointReport, Error> {
    let Joining {
        who,
        network,
        asked,
        present,
        lease,
    } = *joining;
    if present
        .iter()
        .any(|endpoint| endpoint.network == network.id)
    {
        return Err(Error::Connected {
            name: who.name.to_string(),
            network: network.name().to_owned(),
        });
    }
    check(network, asked)?;
    let id = lease.map_or(id, |lease| lease.endpoint.clone());
    let leased = |v6: bool| lease.and_then(|lease| if v6 { lease.v6 } else { lease.v4 });
    let wanted_v4 = leased(false).or(asked.ipv4.map(IpAddr::V4));
    let wanted_v6 = leased(true).or(asked.ipv6.map(IpAddr::V6));
    let mut taken = state.taken(&network.id);
    taken.extend(present.iter().flat_map(EndpointReport::addresses));
    let ipv4 = addresses::choose(network.pool_v4(), wanted_v4, &taken)?;
    let ipv6 = addresses::choose(network.pool_v6(), wanted_v6, &taken)?;
    let plugged = network.is_plugged();
    // An ipvlan interface has its parent's Ethernet address, and no end on the host.
    let named = |error: hakone_base::IfNameError| Error::Invalid(error.to_string());
    let shares = network.spec.driver == DriverKind::Ipvlan;
    let ours = plugged && !shares && network.spec.driver != DriverKind::Plugin;
    let derived = ours.then(|| naming::mac_of(ipv4, &id));
    Ok(EndpointReport {
        network: network.id.clone(),
        network_name: network.name().to_owned(),
        interface: plugged
            .then(|| naming::interface(&network.spec, present))
            .transpose()
            .map_err(named)?,
        port: ours.then(|| naming::port(&id)).transpose().map_err(named)?,
        mac: asked.mac.filter(|_| plugged && !shares).or(derived),
        ipv4: address_v4(network, ipv4),
        ipv6: address_v6(network, ipv6),
        asked_ipv4: asked.ipv4,
        asked_ipv6: asked.ipv6,
        aliases: asked.aliases.clone(),
        links: asked.links.clone(),
        dns_names: match plugged && !network.is_default_bridge() {
            true => names(who, &asked.aliases),
            false => Vec::new(),
        },
        driver_opts: asked.driver_opts.clone(),
        priority: asked.priority,
        remote: None,
        id,
    })
}

/// Gives every name of an endpoint once: the container's, its aliases, its short id, its host name.
pub(crate) fn names(who: Who<'_>, aliases: &[String]) -> Vec<String> {
    let own = [who.name.as_str()].into_iter();
    let aliases = aliases.iter().map(String::as_str);
    naming::distinct(own.chain(aliases).chain([who.short_id, who.hostname]))
}

const PATTERN: &str = "cannot create endpoint on configuration-only network";

pub(crate) const PRIVATE: &str = "container cannot be connected to multiple networks with one of the networks in private (none) mode";

/// Finds the networks asked for and orders them: the way out first, so that it becomes `eth0`.
pub(crate) fn networks<'a>(
    request: &SandboxRequest,
    state: &'a State,
) -> Result<Vec<(&'a Network, EndpointRequest)>, Error> {
    let only = |network: &str| {
        vec![EndpointRequest {
            network: network.to_owned(),
            ..EndpointRequest::default()
        }]
    };
    let asked = match &request.mode {
        NetworkMode::Networks(endpoints) if endpoints.is_empty() => only("default"),
        NetworkMode::Networks(endpoints) => endpoints.clone(),
        NetworkMode::Host => only("host"),
        NetworkMode::None => only("none"),
        NetworkMode::Container(_) => Vec::new(),
    };
    let found = asked
        .into_iter()
        .map(|asked| Ok((state.network(&asked.network)?, asked)));
    let mut found: Vec<(&Network, EndpointRequest)> = found.collect::<Result<_, Error>>()?;
    if found.len() > 1 && found.iter().any(|(network, _)| !network.is_plugged()) {
        return Err(Error::Conflict(PRIVATE));
    }
    found.sort_by(|(a, x), (b, y)| {
        let rank = |network: &Network, asked: &EndpointRequest| {
            (
                -asked.priority,
                network.spec.internal,
                network.name().to_owned(),
            )
        };
        rank(a, x).cmp(&rank(b, y))
    });
    Ok(found)
}

/// Refuses a network that only configures others.
pub(crate) fn check_pattern(network: &Network) -> Result<(), Error> {
    match network.spec.config_only {
        true => Err(Error::Pattern(PATTERN)),
        false => Ok(()),
    }
}

/// Says everything that the network does not allow.
pub(crate) fn check(network: &Network, asked: &EndpointRequest) -> Result<(), Error> {
    let addresses: Vec<IpAddr> = [asked.ipv4.map(IpAddr::V4), asked.ipv6.map(IpAddr::V6)]
        .into_iter()
        .flatten()
        .collect();
    check_pattern(network)?;
    let mut reasons = Vec::new();
    if network.spec.driver == DriverKind::Ipvlan && asked.mac.is_some() {
        reasons.push("ipvlan interfaces do not support custom mac address assignment".into());
    }
    if network.is_predefined() && !addresses.is_empty() {
        reasons.push("user specified IP address is supported on user defined networks only".into());
    }
    if network.is_predefined() && !asked.aliases.is_empty() {
        reasons.push(
            "network-scoped alias is supported only for containers in user defined networks".into(),
        );
    }
    if !addresses.is_empty() && !network.has_own_subnet {
        reasons.push(
            "user specified IP address is supported only when connecting to networks with user configured subnets".into(),
        );
    } else {
        reasons.extend(
            addresses
                .iter()
                .filter_map(|address| outside(network, *address)),
        );
    }
    reasons.extend(shared(network, asked));
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(Error::Settings(reasons)),
    }
}

/// Refuses aliases that lead neighbours astray, where the network or the daemon is hardened.
pub(crate) fn check_aliases(
    state: &State,
    network: &Network,
    asked: &EndpointRequest,
    hardened: bool,
) -> Result<(), Error> {
    if !Defences::of(&network.spec).is_hardened(hardened) {
        return Ok(());
    }
    let members = state.endpoints(&network.id);
    let members = members.map(|(_, attached, _)| attached.report.name.as_str());
    let members: BTreeSet<&str> = members.collect();
    let mut aliases = asked.aliases.iter();
    match aliases.find(|alias| leads_astray(alias, "", &members)) {
        None => Ok(()),
        Some(alias) => Err(Error::Settings(vec![format!(
            "the alias {alias} would hide another's name, which is refused on a hardened network; dev.hakone.hardened=false on the network opens it"
        )])),
    }
}

/// Says which of the addresses to share are none of the network's, or its gateway.
fn shared(network: &Network, asked: &EndpointRequest) -> Vec<String> {
    let listed = asked.driver_opts.get(SHARED_ADDRESSES);
    let parts = listed.into_iter().flat_map(|list| list.split(','));
    let wrong = |part: &str| match part.trim().parse::<IpAddr>() {
        Err(_) => Some(format!("invalid address {part:?} in {SHARED_ADDRESSES}")),
        Ok(address) if network.pools.iter().any(|pool| pool.gateway == address) => Some(format!(
            "{address} of {SHARED_ADDRESSES} is the network's gateway"
        )),
        Ok(address) => outside(network, address),
    };
    parts.filter_map(wrong).collect()
}

fn outside(network: &Network, address: IpAddr) -> Option<String> {
    let pools = [network.pool_v4(), network.pool_v6()];
    let inside = pools
        .into_iter()
        .flatten()
        .any(|pool| pool.subnet.contains(address));
    (!inside).then(|| format!("no configured subnet or ip-range contain the IP address {address}"))
}

fn address_v4(network: &Network, address: Option<IpAddr>) -> Option<EndpointAddress<Ipv4Addr>> {
    let Some(IpAddr::V4(address)) = address else {
        return None;
    };
    Some(EndpointAddress {
        address,
        prefix_len: network.pool_v4()?.subnet.prefix_len(),
        gateway: network.gateway_v4().filter(|_| !network.spec.internal),
    })
}

fn address_v6(network: &Network, address: Option<IpAddr>) -> Option<EndpointAddress<Ipv6Addr>> {
    let Some(IpAddr::V6(address)) = address else {
        return None;
    };
    Some(EndpointAddress {
        address,
        prefix_len: network.pool_v6()?.subnet.prefix_len(),
        gateway: network.gateway_v6().filter(|_| !network.spec.internal),
    })
}
