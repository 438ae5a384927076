//! Judges networks: bridges of private subnets, with options that stay between containers. A driver that puts containers on the
//! host's wire, a bridge of the host by its name, a subnet of the internet, a label that opens the host: the administrator's.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::{
    Denial, Facts, Grant, NetworkFacts,
    value::{is_empty, labels, says_nothing},
};

/// Networks that every daemon has; in every scope, unless they are the host's.
const PREDEFINED: [&str; 2] = ["bridge", "none"];
/// Options of bridges that stay between containers.
const OPTIONS: [&str; 7] = [
    "com.docker.network.bridge.enable_icc",
    "com.docker.network.bridge.enable_ip_masquerade",
    "com.docker.network.bridge.host_binding_ipv4",
    "com.docker.network.driver.mtu",
    "com.docker.network.container_iface_prefix",
    "com.docker.network.enable_ipv4",
    "com.docker.network.enable_ipv6",
];

impl Grant {
    /// Judges the creation of a network, and gives it the scope's label.
    ///
    /// # Errors
    /// When it reaches beyond containers, or claims another scope.
    pub fn create_network(&self, body: &mut Value) -> Result<(), Denial> {
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        driver(self, text("Driver"))?;
        if !matches!(text("Scope"), "" | "local") {
            return Err(Denial::because("the network's scope", text("Scope")));
        }
        for key in ["Ingress", "ConfigOnly"] {
            if !says_nothing(body.get(key)) {
                return Err(Denial::option(key));
            }
        }
        let from = body.pointer("/ConfigFrom/Network").unwrap_or(&Value::Null);
        if !is_empty(from) {
            return Err(Denial::option("ConfigFrom"));
        }
        let keys = body.get("Options").and_then(Value::as_object);
        let mut keys = keys.into_iter().flatten().map(|(key, _)| key.as_str());
        keys.try_for_each(|key| option(self, key))?;
        addresses(body.get("IPAM").unwrap_or(&Value::Null))?;
        labels(self, body, &[])
    }

    /// Judges a network that is inspected.
    ///
    /// # Errors
    /// When it is out of scope.
    pub fn see_network(&self, name: &str, facts: &Facts) -> Result<(), Denial> {
        let refuse = || Denial::Scope {
            kind: "network",
            name: name.to_owned(),
        };
        match (self.scope(), facts.networks.get(name)) {
            (Some(scope), Some(network)) if !scope.holds(&network.labels) => Err(refuse()),
            (_, None) => Err(refuse()),
            _ => Ok(()),
        }
    }

    /// Judges a network that a container is to be plugged into, or that is to be removed.
    ///
    /// # Errors
    /// When it is out of scope, or reaches beyond containers.
    pub fn use_network(&self, name: &str, facts: &Facts) -> Result<(), Denial> {
        let known = facts.networks.get(name);
        if known.is_some_and(|network| PREDEFINED.contains(&network.name.as_str())) {
            return Ok(());
        }
        self.see_network(name, facts)?;
        known.map_or(Ok(()), |network| {
            existing(self, network).map_err(|cause| Denial::Beyond {
                kind: "network",
                name: name.to_owned(),
                cause: Box::new(cause),
            })
        })
    }

    /// Judges how a container is plugged in.
    pub(crate) fn endpoint(&self, settings: &Value) -> Result<(), Denial> {
        match says_nothing(settings.get("DriverOpts")) || self.lifts("Endpoint.DriverOpts", None) {
            true => Ok(()),
            false => Err(Denial::option("EndpointSettings.DriverOpts")),
        }
    }

    /// Judges a container's plugging into a network; both are named in `facts` as the request names them.
    ///
    /// # Errors
    /// When either is out of scope or beyond this socket.
    pub fn connect(&self, network: &str, body: &Value, facts: &Facts) -> Result<(), Denial> {
        self.use_network(network, facts)?;
        let container = body.get("Container").and_then(Value::as_str);
        self.touch_container(container.unwrap_or_default(), facts)?;
        self.endpoint(body.get("EndpointConfig").unwrap_or(&Value::Null))
    }
}

fn existing(grant: &Grant, network: &NetworkFacts) -> Result<(), Denial> {
    driver(grant, &network.driver)
}

fn driver(grant: &Grant, name: &str) -> Result<(), Denial> {
    match matches!(name, "" | "bridge") || grant.lifts("Network.Driver", Some(name)) {
        true => Ok(()),
        false => Err(Denial::because("the network driver", name)),
    }
}

fn option(grant: &Grant, key: &str) -> Result<(), Denial> {
    match OPTIONS.contains(&key) || grant.lifts("Network.Options", Some(key)) {
        true => Ok(()),
        false => Err(Denial::because("the network option", key)),
    }
}

/// A subnet becomes a route of the host: only one that is private anyway may be chosen.
fn addresses(ipam: &Value) -> Result<(), Denial> {
    let driver = ipam
        .get("Driver")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !matches!(driver, "" | "default") || !says_nothing(ipam.get("Options")) {
        return Err(Denial::option("IPAM.Driver"));
    }
    let configs = ipam.get("Config").and_then(Value::as_array);
    let subnets = configs.into_iter().flatten();
    for subnet in subnets.filter_map(|config| config.get("Subnet").and_then(Value::as_str)) {
        let parsed: Option<IpNet> = subnet.parse().ok();
        if !subnet.is_empty() && !parsed.is_some_and(|subnet| is_private(&subnet)) {
            return Err(Denial::because("a subnet that is not private", subnet));
        }
    }
    Ok(())
}

fn is_private(subnet: &IpNet) -> bool {
    let inside = |address: IpAddr| match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    };
    inside(subnet.network()) && inside(subnet.broadcast())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_network_stays_between_containers() {
        let grant = Grant::role("operator").unwrap();
        let verdict = |body: Value| grant.create_network(&mut body.clone()).is_ok();
        let subnet = |text: &str| json!({"Name": "n", "IPAM": {"Config": [{"Subnet": text}]}});
        assert!(verdict(
            json!({"Name": "n", "Driver": "bridge", "Options": {}})
        ));
        assert!(verdict(subnet("10.9.0.0/24")) && verdict(subnet("fd00:1::/64")));
        for body in [
            json!({"Driver": "macvlan"}),
            json!({"Driver": "host"}),
            json!({"Options": {"parent": "eth0"}}),
            json!({"Options": {"com.docker.network.bridge.name": "virbr0"}}),
            json!({"Labels": {"dev.hakone.host-access": "true"}}),
            json!({"ConfigFrom": {"Network": "secret"}}),
            json!({"Ingress": true}),
            subnet("1.1.1.0/24"),
            subnet("0.0.0.0/0"),
            subnet("172.0.0.0/8"),
            subnet("nonsense"),
        ] {
            assert!(!verdict(body.clone()), "{body}");
        }
    }
}
