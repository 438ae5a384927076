//! Describes all that is wanted and all that the host is, for whoever asks the model who reaches whom.

use std::{fs, net::IpAddr};

use hakone_base::IfName;
use hakone_policy::{Bridged, Host};
use hakone_reach::{Resident, World};

use crate::{Error, host::Host as Kernel, service::Inner, service::lock, state::State};

/// Whether frames between two ports of a bridge pass the rules of IP as well.
const BRIDGED: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";
/// What the interface to everything else is called where there is none.
const NOWHERE: &str = "uplink";

/// Derives it from the present state.
pub(crate) fn of(service: &Inner) -> Result<World, Error> {
    let mut host = lock(&service.host);
    let (addresses, uplink) = (addresses(&mut host)?, uplink(&mut host)?);
    let state = lock(&service.state);
    let topology = host.topology(&state);
    drop(host);
    let bridges = topology.bridges.iter().flat_map(|bridge| &bridge.gateways);
    let gateways: Vec<IpAddr> = bridges.copied().collect();
    let own = addresses
        .into_iter()
        .filter(|address| !gateways.contains(address));
    let own: Vec<IpAddr> = own.collect();
    let bridged = match fs::read_to_string(BRIDGED).is_ok_and(|text| text.trim() == "1") {
        true => Bridged::Filtered,
        false => Bridged::Free,
    };
    Ok(World {
        host: Host::new(&topology, &own, uplink.clone()).with_bridged(bridged),
        topology,
        addresses: own,
        uplink,
        residents: residents(&state),
        networks: networks(&state),
    })
}

fn residents(state: &State) -> std::collections::BTreeMap<hakone_base::ContainerId, Resident> {
    let all = state.sandboxes.iter();
    all.map(|(id, attached)| {
        let resident = Resident {
            name: attached.report.name.to_string(),
            exposed: attached.report.exposed.clone(),
        };
        (id.clone(), resident)
    })
    .collect()
}

fn networks(state: &State) -> std::collections::BTreeMap<hakone_base::NetworkId, String> {
    let all = state.networks.values();
    all.map(|network| (network.id.clone(), network.name().to_owned()))
        .collect()
}

/// The host's addresses that others could know: not loopback, not those of one link.
fn addresses(host: &mut Kernel) -> Result<Vec<IpAddr>, Error> {
    let all = host.links.addresses()?.into_iter();
    let all = all.map(|address| address.address.addr());
    let known = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_loopback(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    };
    Ok(all.filter(known).collect())
}

fn uplink(host: &mut Kernel) -> Result<IfName, Error> {
    let routes = host.links.routes()?.into_iter();
    let default = routes.filter(|route| route.to.prefix_len() == 0);
    let link = default
        .min_by_key(|route| route.priority)
        .and_then(|route| route.link);
    let links = host.links.links()?.into_iter();
    let named = links
        .filter(|one| link.is_some_and(|link| link.0 == one.index))
        .map(|one| one.name)
        .next();
    let name = named.unwrap_or_else(|| NOWHERE.to_owned());
    name.parse()
        .map_err(|error| Error::Invalid(format!("{error}")))
}
