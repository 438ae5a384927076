//! Judges what a network plugin answers to `Join`: which interface of the host is moved into a container, and what is routed
//! over it.
//!
//! The host's side (whether that interface may be given away at all) is judged where interfaces can be looked at; here, what can
//! be said of the words alone. Routes never take what another network of the engine or the loopback carries, and never
//! everything: the gateway is for that, and only one network of a container is its way out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hakone_base::{IfName, Subnet};
use ipnet::IpNet;

use crate::network::{JoinReply, RouteReply};

/// The most routes of an endpoint.
const MOST: usize = 64;
/// The longest stem of a name inside: the engine adds a number.
const STEM: usize = 10;

/// What is to be done for an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Join {
    /// The interface of the host that goes inside; `None` when the driver wants none.
    pub source: Option<IfName>,
    /// The stem of its name inside.
    pub stem: Option<String>,
    /// The gateway of IPv4.
    pub gateway_v4: Option<Ipv4Addr>,
    /// The gateway of IPv6.
    pub gateway_v6: Option<Ipv6Addr>,
    /// Further routes.
    pub routes: Vec<StaticRoute>,
}

/// A route inside the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// Where it leads.
    pub to: IpNet,
    /// Through whom; `None` is on the link.
    pub gateway: Option<IpAddr>,
}

/// Why an answer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// No interface can be called so.
    #[error("{0:?} is no name of an interface")]
    Name(String),
    /// Not an address of its family.
    #[error("{0:?} is no gateway")]
    Gateway(String),
    /// No subnet with a next hop that fits.
    #[error("{0:?} is no route")]
    Route(String),
    /// It would take traffic of others.
    #[error("a route to {0} is not the plugin's to set")]
    Foreign(IpNet),
    /// Too many.
    #[error("{0} routes are more than the {MOST} that an endpoint may have")]
    TooMany(usize),
}

/// Judges an answer; `foreign` are the subnets of all other networks.
///
/// # Errors
/// When it names what cannot be, or what is not the plugin's.
pub fn judge(reply: &JoinReply, foreign: &[Subnet]) -> Result<Join, JoinError> {
    if reply.static_routes.len() > MOST {
        return Err(JoinError::TooMany(reply.static_routes.len()));
    }
    let routes = reply.static_routes.iter().map(|one| route(one, foreign));
    let name = &reply.interface_name;
    Ok(Join {
        source: said(&name.src_name).map(interface).transpose()?,
        stem: said(&name.dst_prefix).map(stem).transpose()?,
        gateway_v4: gateway(&reply.gateway)?,
        gateway_v6: gateway(&reply.gateway_v6)?,
        routes: routes.collect::<Result<_, _>>()?,
    })
}

fn said(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn interface(text: &str) -> Result<IfName, JoinError> {
    text.parse()
        .ok()
        .filter(|_| text != "lo")
        .ok_or_else(|| JoinError::Name(clipped(text)))
}

fn stem(text: &str) -> Result<String, JoinError> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    match plain && text.len() <= STEM && text != "lo" {
        true => Ok(text.to_owned()),
        false => Err(JoinError::Name(clipped(text))),
    }
}

fn gateway<A: std::str::FromStr + Into<IpAddr> + Copy>(text: &str) -> Result<Option<A>, JoinError> {
    let Some(text) = said(text) else {
        return Ok(None);
    };
    let parsed: Option<A> = text.parse().ok();
    let one = |address: &A| {
        let address: IpAddr = (*address).into();
        !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
    };
    match parsed.filter(one) {
        Some(gateway) => Ok(Some(gateway)),
        None => Err(JoinError::Gateway(clipped(text))),
    }
}

fn route(reply: &RouteReply, foreign: &[Subnet]) -> Result<StaticRoute, JoinError> {
    let odd = || JoinError::Route(clipped(&reply.destination));
    let to: IpNet = reply.destination.parse().ok().ok_or_else(odd)?;
    let to = to.trunc();
    let through: Option<IpAddr> = match (reply.route_type, said(&reply.next_hop)) {
        (0, Some(hop)) => Some(hop.parse().ok().ok_or_else(odd)?),
        (1, None) => None,
        _ => return Err(odd()),
    };
    if through.is_some_and(|hop| hop.is_ipv6() != to.addr().is_ipv6()) {
        return Err(odd());
    }
    let subnet = Subnet::new(to);
    let taken = to.prefix_len() == 0
        || to.addr().is_loopback()
        || foreign.iter().any(|other| other.overlaps(&subnet));
    match taken {
        true => Err(JoinError::Foreign(to)),
        false => Ok(StaticRoute {
            to,
            gateway: through,
        }),
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Result<Join, JoinError> {
        let foreign = ["172.17.0.0/16".parse().unwrap()];
        judge(&serde_json::from_str(text).unwrap(), &foreign)
    }

    #[test]
    fn an_interface_a_gateway_and_routes_of_the_plugins_own() {
        let join = judged(
            r#"{"InterfaceName":{"SrcName":"veth1","DstPrefix":"net"},"Gateway":"10.1.0.1",
                "StaticRoutes":[{"Destination":"10.9.0.0/16","RouteType":0,"NextHop":"10.1.0.7"},{"Destination":"10.8.0.0/16","RouteType":1}]}"#,
        )
        .unwrap();
        assert_eq!(join.source.unwrap().as_str(), "veth1");
        assert_eq!(join.stem.unwrap(), "net");
        assert_eq!(join.routes.len(), 2);
        assert_eq!(judged("{}").unwrap(), Join::default());
    }

    #[test]
    fn what_is_not_the_plugins_is_refused() {
        for text in [
            r#"{"InterfaceName":{"SrcName":"lo"}}"#,
            r#"{"InterfaceName":{"SrcName":"../x"}}"#,
            r#"{"InterfaceName":{"SrcName":"a","DstPrefix":"much-too-long-a-name"}}"#,
            r#"{"InterfaceName":{"SrcName":"a","DstPrefix":"a/b"}}"#,
            r#"{"Gateway":"fd00::1"}"#,
            r#"{"Gateway":"127.0.0.1"}"#,
            r#"{"GatewayIPv6":"10.0.0.1"}"#,
            r#"{"StaticRoutes":[{"Destination":"0.0.0.0/0","RouteType":0,"NextHop":"10.0.0.1"}]}"#,
            r#"{"StaticRoutes":[{"Destination":"127.0.0.0/8","RouteType":1}]}"#,
            r#"{"StaticRoutes":[{"Destination":"172.17.5.0/24","RouteType":1}]}"#,
            r#"{"StaticRoutes":[{"Destination":"172.0.0.0/8","RouteType":1}]}"#,
            r#"{"StaticRoutes":[{"Destination":"10.0.0.0/8","RouteType":0,"NextHop":"fd00::1"}]}"#,
            r#"{"StaticRoutes":[{"Destination":"10.0.0.0/8","RouteType":0}]}"#,
            r#"{"StaticRoutes":[{"Destination":"x","RouteType":1}]}"#,
        ] {
            assert!(judged(text).is_err(), "{text}");
        }
        let many = vec![r#"{"Destination":"10.0.0.0/8","RouteType":1}"#; 65].join(",");
        assert!(judged(&format!(r#"{{"StaticRoutes":[{many}]}}"#)).is_err());
    }
}
