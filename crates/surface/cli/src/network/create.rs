//! `hakone network create`.

use std::collections::HashMap;

use clap::Args;
use hakone_base::Subnet;
use hakone_client::{Error, Request, Session, flag::value};
use hakone_engine_api::wire::{
    ConfigReference, Ipam, IpamConfig, NetworkCreateRequest, NetworkCreateResponse,
};

/// Create a network
#[expect(clippy::struct_excessive_bools, reason = "docker's switches, one each")]
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Enable manual container attachment
    #[arg(long)]
    attachable: bool,
    /// Auxiliary IPv4 or IPv6 addresses used by Network driver
    #[arg(long, value_name = "map", value_parser = value::pair)]
    aux_address: Vec<(String, String)>,
    /// The network from which to copy the configuration
    #[arg(long, value_name = "string")]
    config_from: Option<String>,
    /// Create a configuration only network
    #[arg(long)]
    config_only: bool,
    /// Driver to manage the Network
    #[arg(short, long, value_name = "string", default_value = "bridge")]
    driver: String,
    /// IPv4 or IPv6 Gateway for the master subnet
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    gateway: Vec<String>,
    /// Create swarm routing-mesh network
    #[arg(long)]
    ingress: bool,
    /// Restrict external access to the network
    #[arg(long)]
    internal: bool,
    /// Allocate container ip from a sub-range
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    ip_range: Vec<String>,
    /// IP Address Management Driver
    #[arg(long, value_name = "string", default_value = "default")]
    ipam_driver: String,
    /// Set IPAM driver specific options
    #[arg(long, value_name = "map", value_parser = value::pair)]
    ipam_opt: Vec<(String, String)>,
    /// Enable or disable IPv4 address assignment
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = value::truth)]
    ipv4: Option<bool>,
    /// Enable or disable IPv6 address assignment
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = value::truth)]
    ipv6: Option<bool>,
    /// Set metadata on a network
    #[arg(long, value_name = "list", value_parser = value::label)]
    label: Vec<String>,
    /// Set driver specific options
    #[arg(short, long, value_name = "map", value_parser = value::pair)]
    opt: Vec<(String, String)>,
    /// Control the network's scope
    #[arg(long, value_name = "string")]
    scope: Option<String>,
    /// Subnet in CIDR format that represents a network segment
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    subnet: Vec<String>,
    /// The name to give
    #[arg(value_name = "NETWORK")]
    name: String,
}

/// Creates a network and prints its id.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = Request::post("/networks/create").json(&parse(arguments)?);
    let created: NetworkCreateResponse = session.client().await?.json(request).await?;
    if !created.warning.is_empty() {
        session
            .console
            .note(&format!("WARNING: {}", created.warning));
    }
    session.console.line(&created.id)
}

/// Builds the request.
pub(crate) fn parse(arguments: &Arguments) -> Result<NetworkCreateRequest, Error> {
    let ipam = Ipam {
        driver: Some(arguments.ipam_driver.clone()),
        config: Some(pools(arguments)?),
        options: Some(arguments.ipam_opt.iter().cloned().collect()),
    };
    Ok(NetworkCreateRequest {
        name: arguments.name.clone(),
        driver: Some(arguments.driver.clone()),
        scope: arguments.scope.clone(),
        internal: Some(arguments.internal),
        attachable: Some(arguments.attachable),
        ingress: Some(arguments.ingress),
        config_only: Some(arguments.config_only),
        config_from: arguments
            .config_from
            .clone()
            .map(|network| ConfigReference {
                network: Some(network),
            }),
        ipam: Some(ipam),
        enable_ipv4: arguments.ipv4,
        enable_ipv6: arguments.ipv6,
        options: Some(arguments.opt.iter().cloned().collect()),
        labels: Some(
            hakone_client::flag::shared::map(&arguments.label)
                .into_iter()
                .collect(),
        ),
    })
}

