//! `hakone ps`, also `container ls`.

use std::collections::BTreeMap;

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    flag::{
        shared::{FilterFlags, ListFormat},
        value,
    },
    now,
    output::{Column, Format, Row, ellipsis, list, shortened},
};
use hakone_engine_api::wire::{ContainerSummary, MountPoint, PortSummary};
use serde_json::Value;

use crate::quantity;

/// List containers
#[expect(clippy::struct_excessive_bools, reason = "docker's switches, one each")]
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    format: ListFormat,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "int", default_value = "-1", hide_default_value = true, allow_negative_numbers = true, value_parser = value::integer)]
    last: i64,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    latest: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    quiet: bool,
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
}

/// What can be shown of a container.
pub(crate) const COLUMNS: [Column; 16] = [
    Column {
        field: "ID",
        heading: "CONTAINER ID",
    },
    Column {
        field: "Names",
        heading: "NAMES",
    },
    Column {
        field: "Image",
        heading: "IMAGE",
    },
    Column {
        field: "Command",
        heading: "COMMAND",
    },
    Column {
        field: "CreatedAt",
        heading: "CREATED AT",
    },
    Column {
        field: "RunningFor",
        heading: "CREATED",
    },
    Column {
        field: "Ports",
        heading: "PORTS",
    },
    Column {
        field: "State",
        heading: "STATE",
    },
    Column {
        field: "Status",
        heading: "STATUS",
    },
    Column {
        field: "Size",
        heading: "SIZE",
    },
    Column {
        field: "Labels",
        heading: "LABELS",
    },
    Column {
        field: "Mounts",
        heading: "MOUNTS",
    },
    Column {
        field: "LocalVolumes",
        heading: "LOCAL VOLUMES",
    },
    Column {
        field: "Networks",
        heading: "NETWORKS",
    },
    Column {
        field: "Label",
        heading: "LABEL",
    },
    Column {
        field: "Platform",
        heading: "PLATFORM",
    },
];

const TABLE: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const TABLE_WITH_SIZE: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

/// Lists containers.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let limit = if arguments.latest { 1 } else { arguments.last };
    let format = arguments.format.format.as_str();
    let size = arguments.size || format.contains(".Size");
    let request = Request::get("/containers/json")
        .flag("all", arguments.all)
        .maybe("limit", (limit > 0).then(|| limit.to_string()))
        .flag("size", size)
        .filters(&arguments.filter.filters());
    let found: Vec<ContainerSummary> = session.client().await?.json(request).await?;
    let now = now();
    let rows = found
        .iter()
        .map(|container| row(container, arguments.no_trunc, now))
        .collect();
    let default = if arguments.size {
        TABLE_WITH_SIZE
    } else {
        TABLE
    };
    list::print(
        &session.console,
        &COLUMNS,
        rows,
        &Format {
            format,
            default,
            quiet: arguments.quiet.then_some("{{.ID}}"),
        },
    )
}

/// Makes a container's line of a list.
pub(crate) fn row(container: &ContainerSummary, whole: bool, now: i64) -> Row {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let created = container.created.unwrap_or_default();
    let names = container.names.clone().unwrap_or_default();
    let state = container
        .state
        .map(|state| state.to_string())
        .unwrap_or_default();
    Row::default()
        .with("ID", shortened(&text(&container.id), 12, whole))
        .with("Names", names_shown(&names, whole))
        .with(
            "Image",
            image(&text(&container.image), &text(&container.image_id), whole),
        )
        .with(
            "Command",
            format!("\"{}\"", ellipsis(&text(&container.command), 20, whole)),
        )
        .with("CreatedAt", quantity::date(created))
        .with(
            "RunningFor",
            format!("{} ago", quantity::human_duration(now - created)),
        )
        .with(
            "Ports",
            ports(container.ports.as_deref().unwrap_or_default()),
        )
        .with("State", state)
        .with("Status", text(&container.status))
        .with("Size", sizes(container))
        .with(
            "Mounts",
            mounts(container.mounts.as_deref().unwrap_or_default(), whole),
        )
        .with(
            "LocalVolumes",
            volumes(container.mounts.as_deref().unwrap_or_default()),
        )
        .with("Networks", networks(container))
        .with("Platform", Value::Null)
        .labels(container.labels.clone().unwrap_or_default())
}

