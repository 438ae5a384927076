//! Plugs a sandbox into a bridge, in an order in which nothing gets through too early.
//!
//! `attach` makes the pair with its port down and isolated, and everything inside; then the caller loads the rules; then
//! `open_ports` lets frames through.

use std::{
    os::fd::BorrowedFd,
    sync::Mutex,
    thread::sleep,
    time::{Duration, Instant},
};

use hakone_base::{IfName, MacAddr};
use hakone_netlink::{
    Link, LinkIndex, Peer, Port, Request, Socket, Veth, add_address, add_forwarding, add_neighbour,
    add_veth, bring_up, configure_port, default_route, delete_link, delete_neighbour, set_isolated,
};
use ipnet::IpNet;

use crate::{EndpointReport, Error, host::Host, record::Network, service::lock};

/// How long a link may take to carry frames, and how often it is asked.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(1);

/// An endpoint about to be plugged in.
pub(crate) struct Attachment<'a> {
    pub(crate) network: &'a Network,
    pub(crate) endpoint: &'a EndpointReport,
    /// Whether the sandbox's IPv4 and IPv6 default routes lead this way.
    pub(crate) default_route: (bool, bool),
    /// Whether published ports lead to it.
    pub(crate) publishes: bool,
}

/// The interfaces of an attachment that has them.
pub(crate) struct Plug<'a> {
    pub(crate) interface: &'a IfName,
    pub(crate) port: &'a IfName,
    pub(crate) mac: MacAddr,
}

/// Until its rules are loaded, a port is isolated; learning is off, for the addresses are known; multicast goes everywhere,
/// for IPv6 cannot find neighbours without it before the bridge's first membership query.
const CLOSED: Port = Port {
    isolated: true,
    learning: false,
    unicast_flood: false,
    multicast_flood: true,
    guard: true,
    hairpin: false,
    suppresses_neighbours: false,
};

/// Makes the pair, closed towards the bridge and complete inside.
pub(crate) fn attach(
    attachment: &Attachment<'_>,
    host: &mut Host,
    netns: BorrowedFd<'_>,
    inside: &mut Socket,
) -> Result<(), Error> {
    let (Some(name), Some(plug)) = (&attachment.network.bridge, plug(attachment.endpoint)) else {
        return Ok(());
    };
    let (bridge, link) = host.bridge(name)?;
    let peer = Peer {
        name: plug.interface,
        mac: plug.mac,
        netns,
    };
    let veth = Veth {
        name: plug.port,
        bridge: Some(bridge),
        mtu: attachment.network.mtu(),
        peer,
    };
    let port = Port {
        hairpin: attachment.publishes,
        ..CLOSED
    };
    host.links
        .execute([add_veth(&veth), configure_port(plug.port, port)])?;
    let made = host.links.link(plug.port)?;
    let Some((made, eth)) = made.and_then(|made| made.peer.map(|eth| (made, eth))) else {
        return Err(hakone_netlink::Error::NoLink(plug.port.to_string()).into());
    };
    let index = LinkIndex(made.index);
    host.ports.known.insert(index, plug.port.clone());
    inside.execute(inner(attachment, eth, link.mac))?;
    let addresses = attachment.endpoint.addresses();
    let neighbours = addresses.map(|address| add_neighbour(bridge, address, plug.mac));
    let forwarding = add_forwarding(index, plug.mac);
    host.links.execute(neighbours.chain([forwarding]))?;
    Ok(())
}

