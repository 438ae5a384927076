//! `hakone network ls`.

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    flag::shared::{FilterFlags, ListFormat},
    output::{Column, Format, Row, list, shortened},
};
use hakone_engine_api::wire::Network;

/// List networks
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    format: ListFormat,
    /// Do not truncate the output
    #[arg(long)]
    no_trunc: bool,
    /// Only display network IDs
    #[arg(short, long)]
    quiet: bool,
}

const COLUMNS: [Column; 9] = [
    Column {
        field: "ID",
        heading: "NETWORK ID",
    },
    Column {
        field: "Name",
        heading: "NAME",
    },
    Column {
        field: "Driver",
        heading: "DRIVER",
    },
    Column {
        field: "Scope",
        heading: "SCOPE",
    },
    Column {
        field: "IPv4",
        heading: "IPV4",
    },
    Column {
        field: "IPv6",
        heading: "IPV6",
    },
    Column {
        field: "Internal",
        heading: "INTERNAL",
    },
    Column {
        field: "Labels",
        heading: "LABELS",
    },
    Column {
        field: "CreatedAt",
        heading: "CREATED AT",
    },
];

/// Lists networks by name.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = Request::get("/networks").filters(&arguments.filter.filters());
    let mut found: Vec<Network> = session.client().await?.json(request).await?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let rows = found
        .iter()
        .map(|network| row(network, arguments.no_trunc))
        .collect();
    let default = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";
    let format = Format {
        format: &arguments.format.format,
        default,
        quiet: arguments.quiet.then_some("{{.ID}}"),
    };
    list::print(&session.console, &COLUMNS, rows, &format)
}

fn row(network: &Network, whole: bool) -> Row {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let switch = |field: Option<bool>| (field == Some(true)).to_string();
    Row::default()
        .with("ID", shortened(&text(&network.id), 12, whole))
        .with("Name", text(&network.name))
        .with("Driver", text(&network.driver))
        .with("Scope", text(&network.scope))
        .with("IPv4", switch(network.enable_ipv4.or(Some(true))))
        .with("IPv6", switch(network.enable_ipv6))
        .with("Internal", switch(network.internal))
        .with(
            "CreatedAt",
            network
                .created
                .clone()
                .map(|at| at.to_string())
                .unwrap_or_default(),
        )
        .labels(network.labels.clone().unwrap_or_default())
}