fn names_shown(names: &[String], whole: bool) -> String {
    // A name with two slashes is a link of another container.
    let own = names
        .iter()
        .filter(|name| whole || name.matches('/').count() == 1);
    own.map(|name| name.trim_start_matches('/'))
        .collect::<Vec<_>>()
        .join(",")
}

fn image(name: &str, id: &str, whole: bool) -> String {
    match (name, whole) {
        ("", _) => "<no image>".into(),
        (name, false) if name == id || name.starts_with("sha256:") => shortened(name, 12, false),
        (name, _) => name.to_owned(),
    }
}

fn sizes(container: &ContainerSummary) -> String {
    let own = quantity::human_size(container.size_rw.unwrap_or_default(), 3);
    match container.size_root_fs {
        Some(all) if all > 0 => format!("{own} (virtual {})", quantity::human_size(all, 3)),
        _ => own,
    }
}

fn mounts(mounts: &[MountPoint], whole: bool) -> String {
    let name = |mount: &MountPoint| {
        let name = mount
            .name
            .clone()
            .filter(|name| !name.is_empty())
            .or_else(|| mount.source.clone());
        ellipsis(&name.unwrap_or_default(), 15, whole)
    };
    mounts.iter().map(name).collect::<Vec<_>>().join(",")
}

fn volumes(mounts: &[MountPoint]) -> String {
    mounts
        .iter()
        .filter(|mount| mount.driver.as_deref() == Some("local"))
        .count()
        .to_string()
}

fn networks(container: &ContainerSummary) -> String {
    let networks = container
        .network_settings
        .as_ref()
        .and_then(|settings| settings.networks.as_ref());
    let mut names: Vec<&str> = networks
        .into_iter()
        .flat_map(|map| map.keys())
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.join(",")
}

/// Prints ports as docker does: consecutive ones of the same address and protocol as a range.
pub(crate) fn ports(ports: &[PortSummary]) -> String {
    let mut groups: BTreeMap<(String, String, bool), Vec<(u16, u16)>> = BTreeMap::new();
    for port in ports {
        let protocol = port.typ.map(|typ| typ.to_string()).unwrap_or_default();
        let address = port.ip.clone().unwrap_or_default();
        let public = port.public_port.unwrap_or_default();
        groups
            .entry((address, protocol, public > 0))
            .or_default()
            .push((port.private_port, public));
    }
    let mut shown: Vec<(u16, String)> = Vec::new();
    for ((address, protocol, published), mut pairs) in groups {
        pairs.sort_unstable();
        pairs.dedup();
        for (first, last) in runs(&pairs) {
            let inside = span(first.0, last.0);
            let text = match published {
                true => format!(
                    "{}:{}->{inside}/{protocol}",
                    bracketed(&address),
                    span(first.1, last.1)
                ),
                false => format!("{inside}/{protocol}"),
            };
            shown.push((first.0, text));
        }
    }
    shown.sort_by_key(|(port, _)| *port);
    shown
        .into_iter()
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Joins pairs that count up together on both sides.
fn runs(pairs: &[(u16, u16)]) -> Vec<((u16, u16), (u16, u16))> {
    let mut found: Vec<((u16, u16), (u16, u16))> = Vec::new();
    for &(inside, outside) in pairs {
        match found.last_mut() {
            Some((_, last))
                if inside == last.0 + 1
                    && (outside == last.1 + 1 || outside == 0 && last.1 == 0) =>
            {
                *last = (inside, outside);
            }
            _ => found.push(((inside, outside), (inside, outside))),
        }
    }
    found
}

fn span(first: u16, last: u16) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}

fn bracketed(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(value: serde_json::Value) -> String {
        let parsed: Vec<PortSummary> = serde_json::from_value(value).unwrap();
        ports(&parsed)
    }

    #[test]
    fn consecutive_ports_are_shown_as_a_range() {
        assert_eq!(
            shown(json!([
                {"IP": "0.0.0.0", "PrivatePort": 81, "PublicPort": 8081, "Type": "tcp"},
                {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
                {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
                {"PrivatePort": 443, "Type": "tcp"}
            ])),
            "0.0.0.0:8080-8081->80-81/tcp, [::]:8080->80/tcp, 443/tcp"
        );
    }
}
