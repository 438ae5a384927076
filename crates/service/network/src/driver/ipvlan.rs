//! The driver `ipvlan`: containers have addresses of their own on the link of one of the host's interfaces, and its Ethernet address.
//!
//! The kernel tells such interfaces apart by the addresses that they have where they are, so they are inside, and what holds each to
//! its own addresses stands inside as well: who may forge frames is held, who may administer the network there is not.

use std::{net::IpAddr, os::fd::BorrowedFd};

use hakone_base::IfName;
use hakone_netlink::{
    Ipvlan as Interface, IpvlanMode as KernelMode, LinkIndex, Request, Socket, add_ipvlan,
    add_route, delete_link,
};
use hakone_netns::Netns;
use hakone_nft::{Firewall, Pinned};
use ipnet::IpNet;
use rustix::io::Errno;

use super::{
    Driver,
    bridge::{Attachment, inner},
    macvlan::{self, flag, parent},
};
use crate::{Config, EndpointReport, Error, IpvlanMode, NetworkSpec, host::Host, record::Network};

/// The driver.
pub(super) struct Ipvlan;

const NONE: &str = "the kernel has no ipvlan (its module is called ipvlan)";

impl Driver for Ipvlan {
    fn check(&self, spec: &NetworkSpec) -> Result<(), Error> {
        macvlan::Macvlan.check(spec)
    }

    /// Makes an interface and takes it away: where the kernel has none, or the parent is a macvlan's, the network tells.
    fn ensure(&self, network: &Network, host: &mut Host, _: &Config) -> Result<(), Error> {
        let name = format!("hi{}", network.id.short());
        let name: IfName = name
            .parse()
            .map_err(|error: hakone_base::IfNameError| Error::Invalid(error.to_string()))?;
        host.links.execute([delete_link(&name).unless_missing()])?;
        add(network, host, &name, None)?;
        Ok(host.links.execute([delete_link(&name)])?)
    }

    fn remove(&self, network: &Network, host: &mut Host) -> Result<(), Error> {
        macvlan::Macvlan.remove(network, host)
    }
}

/// Makes the interface inside, held to its addresses before it is up.
pub(super) fn attach(
    attachment: &Attachment<'_>,
    host: &mut Host,
    netns: BorrowedFd<'_>,
    inside: &mut Socket,
) -> Result<(), Error> {
    let Some(name) = &attachment.endpoint.interface else {
        return Ok(());
    };
    add(attachment.network, host, name, Some(netns))?;
    let missing = || hakone_netlink::Error::NoLink(name.to_string());
    let link = inside.link(name)?.ok_or_else(missing)?;
    if host.has_firewall() {
        let pinned = Pinned {
            interface: name.clone(),
            mac: link.mac.ok_or_else(missing)?,
            addresses: attachment.endpoint.addresses().collect(),
        };
        let netns = netns.try_clone_to_owned().map_err(Error::Thread)?;
        Netns::from(netns).on(|| Firewall::open()?.pin(&pinned))??;
    }
    let index = LinkIndex(link.index);
    match attachment.network.spec.ipvlan.mode {
        IpvlanMode::L2 => inside.execute(inner(attachment, index, None))?,
        // Whoever is beyond is found by the host: there is no neighbour to ask.
        IpvlanMode::L3 | IpvlanMode::L3s => {
            let closed = Attachment {
                default_route: (false, false),
                ..*attachment
            };
            let routes = routes(attachment, index);
            inside.execute(inner(&closed, index, None).into_iter().chain(routes))?;
        }
    }
    Ok(())
}

/// Takes the interface away: the namespace would keep its addresses from the next container for as long as it takes the kernel to
/// end it.
pub(crate) fn take_out(endpoint: &EndpointReport, netns: &Netns) -> Result<(), Error> {
    let is_inside = endpoint.port.is_none() && endpoint.remote.is_none();
    let Some(name) = endpoint.interface.as_ref().filter(|_| is_inside) else {
        return Ok(());
    };
    let mut inside = netns.on(Socket::open)??;
    Ok(inside.execute([delete_link(name).unless_missing()])?)
}

fn add(
    network: &Network,
    host: &mut Host,
    name: &IfName,
    netns: Option<BorrowedFd<'_>>,
) -> Result<(), Error> {
    let options = network.spec.ipvlan;
    let interface = Interface {
        name,
        parent: parent::ensure(network, host)?,
        mtu: network.mtu(),
        mode: match options.mode {
            IpvlanMode::L2 => KernelMode::L2,
            IpvlanMode::L3 => KernelMode::L3,
            IpvlanMode::L3s => KernelMode::L3s,
        },
        flag: flag(options.flag),
        netns,
    };
    match host.links.execute([add_ipvlan(&interface)]) {
        Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => Err(Error::Unsupported(NONE)),
        done => Ok(done?),
    }
}

fn routes(attachment: &Attachment<'_>, link: LinkIndex) -> impl Iterator<Item = Request> {
    let internal = attachment.network.spec.internal;
    let (v4, v6) = attachment.default_route;
    let endpoint = attachment.endpoint;
    let all = |of: IpAddr| IpNet::new(of, 0).ok();
    let v4 = endpoint.ipv4.filter(|_| v4 && !internal);
    let v4 = v4.and_then(|_| all(std::net::Ipv4Addr::UNSPECIFIED.into()));
    let v6 = endpoint.ipv6.filter(|_| v6 && !internal);
    let v6 = v6.and_then(|_| all(std::net::Ipv6Addr::UNSPECIFIED.into()));
    let routes = v4.into_iter().chain(v6);
    routes.map(move |all| add_route(link, all, None))
}
