//! `NetworkDriver.*`: what is asked of a network plugin and what it answers. What its answers are worth is judged in
//! `interface` and `join`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::nullable;

/// The reply to `GetCapabilities`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Abilities {
    /// `local`, or `global` for networks that span hosts.
    #[serde(deserialize_with = "nullable")]
    pub scope: String,
}

impl Abilities {
    /// Reports whether the networks span hosts.
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.scope.eq_ignore_ascii_case("global")
    }
}

/// `CreateNetwork`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkToMake<'a> {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network: &'a str,
    /// The options under `com.docker.network.generic`, and the engine's own beside them.
    pub options: BTreeMap<&'a str, Value>,
    /// The pools of IPv4.
    #[serde(rename = "IPv4Data")]
    pub v4: Vec<PoolData>,
    /// The pools of IPv6.
    #[serde(rename = "IPv6Data")]
    pub v6: Vec<PoolData>,
}

/// A pool of a network as its driver is told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PoolData {
    /// Whose addresses they are.
    pub address_space: String,
    /// The subnet.
    pub pool: String,
    /// The gateway with the subnet's prefix.
    pub gateway: String,
    /// Addresses that something else has, with the prefix.
    pub aux_addresses: BTreeMap<String, String>,
}

/// `DeleteNetwork`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkNamed<'a> {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network: &'a str,
}

/// `DeleteEndpoint`, `EndpointOperInfo`, `Leave`, `RevokeExternalConnectivity`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointNamed<'a> {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network: &'a str,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint: &'a str,
}

/// `CreateEndpoint`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EndpointToMake<'a> {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network: &'a str,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint: &'a str,
    /// Ports and the user's options.
    pub options: &'a BTreeMap<String, Value>,
    /// What is decided already: the driver may fill in what is empty.
    pub interface: &'a Interface,
}

/// An endpoint's interface; what is not decided is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Interface {
    /// The IPv4 address with its prefix.
    #[serde(deserialize_with = "nullable")]
    pub address: String,
    /// The IPv6 address with its prefix.
    #[serde(rename = "AddressIPv6", deserialize_with = "nullable")]
    pub address_v6: String,
    /// The Ethernet address.
    #[serde(deserialize_with = "nullable")]
    pub mac_address: String,
}

/// The reply to `CreateEndpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointMade {
    /// What the driver filled in.
    #[serde(deserialize_with = "nullable")]
    pub interface: Interface,
}

/// `Join`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Joining<'a> {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network: &'a str,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint: &'a str,
    /// Where the container's network namespace can be opened while the question lasts.
    pub sandbox_key: &'a str,
    /// Ports and the user's options.
    pub options: &'a BTreeMap<String, Value>,
}

/// The reply to `Join`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JoinReply {
    /// The interface to move into the container.
    #[serde(deserialize_with = "nullable")]
    pub interface_name: InterfaceName,
    /// The gateway of IPv4.
    #[serde(deserialize_with = "nullable")]
    pub gateway: String,
    /// The gateway of IPv6.
    #[serde(rename = "GatewayIPv6", deserialize_with = "nullable")]
    pub gateway_v6: String,
    /// Further routes.
    #[serde(deserialize_with = "nullable")]
    pub static_routes: Vec<RouteReply>,
}

/// Which interface, and what it is called inside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InterfaceName {
    /// Its name on the host.
    #[serde(deserialize_with = "nullable")]
    pub src_name: String,
    /// The stem of its name inside; the engine adds a number.
    #[serde(deserialize_with = "nullable")]
    pub dst_prefix: String,
}

/// A route as a plugin names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RouteReply {
    /// The subnet.
    #[serde(deserialize_with = "nullable")]
    pub destination: String,
    /// 0 is through a next hop, 1 is on the link.
    #[serde(deserialize_with = "nullable")]
    pub route_type: i64,
    /// The next hop.
    #[serde(deserialize_with = "nullable")]
    pub next_hop: String,
}

/// `ProgramExternalConnectivity`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Programming<'a> {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network: &'a str,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint: &'a str,
    /// Ports and the user's options.
    pub options: &'a BTreeMap<String, Value>,
}

/// The reply to `EndpointOperInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OperInfo {
    /// Whatever the driver tells.
    #[serde(deserialize_with = "nullable")]
    pub value: BTreeMap<String, Value>,
}

/// An exposed port, under `com.docker.network.endpoint.exposedports`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortAsked {
    /// The protocol's number.
    pub proto: u8,
    /// The port.
    pub port: u16,
}

/// A port to publish, under `com.docker.network.portmap`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortMapped {
    /// The protocol's number.
    pub proto: u8,
    /// The container's address; empty means whichever it has.
    #[serde(rename = "IP")]
    pub address: String,
    /// The container's port.
    pub port: u16,
    /// The host's address; empty means every one.
    #[serde(rename = "HostIP")]
    pub host_address: String,
    /// The first port of the host; 0 lets the driver choose.
    pub host_port: u16,
    /// The last port of the host that will do.
    pub host_port_end: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_have_dockers_keys() {
        let options = BTreeMap::new();
        let interface = Interface {
            address: "10.1.0.2/16".into(),
            ..Interface::default()
        };
        let asked = EndpointToMake {
            network: "n",
            endpoint: "e",
            options: &options,
            interface: &interface,
        };
        assert_eq!(
            serde_json::to_string(&asked).unwrap(),
            r#"{"NetworkID":"n","EndpointID":"e","Options":{},"Interface":{"Address":"10.1.0.2/16","AddressIPv6":"","MacAddress":""}}"#
        );
        let mapped = PortMapped {
            proto: 6,
            address: String::new(),
            port: 80,
            host_address: String::new(),
            host_port: 8080,
            host_port_end: 8080,
        };
        assert_eq!(
            serde_json::to_string(&mapped).unwrap(),
            r#"{"Proto":6,"IP":"","Port":80,"HostIP":"","HostPort":8080,"HostPortEnd":8080}"#
        );
    }

    #[test]
    fn gos_nulls_are_empty() {
        let text = r#"{"InterfaceName":{"SrcName":"v","DstPrefix":"eth","DstName":""},"StaticRoutes":null,"Gateway":null}"#;
        let reply: JoinReply = serde_json::from_str(text).unwrap();
        assert_eq!(reply.interface_name.src_name, "v");
        assert!(reply.static_routes.is_empty() && reply.gateway.is_empty());
        let made: EndpointMade = serde_json::from_str(r#"{"Interface":null}"#).unwrap();
        assert_eq!(made.interface, Interface::default());
    }
}