/// Sorts ranges, gateways and reserved addresses to the subnets they lie in.
fn pools(arguments: &Arguments) -> Result<Vec<IpamConfig>, Error> {
    let flags = arguments;
    if flags.subnet.is_empty() && !(flags.ip_range.is_empty() && flags.gateway.is_empty()) {
        return Err(Error::usage(
            "every ip-range or gateway must have a corresponding subnet",
        ));
    }
    let subnets = flags
        .subnet
        .iter()
        .map(|text| subnet(text))
        .collect::<Result<Vec<_>, _>>()?;
    if subnets
        .iter()
        .enumerate()
        .any(|(at, one)| subnets.iter().skip(at + 1).any(|other| one.overlaps(other)))
    {
        return Err(Error::usage(
            "multiple overlapping subnet configuration is not supported",
        ));
    }
    let mut pools: Vec<IpamConfig> = flags
        .subnet
        .iter()
        .map(|text| IpamConfig {
            subnet: Some(text.clone()),
            ..IpamConfig::default()
        })
        .collect();
    for range in &flags.ip_range {
        let pool = inside(&subnets, &mut pools, subnet(range)?.address(), range)?;
        refuse_second(
            pool.ip_range.replace(range.clone()).is_some(),
            "ranges",
            pool,
        )?;
    }
    for gateway in &flags.gateway {
        let address = gateway
            .parse()
            .ok()
            .ok_or_else(|| Error::usage(format!("invalid gateway {gateway}")))?;
        let pool = inside(&subnets, &mut pools, address, gateway)?;
        refuse_second(
            pool.gateway.replace(gateway.clone()).is_some(),
            "gateways",
            pool,
        )?;
    }
    for (name, text) in &flags.aux_address {
        let address = text
            .parse()
            .ok()
            .ok_or_else(|| Error::usage(format!("invalid aux-address {text}")))?;
        let pool = inside(&subnets, &mut pools, address, text)?;
        pool.auxiliary_addresses
            .get_or_insert_with(HashMap::new)
            .insert(name.clone(), text.clone());
    }
    Ok(pools)
}

fn subnet(text: &str) -> Result<Subnet, Error> {
    text.parse()
        .ok()
        .ok_or_else(|| Error::usage(format!("invalid CIDR address: {text}")))
}

fn inside<'a>(
    subnets: &[Subnet],
    pools: &'a mut [IpamConfig],
    address: std::net::IpAddr,
    text: &str,
) -> Result<&'a mut IpamConfig, Error> {
    let at = subnets.iter().position(|subnet| subnet.contains(address));
    at.and_then(|at| pools.get_mut(at))
        .ok_or_else(|| Error::usage(format!("no matching subnet for {text}")))
}

fn refuse_second(taken: bool, what: &str, pool: &IpamConfig) -> Result<(), Error> {
    if !taken {
        return Ok(());
    }
    let subnet = pool.subnet.clone().unwrap_or_default();
    Err(Error::usage(format!(
        "cannot configure multiple {what} on the same subnet ({subnet})"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches};

    fn parsed(line: &str) -> Result<NetworkCreateRequest, String> {
        let command = hakone_client::flag::dockers(Arguments::augment_args(Command::new("create")));
        let matches = command
            .try_get_matches_from(std::iter::once("create").chain(line.split(' ')))
            .unwrap();
        parse(&Arguments::from_arg_matches(&matches).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_gateway_finds_its_subnet() {
        let request = parsed("--subnet 10.9.0.0/24,fd00:9::/64 --gateway fd00:9::1 n").unwrap();
        let pools = request.ipam.unwrap().config.unwrap();
        assert_eq!(
            (pools[0].gateway.as_deref(), pools[1].gateway.as_deref()),
            (None, Some("fd00:9::1"))
        );
    }

    #[test]
    fn refusals_are_dockers() {
        assert_eq!(
            parsed("--gateway 10.0.0.1 n").unwrap_err(),
            "every ip-range or gateway must have a corresponding subnet"
        );
        assert_eq!(
            parsed("--subnet 10.0.0.0/24 --gateway 10.1.0.1 n").unwrap_err(),
            "no matching subnet for 10.1.0.1"
        );
        assert_eq!(
            parsed("--subnet 10.0.0.0/16 --subnet 10.0.1.0/24 n").unwrap_err(),
            "multiple overlapping subnet configuration is not supported"
        );
    }

    #[test]
    fn families_are_sent_only_when_named() {
        let request = parsed("--ipv4=false --ipv6 n").unwrap();
        assert_eq!(
            (request.enable_ipv4, request.enable_ipv6),
            (Some(false), Some(true))
        );
        assert_eq!(parsed("n").unwrap().enable_ipv4, None);
    }
}
