//! `hakone volume ls`.

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    flag::shared::{FilterFlags, ListFormat},
    output::{Column, Format, Row, list},
};
use hakone_engine_api::wire::{Volume, VolumeListResponse};

use crate::quantity;

/// List volumes
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    format: ListFormat,
    /// Only display volume names
    #[arg(short, long)]
    quiet: bool,
}

/// What can be shown of a volume.
pub(crate) const COLUMNS: [Column; 10] = [
    Column {
        field: "Name",
        heading: "VOLUME NAME",
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
        field: "Mountpoint",
        heading: "MOUNTPOINT",
    },
    Column {
        field: "Labels",
        heading: "LABELS",
    },
    Column {
        field: "Links",
        heading: "LINKS",
    },
    Column {
        field: "Size",
        heading: "SIZE",
    },
    Column {
        field: "Status",
        heading: "STATUS",
    },
    Column {
        field: "Group",
        heading: "GROUP",
    },
    Column {
        field: "Availability",
        heading: "AVAILABILITY",
    },
];

/// Lists volumes by name.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = Request::get("/volumes").filters(&arguments.filter.filters());
    let reply: VolumeListResponse = session.client().await?.json(request).await?;
    let mut found = reply.volumes.unwrap_or_default();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let rows = found.iter().map(row).collect();
    let format = Format {
        format: &arguments.format.format,
        default: "{{.Driver}}\t{{.Name}}",
        quiet: arguments.quiet.then_some("{{.Name}}"),
    };
    list::print(&session.console, &COLUMNS, rows, &format)
}

/// Makes a volume's line of a list.
pub(crate) fn row(volume: &Volume) -> Row {
    let usage = volume.usage_data.as_ref();
    let known = |number: Option<i64>, shown: fn(i64) -> String| {
        number
            .filter(|n| *n >= 0)
            .map_or_else(|| "N/A".to_owned(), shown)
    };
    Row::default()
        .with("Name", volume.name.as_str())
        .with("Driver", volume.driver.as_str())
        .with(
            "Scope",
            volume
                .scope
                .map(|scope| scope.to_string())
                .unwrap_or_default(),
        )
        .with("Mountpoint", volume.mountpoint.as_str())
        .with(
            "Links",
            known(usage.map(|usage| usage.ref_count), |n| n.to_string()),
        )
        .with(
            "Size",
            known(usage.map(|usage| usage.size), |n| {
                quantity::human_size(n, 4)
            }),
        )
        .with("Status", "N/A")
        .with("Group", "N/A")
        .with("Availability", "N/A")
        .labels(volume.labels.clone())
}
