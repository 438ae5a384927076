//! `hakone network connect`.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::value};
use hakone_engine_api::wire::{EndpointIpamConfig, EndpointSettings, NetworkConnectRequest};

use super::path;

/// Connect a container to a network
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Add network-scoped alias for the container
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    alias: Vec<String>,
    /// driver options for the network
    #[arg(long, value_name = "strings", value_delimiter = ',', value_parser = value::pair)]
    driver_opt: Vec<(String, String)>,
    /// Highest gw-priority provides the default gateway. Accepts positive and negative values.
    #[arg(long, value_name = "int", allow_negative_numbers = true, value_parser = value::integer)]
    gw_priority: Option<i64>,
    /// IPv4 address (e.g., "172.30.100.104")
    #[arg(long, value_name = "string")]
    ip: Option<String>,
    /// IPv6 address (e.g., "2001:db8::33")
    #[arg(long, value_name = "string")]
    ip6: Option<String>,
    /// Add link to another container
    #[arg(long, value_name = "list", value_parser = value::link)]
    link: Vec<String>,
    /// Add a link-local address for the container
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    link_local_ip: Vec<String>,
    /// The network
    #[arg(value_name = "NETWORK")]
    network: String,
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Gives a container an endpoint in a network.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request =
        Request::post(format!("{}/connect", path(&arguments.network))).json(&parse(arguments));
    session.client().await?.done(request).await
}

fn parse(arguments: &Arguments) -> NetworkConnectRequest {
    let list = |values: &[String]| (!values.is_empty()).then(|| values.to_vec());
    let ipam = EndpointIpamConfig {
        ipv4_address: arguments.ip.clone(),
        ipv6_address: arguments.ip6.clone(),
        link_local_ips: list(&arguments.link_local_ip),
    };
    let endpoint = EndpointSettings {
        ipam_config: Some(ipam),
        links: list(&arguments.link),
        aliases: list(&arguments.alias),
        driver_opts: Some(arguments.driver_opt.iter().cloned().collect()),
        gw_priority: arguments.gw_priority,
        ..EndpointSettings::default()
    };
    NetworkConnectRequest {
        container: arguments.container.clone(),
        endpoint_config: Some(endpoint),
    }
}
