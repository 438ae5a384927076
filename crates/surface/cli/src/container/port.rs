//! `hakone port`.

use clap::Args;
use hakone_client::{Error, Request, Session};
use hakone_engine_api::wire::{ContainerInspectResponse, PortMap};

use super::path;

/// List port mappings or a specific mapping for the container
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Only where this port is reached
    #[arg(value_name = "PRIVATE_PORT[/PROTO]")]
    port: Option<String>,
}

/// Prints where a container's ports are reached.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = Request::get(path(&arguments.container, "json"));
    let known: ContainerInspectResponse = session.client().await?.json(request).await?;
    let ports = known
        .network_settings
        .and_then(|settings| settings.ports)
        .unwrap_or_default();
    let lines = match &arguments.port {
        None => all(&ports),
        Some(port) => one(&ports, port, &arguments.container)?,
    };
    lines.iter().try_for_each(|line| session.console.line(line))
}

fn all(ports: &PortMap) -> Vec<String> {
    let mut names: Vec<&String> = ports.keys().collect();
    names.sort_by_key(|name| {
        (
            name.split('/')
                .next()
                .and_then(|port| port.parse::<u16>().ok()),
            name.as_str(),
        )
    });
    names
        .into_iter()
        .flat_map(|name| {
            places(ports, name)
                .into_iter()
                .map(move |place| format!("{name} -> {place}"))
        })
        .collect()
}

fn one(ports: &PortMap, port: &str, container: &str) -> Result<Vec<String>, Error> {
    let name = if port.contains('/') {
        port.to_owned()
    } else {
        format!("{port}/tcp")
    };
    match places(ports, &name) {
        places if places.is_empty() => Err(Error::usage(format!(
            "no public port '{port}' published for {container}"
        ))),
        places => Ok(places),
    }
}

fn places(ports: &PortMap, name: &str) -> Vec<String> {
    let bindings = ports.get(name).and_then(Option::as_ref);
    let place = |binding: &hakone_engine_api::wire::PortBinding| {
        let address = binding.host_ip.clone().unwrap_or_default();
        let address = if address.contains(':') {
            format!("[{address}]")
        } else {
            address
        };
        format!(
            "{address}:{}",
            binding.host_port.clone().unwrap_or_default()
        )
    };
    bindings.into_iter().flatten().map(place).collect()
}
