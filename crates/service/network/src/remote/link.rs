//! Moves the interface that a network plugin names from the host into a container, and back.
//!
//! The plugin's word decides over an interface of the host: a plugin out of its mind must not give a container the host's own
//! uplink, a bridge, or another container's cable. So only a link that nothing else on the host uses goes inside.

use std::{
    fs::File,
    os::fd::{AsFd as _, BorrowedFd},
};

use hakone_base::IfName;
use hakone_netlink::{Link, LinkIndex, Request, Socket, add_route, bring_down, move_to, set_mac};
use hakone_netns::Netns;

use crate::{
    EndpointReport, Error,
    driver::{Attachment, inner},
    host::Host,
    sweep,
};

/// Kinds of links that belong to the host whatever a plugin says.
const HOSTS: [&str; 6] = ["bridge", "bond", "team", "vrf", "wireguard", "openvswitch"];

/// Moves the endpoint's interface inside, names it, and sets addresses and routes.
pub(crate) fn attach(
    attachment: &Attachment<'_>,
    host: &mut Host,
    netns: BorrowedFd<'_>,
    inside: &mut Socket,
) -> Result<(), Error> {
    let endpoint = attachment.endpoint;
    let Some((source, name)) = names(endpoint) else {
        return Ok(());
    };
    let found = host.links.link(source)?;
    let link = found.ok_or_else(|| hakone_netlink::Error::NoLink(source.to_string()))?;
    judge(&link, host).map_err(|reason| Error::Interface {
        interface: source.to_string(),
        network: endpoint.network_name.clone(),
        reason,
    })?;
    let index = LinkIndex(link.index);
    let mac = endpoint.mac.filter(|mac| Some(*mac) != link.mac);
    let mac = mac.map(|mac| set_mac(index, mac));
    let outside = [bring_down(index)].into_iter().chain(mac);
    host.links
        .execute(outside.chain([move_to(index, netns, name)]))?;
    let moved = inside.link(name)?;
    let moved = moved.ok_or_else(|| hakone_netlink::Error::NoLink(name.to_string()))?;
    let index = LinkIndex(moved.index);
    inside.execute(
        inner(attachment, index, None)
            .into_iter()
            .chain(routes(endpoint, index)),
    )?;
    Ok(())
}

/// Moves an endpoint's interface back to the host under its former name, for its driver to do with it what it likes.
pub(crate) fn take_out(endpoint: &EndpointReport, netns: &Netns) -> Result<(), Error> {
    let Some((source, name)) = names(endpoint) else {
        return Ok(());
    };
    let path = std::path::PathBuf::from("/proc/self/ns/net");
    let host = File::open(&path).map_err(|source| Error::File { path, source })?;
    let mut inside = netns.on(Socket::open)??;
    let Some(link) = inside.link(name)? else {
        return Ok(());
    };
    let index = LinkIndex(link.index);
    Ok(inside.execute([bring_down(index), move_to(index, host.as_fd(), source)])?)
}

fn names(endpoint: &EndpointReport) -> Option<(&IfName, &IfName)> {
    let source = endpoint.remote.as_ref()?.source.as_ref()?;
    Some((source, endpoint.interface.as_ref()?))
}

fn routes(endpoint: &EndpointReport, link: LinkIndex) -> impl Iterator<Item = Request> {
    let remote = endpoint.remote.iter();
    let routes = remote.flat_map(|remote| &remote.routes);
    routes.map(move |route| add_route(link, route.to.net(), route.gateway))
}

/// Says why a link is not to be given away.
fn judge(link: &Link, host: &mut Host) -> Result<(), String> {
    let index = LinkIndex(link.index);
    if link.name == "lo" || HOSTS.contains(&link.kind.as_str()) {
        return Err("it is the host's own".to_owned());
    }
    if sweep::is_ours(link) {
        return Err("it is another container's".to_owned());
    }
    if link.master.is_some() {
        return Err("it is a port of a bridge".to_owned());
    }
    let words = |error: hakone_netlink::Error| error.to_string();
    let links = host.links.links().map_err(words)?;
    // A pair's other end is the plugin's; a VLAN or a macvlan is somebody's network.
    if links
        .iter()
        .any(|other| other.peer == Some(index) && other.kind != "veth")
    {
        return Err("other interfaces of the host stand on it".to_owned());
    }
    let addresses = host.links.addresses().map_err(words)?;
    let own = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(_) => true,
        std::net::IpAddr::V6(address) => !address.is_unicast_link_local(),
    };
    if addresses
        .iter()
        .any(|one| one.link == index && own(one.address.addr()))
    {
        return Err("the host has an address on it".to_owned());
    }
    let routes = host.links.routes().map_err(words)?;
    match routes.iter().any(|route| {
        route.link == Some(index) && own(route.to.addr()) && !route.to.addr().is_multicast()
    }) {
        true => Err("the host has a route over it".to_owned()),
        false => Ok(()),
    }
}
