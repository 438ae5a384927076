//! Plugs a sandbox into a parent's link.
//!
//! The macvlan interface stays on the host and a cable leads inside; chains of ours hand frames on between the two and let
//! out only what bears the endpoint's own addresses ([`Relay`]). A container may administer its own network as it likes:
//! what holds it is out of its reach. Without a firewall (`--iptables=false`) the macvlan interface itself goes inside.

use std::os::fd::BorrowedFd;

use hakone_base::IfName;
use hakone_netlink::{
    LinkIndex, Macvlan, MacvlanMode as KernelMode, Peer, Socket, Veth, add_macvlan, add_veth,
    bring_up, bring_up_for_all_groups, delete_link,
};
use hakone_netns::write_sysctl;
use hakone_nft::{Interface, Relay};

use super::parent;
use crate::{
    DriverKind, EndpointReport, Error, MacvlanMode,
    driver::bridge::{Attachment, inner, plug},
    host::Host,
    state::{Stage, State},
};

/// Makes the interfaces, the host's ends down.
pub(crate) fn attach(
    attachment: &Attachment<'_>,
    host: &mut Host,
    netns: BorrowedFd<'_>,
    inside: &mut Socket,
) -> Result<(), Error> {
    let Some(plug) = plug(attachment.endpoint) else {
        return Ok(());
    };
    let mtu = attachment.network.mtu();
    let outer = outer(plug.port)?;
    let mut macvlan = Macvlan {
        name: &outer,
        parent: parent::ensure(attachment.network, host)?,
        mac: plug.mac,
        mtu,
        mode: flag(attachment.network.spec.macvlan.mode),
        netns: None,
    };
    if host.has_firewall() {
        let peer = Peer {
            name: plug.interface,
            mac: plug.mac,
            netns,
        };
        let cable = Veth {
            name: plug.port,
            bridge: None,
            mtu,
            peer,
        };
        // One that a crash left would have the address that this one needs.
        let stale = delete_link(&outer).unless_missing();
        host.links
            .execute([stale, add_macvlan(&macvlan), add_veth(&cable)])?;
        [&outer, plug.port].into_iter().for_each(close_to_host);
    } else {
        macvlan.name = plug.interface;
        macvlan.netns = Some(netns);
        host.links.execute([add_macvlan(&macvlan)])?;
    }
    let eth = inside.link(plug.interface)?;
    let eth = eth.ok_or_else(|| hakone_netlink::Error::NoLink(plug.interface.to_string()))?;
    inside.execute(inner(attachment, LinkIndex(eth.index), None))?;
    Ok(())
}

/// Hands frames on from here on.
pub(crate) fn open_port(attachment: &Attachment<'_>, host: &mut Host) -> Result<(), Error> {
    if !host.has_firewall() {
        return Ok(());
    }
    let Some(relay) = relay(attachment.endpoint, host)? else {
        return Ok(());
    };
    host.relay(&relay)?;
    Ok(host.links.execute([
        bring_up_for_all_groups(LinkIndex(relay.outer.index)),
        bring_up(LinkIndex(relay.inner.index)),
    ])?)
}

/// Takes the host's interfaces away: the next container may have the same address, and no parent takes it twice.
pub(crate) fn detach(attachment: &Attachment<'_>, host: &mut Host, _: bool) -> Result<(), Error> {
    let Some(port) = &attachment.endpoint.port else {
        return Ok(());
    };
    let outer = outer(port)?;
    host.end_relay(port, &outer);
    let links = [&outer, port].map(|name| delete_link(name).unless_missing());
    Ok(host.links.execute(links)?)
}

/// Gives what has to be handed on for all members of macvlan networks.
pub(crate) fn relays(state: &State, host: &mut Host) -> Result<Vec<Relay>, Error> {
    let mut relays = Vec::new();
    let macvlan = |id| {
        state
            .networks
            .get(id)
            .is_some_and(|network| network.spec.driver == DriverKind::Macvlan)
    };
    let live = state
        .sandboxes
        .values()
        .filter(|attached| attached.stage == Stage::Live);
    for endpoint in live.flat_map(|attached| &attached.report.endpoints) {
        if macvlan(&endpoint.network) {
            relays.extend(relay(endpoint, host)?);
        }
    }
    Ok(relays)
}

/// Names the interface on the parent after the port.
pub(crate) fn outer(port: &IfName) -> Result<IfName, Error> {
    let name = port.as_str().replacen("hk", "hm", 1);
    name.parse()
        .map_err(|error: hakone_base::IfNameError| Error::Invalid(error.to_string()))
}

fn relay(endpoint: &EndpointReport, host: &mut Host) -> Result<Option<Relay>, Error> {
    let Some(plug) = plug(endpoint) else {
        return Ok(None);
    };
    let outer = outer(plug.port)?;
    let found = (host.links.link(plug.port)?, host.links.link(&outer)?);
    let (Some(inner), Some(outside)) = found else {
        return Ok(None);
    };
    Ok(Some(Relay {
        inner: Interface {
            name: plug.port.clone(),
            index: inner.index,
        },
        outer: Interface {
            name: outer,
            index: outside.index,
        },
        mac: plug.mac,
        addresses: endpoint.addresses().collect(),
    }))
}

/// The host has no part in what passes here, also when somebody flushes the chains.
fn close_to_host(interface: &IfName) {
    let parameters = [
        ("ipv6", "disable_ipv6", "1"),
        ("ipv4", "forwarding", "0"),
        ("ipv4", "arp_ignore", "8"),
    ];
    for (family, parameter, value) in parameters {
        let path = format!("net/{family}/conf/{interface}/{parameter}");
        if let Err(error) = write_sysctl(&path, value) {
            tracing::debug!(port = %interface, %error, "parameter not set");
        }
    }
}

pub(in crate::driver) const fn flag(mode: MacvlanMode) -> KernelMode {
    match mode {
        MacvlanMode::Private => KernelMode::Private,
        MacvlanMode::Vepa => KernelMode::Vepa,
        MacvlanMode::Bridge => KernelMode::Bridge,
    }
}
