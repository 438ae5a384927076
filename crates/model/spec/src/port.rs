//! Exposed and published ports.
//!
//! A binding takes effect only where its port is exposed, by image or request: observed on dockerd, and clients rely on
//! it by always sending both.

use std::{collections::BTreeSet, net::IpAddr};

use hakone_base::{ExposedPort, Port};
use hakone_engine_api::wire::{self, ContainerConfig, HostConfig, ImageConfig};

use crate::Error;

/// All that a container says about ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// What the image and the request expose.
    pub exposed: BTreeSet<ExposedPort>,
    /// What is published on request, in the order of the ports.
    pub bindings: Vec<PortBinding>,
    /// Whether every exposed port without binding gets an ephemeral one (`-P`).
    pub publish_all: bool,
    /// Whether what names no address, by itself, its network or the daemon, is for this machine alone.
    pub on_loopback: bool,
}

/// One `-p`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortBinding {
    /// The port inside.
    pub target: ExposedPort,
    /// The host's address; every address of both families when absent.
    pub host_address: Option<IpAddr>,
    /// The host's port, or the range to choose from; ephemeral when absent.
    pub host_ports: Option<PortRange>,
}

/// Ports from first to last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest.
    pub first: Port,
    /// The highest, not below `first`.
    pub last: Port,
}

impl PortRange {
    /// Lists the ports in rising order.
    pub fn ports(self) -> impl Iterator<Item = Port> {
        (self.first.get()..=self.last.get()).filter_map(Port::new)
    }

    /// Reads `80` or `8000-8010`.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(Self { first, last })
    }
}

/// Every port of three protocols, which an image may name one by one: what names more, by ranges, only costs.
const EXPOSED: usize = 3 << 16;
/// Ports that `-P` publishes: each is bound on the host, and the list is the image's and not the user's.
const PUBLISHED_BY_IMAGE: usize = 4096;

pub(crate) fn parse(
    config: &ContainerConfig,
    host: &HostConfig,
    image: &ImageConfig,
) -> Result<Ports, Error> {
    let publish_all = host.publish_all_ports.unwrap_or(false);
    let exposed = exposed(config, image)?;
    if publish_all && exposed.len() > PUBLISHED_BY_IMAGE {
        return Err(Error::TooManyPorts(exposed.len(), PUBLISHED_BY_IMAGE));
    }
    let mut bindings = Vec::new();
    for (target, wanted) in host.port_bindings.iter().flatten() {
        for port in expand(target)? {
            let parsed = wanted
                .iter()
                .flatten()
                .map(|binding| parse_binding(port, binding));
            bindings.extend(parsed.collect::<Result<Vec<_>, _>>()?);
        }
    }
    bindings.retain(|binding| exposed.contains(&binding.target));
    bindings.sort_by_key(|binding| binding.target);
    Ok(Ports {
        exposed,
        bindings,
        publish_all,
        on_loopback: false,
    })
}

fn exposed(config: &ContainerConfig, image: &ImageConfig) -> Result<BTreeSet<ExposedPort>, Error> {
    let entries = config.exposed_ports.iter().chain(&image.exposed_ports);
    let (mut exposed, mut named) = (BTreeSet::new(), 0);
    for entry in entries.flatten() {
        let ports = expand(entry)?;
        named += ports.len();
        if named > EXPOSED {
            return Err(Error::Port(entry.to_owned()));
        }
        exposed.extend(ports);
    }
    Ok(exposed)
}

/// Reads `80`, `80/udp` and `8000-8002/tcp`.
fn expand(entry: &str) -> Result<Vec<ExposedPort>, Error> {
    let refuse = || Error::Port(entry.to_owned());
    let (ports, protocol) = entry.split_once('/').unwrap_or((entry, "tcp"));
    let protocol = protocol.parse().ok().ok_or_else(refuse)?;
    let range = PortRange::parse(ports).ok_or_else(refuse)?;
    Ok(range
        .ports()
        .map(|port| ExposedPort { port, protocol })
        .collect())
}