/// Lets the endpoints' frames through; their rules are loaded by now.
pub(crate) fn open_ports(attachments: &[Attachment<'_>], host: &mut Host) -> Result<(), Error> {
    let mut requests = Vec::new();
    for attachment in attachments.iter().filter(|one| one.network.is_bridge()) {
        let Some(plug) = plug(attachment.endpoint) else {
            continue;
        };
        if attachment.network.spec.bridge.icc {
            requests.push(set_isolated(plug.port, false));
        }
        requests.push(hakone_netlink::bring_up_named(plug.port));
    }
    Ok(host.links.execute(requests)?)
}

/// Waits until the endpoints carry frames, in both directions. A link's queue is made a moment after its carrier came, by
/// another thread of the kernel; what is sent before is lost without a word, and TCP tries again only after a second. Since
/// Linux 6.8 the question itself makes the kernel do it.
pub(crate) fn await_carriers(
    attachments: &[Attachment<'_>],
    host: &Mutex<Host>,
    inside: &mut Socket,
) -> Result<(), Error> {
    let mut outer = |name: &IfName| lock(host).links.link(name);
    for attachment in attachments {
        let (Some(name), Some(plug)) = (&attachment.network.bridge, plug(attachment.endpoint))
        else {
            continue;
        };
        await_carrier(plug.interface, |name| inside.link(name))?;
        await_carrier(plug.port, &mut outer)?;
        await_carrier(name, &mut outer)?;
    }
    Ok(())
}

/// Asks until the link runs or is gone. One that somebody sets down meanwhile is his affair: no start fails for it.
fn await_carrier(
    name: &IfName,
    mut ask: impl FnMut(&IfName) -> Result<Option<Link>, hakone_netlink::Error>,
) -> Result<(), Error> {
    let start = Instant::now();
    while ask(name)?.is_some_and(|link| !link.running) && start.elapsed() < LONGEST_WAIT {
        sleep(PAUSE);
    }
    Ok(())
}

/// Gives the port that an attachment has on its bridge once it is open: its name, who is behind it, and its settings.
pub(crate) fn port_of(attachment: &Attachment<'_>) -> Option<(IfName, MacAddr, Port)> {
    let plug = plug(attachment.endpoint)?;
    let settings = Port {
        isolated: !attachment.network.spec.bridge.icc,
        hairpin: attachment.publishes,
        ..CLOSED
    };
    Some((plug.port.clone(), plug.mac, settings))
}

/// Forgets what the bridge was told of an endpoint; `unplug` deletes the pair too, which waits for the kernel for tens of
/// milliseconds and happens by itself when the sandbox dies.
pub(crate) fn detach(
    attachment: &Attachment<'_>,
    host: &mut Host,
    unplug: bool,
) -> Result<(), Error> {
    let Some(name) = &attachment.network.bridge else {
        return Ok(());
    };
    let Some(bridge) = host.links.link(name)? else {
        return Ok(());
    };
    let forget = |address| delete_neighbour(LinkIndex(bridge.index), address).unless_missing();
    let mut requests: Vec<Request> = attachment.endpoint.addresses().map(forget).collect();
    if let Some(port) = attachment.endpoint.port.as_ref().filter(|_| unplug) {
        requests.push(delete_link(port).unless_missing());
    }
    Ok(host.links.execute(requests)?)
}

/// What is set inside: addresses, the gateway's Ethernet address for good, the default routes.
pub(crate) fn inner(
    attachment: &Attachment<'_>,
    eth: LinkIndex,
    gateway_mac: Option<MacAddr>,
) -> Vec<Request> {
    let endpoint = attachment.endpoint;
    let v4 = endpoint
        .ipv4
        .and_then(|v4| IpNet::new(v4.address.into(), v4.prefix_len).ok());
    let v6 = endpoint
        .ipv6
        .and_then(|v6| IpNet::new(v6.address.into(), v6.prefix_len).ok());
    let mut requests: Vec<Request> = v4
        .into_iter()
        .chain(v6)
        .map(|net| add_address(eth, net))
        .collect();
    requests.push(bring_up(eth));
    if let Some(mac) = gateway_mac {
        let gateways = attachment.network.gateways();
        requests.extend(gateways.map(|gateway| add_neighbour(eth, gateway.addr(), mac)));
    }
    requests.extend(default_routes(attachment, eth));
    requests
}

/// Gives the default routes that lead over this endpoint.
pub(crate) fn default_routes(
    attachment: &Attachment<'_>,
    eth: LinkIndex,
) -> impl Iterator<Item = Request> {
    let (v4, v6) = attachment.default_route;
    let v4 = attachment
        .endpoint
        .ipv4
        .filter(|_| v4)
        .and_then(|v4| v4.gateway);
    let v6 = attachment
        .endpoint
        .ipv6
        .filter(|_| v6)
        .and_then(|v6| v6.gateway);
    let gateways = v4.map(Into::into).into_iter().chain(v6.map(Into::into));
    gateways.map(move |gateway| default_route(eth, gateway))
}

pub(crate) fn plug(endpoint: &EndpointReport) -> Option<Plug<'_>> {
    Some(Plug {
        interface: endpoint.interface.as_ref()?,
        port: endpoint.port.as_ref()?,
        mac: endpoint.mac?,
    })
}
