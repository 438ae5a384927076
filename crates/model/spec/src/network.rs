//! The container's place in networks, as far as the create request's host part tells it.

use std::net::IpAddr;

use hakone_engine_api::wire::{ContainerConfig, HostConfig};

use crate::{Error, namespace::joined, spec::text};

/// `--network`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    /// The default bridge network.
    Bridge,
    /// The host's own network namespace.
    Host,
    /// A namespace with nothing but a loopback.
    None,
    /// That of the named container.
    Container(String),
    /// A user-defined network, by name or id.
    Named(String),
}

/// `--dns*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Name servers.
    pub servers: Vec<IpAddr>,
    /// Search domains; `.` alone asks for none.
    pub search: Vec<String>,
    /// Options of resolv.conf.
    pub options: Vec<String>,
}

/// `--add-host name:address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Where it leads.
    pub address: HostAddress,
}

/// The address of an extra host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostAddress {
    /// An address as given.
    Ip(IpAddr),
    /// `host-gateway`: the host as this container sees it.
    Gateway,
}

/// `--link container[:alias]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The other container's name or id.
    pub container: String,
    /// The name it gets here.
    pub alias: String,
}

impl NetworkMode {
    /// Parses the wire form: empty and `default` are the default bridge.
    ///
    /// # Errors
    /// When `container:` names nobody.
    pub fn parse(mode: Option<&str>) -> Result<Self, Error> {
        match mode.unwrap_or_default() {
            "" | "default" | "bridge" => Ok(Self::Bridge),
            "host" => Ok(Self::Host),
            "none" => Ok(Self::None),
            other if other == "container" || other.starts_with("container:") => joined(other)
                .map(|name| Self::Container(name.to_owned()))
                .ok_or(Error::ContainerFormat),
            other => Ok(Self::Named(other.to_owned())),
        }
    }
}

pub(crate) fn dns(host: &HostConfig) -> Result<Dns, Error> {
    let address = |server: &String| {
        let parsed = server.parse();
        parsed.ok().ok_or_else(|| Error::NameServer(server.clone()))
    };
    let servers = host.dns.iter().flatten().map(address);
    Ok(Dns {
        servers: servers.collect::<Result<_, _>>()?,
        search: plain_words(host.dns_search.as_deref())?,
        options: plain_words(host.dns_options.as_deref())?,
    })
}

/// Refuses white space, which would let a word write lines of its own into resolv.conf.
fn plain_words(words: Option<&[String]>) -> Result<Vec<String>, Error> {
    let words = words.unwrap_or_default();
    match words
        .iter()
        .find(|word| word.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        Some(odd) => Err(Error::DnsWord(odd.clone())),
        None => Ok(words
            .iter()
            .filter(|word| !word.is_empty())
            .cloned()
            .collect()),
    }
}

pub(crate) fn extra_hosts(host: &HostConfig) -> Result<Vec<ExtraHost>, Error> {
    host.extra_hosts
        .iter()
        .flatten()
        .map(|entry| extra_host(entry))
        .collect()
}

fn extra_host(entry: &str) -> Result<ExtraHost, Error> {
    let refuse = || Error::ExtraHost(entry.to_owned());
    let (name, address) = entry.split_once([':', '=']).ok_or_else(refuse)?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(refuse());
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match bare.unwrap_or(address) {
        "host-gateway" => HostAddress::Gateway,
        text => text
            .parse()
            .map(HostAddress::Ip)
            .ok()
            .ok_or_else(|| Error::ExtraHostAddress(address.to_owned()))?,
    };
    Ok(ExtraHost {
        name: name.to_owned(),
        address,
    })
}

pub(crate) fn links(host: &HostConfig) -> Result<Vec<Link>, Error> {
    host.links
        .iter()
        .flatten()
        .map(|entry| link(entry))
        .collect()
}