fn parse_binding(target: ExposedPort, binding: &wire::PortBinding) -> Result<PortBinding, Error> {
    let address = match binding.host_ip.as_deref() {
        None | Some("") => None,
        Some(text) => Some(host_address(text)?),
    };
    let host_ports = match binding.host_port.as_deref() {
        None | Some("" | "0") => None,
        Some(text) => {
            let range = PortRange::parse(text.split_once('/').map_or(text, |(ports, _)| ports));
            Some(range.ok_or_else(|| Error::Port(text.to_owned()))?)
        }
    };
    Ok(PortBinding {
        target,
        host_address: address,
        host_ports,
    })
}

fn host_address(text: &str) -> Result<IpAddr, Error> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let parsed = bare.unwrap_or(text).parse();
    parsed
        .ok()
        .ok_or_else(|| Error::PortAddress(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn bind(port: &str, ip: &str, host_port: &str) -> HostConfig {
        let binding = wire::PortBinding {
            host_ip: Some(ip.into()),
            host_port: Some(host_port.into()),
        };
        let map = HashMap::from([(port.to_owned(), Some(vec![binding]))]);
        HostConfig {
            port_bindings: Some(map),
            ..Default::default()
        }
    }

    fn exposing(port: &str) -> ContainerConfig {
        ContainerConfig {
            exposed_ports: Some(vec![port.into()]),
            ..Default::default()
        }
    }

    fn parsed(exposed: &str, host: &HostConfig) -> Result<Ports, String> {
        parse(&exposing(exposed), host, &ImageConfig::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_binding_without_exposed_port_has_no_effect() {
        let ports = parsed("80/tcp", &bind("443/tcp", "", "9443")).unwrap();
        assert!(ports.bindings.is_empty());
    }

    #[test]
    fn an_empty_host_port_is_ephemeral_and_a_range_is_kept() {
        let ephemeral = parsed("80/tcp", &bind("80/tcp", "", "")).unwrap().bindings[0];
        assert_eq!((ephemeral.host_address, ephemeral.host_ports), (None, None));
        let range = parsed("80/tcp", &bind("80/tcp", "127.0.0.1", "8000-8002"))
            .unwrap()
            .bindings[0];
        assert_eq!(range.host_ports.unwrap().ports().count(), 3);
    }

    #[test]
    fn an_exposed_range_is_every_port_of_it() {
        let ports = parsed("7000-7002/udp", &HostConfig::default()).unwrap();
        assert_eq!(ports.exposed.len(), 3);
    }

    #[test]
    fn an_image_does_not_make_its_user_publish_every_port() {
        let all = HostConfig {
            publish_all_ports: Some(true),
            ..Default::default()
        };
        let refused = parsed("1-65535/tcp", &all).unwrap_err();
        assert!(
            refused.contains("exposes 65535 ports") && refused.contains("-p"),
            "{refused}"
        );
        assert!(parsed("1-4096/tcp", &all).unwrap().publish_all);
        let exposed = parsed("1-65535/tcp", &HostConfig::default()).unwrap();
        assert_eq!(exposed.exposed.len(), 65535);
    }

    #[test]
    fn ranges_that_name_the_same_ports_again_and_again_are_not_spelled_out() {
        let ranges = |number: u16| ImageConfig {
            exposed_ports: Some((0..number).map(|n| format!("1-{}", 65535 - n)).collect()),
            ..Default::default()
        };
        let parse = |number| {
            parse(
                &ContainerConfig::default(),
                &HostConfig::default(),
                &ranges(number),
            )
        };
        assert_eq!(parse(3).unwrap().exposed.len(), 65535);
        assert!(parse(60_000).is_err());
    }

    #[test]
    fn nonsense_is_refused_in_dockers_words() {
        let refusal = |host_port| parsed("80/tcp", &bind("80/tcp", "", host_port)).unwrap_err();
        assert_eq!(refusal("x"), r#"invalid port specification: "x""#);
        assert_eq!(refusal("70000"), r#"invalid port specification: "70000""#);
        assert!(parsed("80/icmp", &HostConfig::default()).is_err());
        assert!(parsed("80/tcp", &bind("80/tcp", "x", "1")).is_err());
    }
}
