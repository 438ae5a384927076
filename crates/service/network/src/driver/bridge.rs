//! The driver `bridge`: an interface of the host to which containers are plugged.

mod endpoint;
mod forwarding;

use hakone_base::{BridgeName, MacAddr};
use hakone_netlink::{
    Bridge as NewBridge, LinkIndex, add_address, add_bridge, bring_up, delete_link, set_mac,
    set_mtu,
};
use hakone_netns::write_sysctl;

use super::Driver;
use crate::{Config, Error, GatewayMode, NetworkSpec, host::Host, record::Network};

pub(crate) use endpoint::{
    Attachment, attach, await_carriers, default_routes, detach, inner, open_ports, plug, port_of,
};

const ISOLATED: &str = "gateway mode 'isolated' can only be used for an internal network";

/// The driver.
pub(super) struct Bridge;

impl Driver for Bridge {
    fn check(&self, spec: &NetworkSpec) -> Result<(), Error> {
        let bridge = &spec.bridge;
        let modes = [bridge.gateway_mode_v4, bridge.gateway_mode_v6];
        if modes.contains(&GatewayMode::Isolated) && !spec.internal {
            return Err(Error::Invalid(ISOLATED.to_owned()));
        }
        match spec.ipv4 || spec.ipv6 {
            true => Ok(()),
            false => Err(Error::Invalid("IPv4 or IPv6 must be enabled".to_owned())),
        }
    }

    fn ensure(&self, network: &Network, host: &mut Host, config: &Config) -> Result<(), Error> {
        let Some(name) = &network.bridge else {
            return Ok(());
        };
        let link = ensure_link(network, name, host)?;
        if let Some(mac) = host.bridge(name)?.1.mac {
            host.note_mac(name, mac);
        }
        set_parameters(network, name);
        let addresses = network.gateways().map(|address| add_address(link, address));
        let requests: Vec<_> = addresses.chain([bring_up(link)]).collect();
        host.links.execute(requests)?;
        if network.respects_firewall() {
            host.divert(name)?;
        }
        if config.ip_forward && !network.spec.internal {
            forwarding::ensure(network.pool_v6().is_some(), host, config)?;
        }
        Ok(())
    }

    fn remove(&self, network: &Network, host: &mut Host) -> Result<(), Error> {
        match &network.bridge {
            Some(name) => {
                host.stop_diverting(name)?;
                Ok(host.links.execute([delete_link(name).unless_missing()])?)
            }
            None => Ok(()),
        }
    }
}

/// Makes the bridge or takes the one that is there. Its Ethernet address must never change, for containers are told it for
/// good; a bridge that was given none would take its ports'.
fn ensure_link(network: &Network, name: &BridgeName, host: &mut Host) -> Result<LinkIndex, Error> {
    if let Some(found) = host.links.link(name)? {
        let link = LinkIndex(found.index);
        let pinned = host.mac_of(name).or(found.mac);
        let pinned = pinned.map(|mac| set_mac(link, mac));
        let mtu = (found.mtu != network.mtu()).then(|| set_mtu(link, network.mtu()));
        host.links.execute(pinned.into_iter().chain(mtu))?;
        return Ok(link);
    }
    let bridge = NewBridge {
        name,
        mac: Some(mac_of(network)),
        mtu: network.mtu(),
    };
    host.links.execute([add_bridge(&bridge)])?;
    Ok(host.bridge(name)?.0)
}

/// Derives the bridge's Ethernet address from its gateway, or from the network's id when that has no IPv4.
fn mac_of(network: &Network) -> MacAddr {
    if let Some(gateway) = network.gateway_v4() {
        return MacAddr::of_ipv4(gateway);
    }
    let mut bytes = [0x02, 0x42, 0, 0, 0, 0];
    let digits = network.id.as_str().as_bytes().chunks_exact(2);
    for (byte, pair) in bytes.iter_mut().skip(2).zip(digits) {
        let digits = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    MacAddr::new(bytes)
}

/// Closes what a bridge should not listen to. A kernel without one of these goes on without it.
fn set_parameters(network: &Network, name: &BridgeName) {
    for (path, value) in parameters(network, name) {
        if let Err(error) = write_sysctl(&path, value) {
            tracing::debug!(bridge = %name, %error, "bridge parameter not set");
        }
    }
}

/// Gives the parameters of a bridge with their values.
pub(crate) fn parameters(network: &Network, name: &BridgeName) -> Vec<(String, &'static str)> {
    let disable_ipv6 = if network.pool_v6().is_some() {
        "0"
    } else {
        "1"
    };
    // Without icc, members have one path to each other, through the host, which drops all but what links open.
    let through_host = if network.spec.bridge.icc { "0" } else { "1" };
    let parameters = [
        ("ipv6", "disable_ipv6", disable_ipv6),
        ("ipv6", "accept_ra", "0"),
        ("ipv4", "route_localnet", "0"),
        ("ipv4", "accept_redirects", "0"),
        ("ipv4", "accept_source_route", "0"),
        ("ipv4", "send_redirects", "0"),
        ("ipv4", "rp_filter", "1"),
        ("ipv4", "arp_accept", "0"),
        ("ipv4", "arp_ignore", "1"),
        ("ipv4", "arp_announce", "2"),
        ("ipv4", "proxy_arp_pvlan", through_host),
    ];
    let paths = parameters
        .map(|(family, parameter, value)| (format!("net/{family}/conf/{name}/{parameter}"), value));
    let at_once = (format!("net/ipv4/neigh/{name}/proxy_delay"), "0");
    paths.into_iter().chain([at_once]).collect()
}
