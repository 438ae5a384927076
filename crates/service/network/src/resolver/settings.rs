//! Whom a container's resolver asks about names that are not containers.

use std::{fs, net::IpAddr, path::Path};

use hakone_dns::ResolvConf;

use crate::{Config, NetworkMode, Resolver, SandboxReport, SandboxRequest, service::Inner};

/// Where systemd-resolved lists the resolvers that its loopback one asks.
const BEHIND_LOOPBACK: &str = "/run/systemd/resolve/resolv.conf";

/// Gives a sandbox its resolver's settings; `None` when no network of it has names.
pub(crate) fn settings(
    service: &Inner,
    request: &SandboxRequest,
    report: &SandboxReport,
) -> Option<Resolver> {
    let has_names = report
        .endpoints
        .iter()
        .any(|endpoint| !endpoint.dns_names.is_empty());
    if !has_names || !matches!(request.mode, NetworkMode::Networks(_)) {
        return None;
    }
    match request.dns.is_empty() {
        true => Some(default_settings(&service.config)),
        false => Some(Resolver {
            upstreams: request.dns.clone(),
        }),
    }
}

/// Gives the settings of containers that name no resolver. The host's loopback ones count: they are asked from the host.
pub(crate) fn default_settings(config: &Config) -> Resolver {
    Resolver {
        upstreams: stub(config, false).nameservers,
    }
}

/// Gives the stub settings that containers start from: the host's, under what the daemon's configuration says. A container
/// that asks for itself needs servers it can reach.
pub(crate) fn stub(config: &Config, by_itself: bool) -> ResolvConf {
    let mut host = read(&config.resolv_conf);
    if by_itself {
        let only_loopback = host.nameservers.iter().all(std::net::IpAddr::is_loopback);
        if only_loopback && !host.nameservers.is_empty() {
            host.nameservers = read(Path::new(BEHIND_LOOPBACK)).nameservers;
        }
        host = host.reachable();
    }
    host.overridden(&config.dns, &config.dns_search, &config.dns_options)
}

/// Gives the host's resolvers under link-local addresses, where clouds keep their machine's secrets too.
pub(crate) fn link_local_resolvers(config: &Config) -> Vec<IpAddr> {
    let files = [&*config.resolv_conf, Path::new(BEHIND_LOOPBACK)];
    let mut resolvers: Vec<IpAddr> = files
        .iter()
        .flat_map(|path| read(path).nameservers)
        .collect();
    resolvers.extend(&config.dns);
    let link_local = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253],
    };
    resolvers.retain(link_local);
    resolvers
}

fn read(path: &Path) -> ResolvConf {
    ResolvConf::parse(&fs::read_to_string(path).unwrap_or_default())
}