/// Reads `name:alias`, `name`, and `/name:/self/alias` as inspect prints it.
fn link(entry: &str) -> Result<Link, Error> {
    let mut parts = entry.split(':');
    let (container, alias, rest) = (parts.next(), parts.next(), parts.next());
    let container = container.unwrap_or_default().trim_start_matches('/');
    let alias = alias.unwrap_or(container);
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    // The alias becomes a line of /etc/hosts: white space would add names and lines to it.
    let odd = alias.contains(|c: char| c.is_whitespace() || c.is_control());
    match container.is_empty() || alias.is_empty() || odd || rest.is_some() {
        true => Err(Error::Link(entry.to_owned())),
        false => Ok(Link {
            container: container.to_owned(),
            alias: alias.to_owned(),
        }),
    }
}

/// Refuses options that contradict a shared network namespace.
pub(crate) fn check_mode(
    mode: &NetworkMode,
    config: &ContainerConfig,
    host: &HostConfig,
) -> Result<(), Error> {
    match mode {
        NetworkMode::Container(_) => check_joined(config, host),
        NetworkMode::Host if some(host.links.as_ref()) => Err(Error::HostNetworkLinks),
        NetworkMode::Host | NetworkMode::Bridge | NetworkMode::None | NetworkMode::Named(_) => {
            Ok(())
        }
    }
}

fn check_joined(config: &ContainerConfig, host: &HostConfig) -> Result<(), Error> {
    let published = host
        .port_bindings
        .as_ref()
        .is_some_and(|map| !map.is_empty());
    let contradictions = [
        (
            text(config.hostname.as_ref()).is_some(),
            Error::JoinedHostname,
        ),
        (some(host.links.as_ref()), Error::JoinedLinks),
        (some(host.dns.as_ref()), Error::JoinedDns),
        (some(host.extra_hosts.as_ref()), Error::JoinedHosts),
        (
            published || host.publish_all_ports == Some(true),
            Error::JoinedPublish,
        ),
        (some(config.exposed_ports.as_ref()), Error::JoinedExpose),
    ];
    match contradictions.into_iter().find(|(found, _)| *found) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

fn some(list: Option<&Vec<String>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_means_the_default_bridge() {
        assert_eq!(
            NetworkMode::parse(Some("default")).unwrap(),
            NetworkMode::Bridge
        );
        assert_eq!(NetworkMode::parse(None).unwrap(), NetworkMode::Bridge);
        assert_eq!(
            NetworkMode::parse(Some("web")).unwrap(),
            NetworkMode::Named("web".into())
        );
        let error = NetworkMode::parse(Some("container:")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid container format container:<name|id>"
        );
    }

    #[test]
    fn an_extra_host_takes_addresses_of_both_families_and_the_gateway() {
        assert_eq!(extra_host("db:10.0.0.1").unwrap().name, "db");
        assert_eq!(
            extra_host("db:::1").unwrap().address,
            HostAddress::Ip("::1".parse().unwrap())
        );
        assert_eq!(
            extra_host("h:host-gateway").unwrap().address,
            HostAddress::Gateway
        );
        let message = |entry: &str| extra_host(entry).unwrap_err().to_string();
        assert_eq!(message("db"), r#"bad format for add-host: "db""#);
        assert_eq!(message("db:x"), r#"invalid IP address in add-host: "x""#);
        assert!(extra_host("a\nb:10.0.0.1").is_err());
    }

    #[test]
    fn a_link_without_alias_keeps_the_name() {
        assert_eq!(
            link("db").unwrap(),
            Link {
                container: "db".into(),
                alias: "db".into()
            }
        );
        assert_eq!(link("/db:/web/store").unwrap().alias, "store");
        assert!(link("a:b:c").is_err());
    }

    #[test]
    fn a_search_domain_cannot_write_lines() {
        let host = HostConfig {
            dns_search: Some(vec!["a\nnameserver 6.6.6.6".into()]),
            ..Default::default()
        };
        assert!(dns(&host).is_err());
    }

    #[test]
    fn a_joined_network_takes_no_ports() {
        let config = ContainerConfig {
            exposed_ports: Some(vec!["80/tcp".into()]),
            ..Default::default()
        };
        let mode = NetworkMode::Container("db".into());
        let error = check_mode(&mode, &config, &HostConfig::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "conflicting options: port exposing and the container type network mode"
        );
    }
}
