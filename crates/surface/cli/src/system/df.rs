//! `hakone system df`.

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    flag::shared::ListFormat,
    output::{Column, Format, Row, list},
};
use serde_json::Value;

use super::items;
use crate::quantity;

/// Show disk usage
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    format: ListFormat,
    /// Show detailed information on space usage
    #[arg(short, long)]
    verbose: bool,
}

const COLUMNS: [Column; 5] = [
    Column {
        field: "Type",
        heading: "TYPE",
    },
    Column {
        field: "TotalCount",
        heading: "TOTAL",
    },
    Column {
        field: "Active",
        heading: "ACTIVE",
    },
    Column {
        field: "Size",
        heading: "SIZE",
    },
    Column {
        field: "Reclaimable",
        heading: "RECLAIMABLE",
    },
];

/// What one kind of object takes.
#[derive(Default)]
struct Usage {
    total: usize,
    active: usize,
    size: i64,
    used: i64,
}

/// Prints what images, containers and volumes take.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let data: Value = session
        .client()
        .await?
        .json(Request::get("/system/df"))
        .await?;
    if arguments.verbose {
        return items::print(session, &data, &arguments.format.format);
    }
    let images = images(&data);
    let rows = vec![
        row("Images", &images),
        row(
            "Containers",
            &of(&data, "Containers", |container| {
                let running = container.get("State").and_then(Value::as_str) == Some("running");
                (number(container, "/SizeRw"), running)
            }),
        ),
        row(
            "Local Volumes",
            &of(&data, "Volumes", |volume| {
                (
                    number(volume, "/UsageData/Size").max(0),
                    number(volume, "/UsageData/RefCount") > 0,
                )
            }),
        ),
        row(
            "Build Cache",
            &of(&data, "BuildCache", |entry| {
                (
                    number(entry, "/Size"),
                    entry.get("InUse").and_then(Value::as_bool) == Some(true),
                )
            }),
        ),
    ];
    let default = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
    list::print(
        &session.console,
        &COLUMNS,
        rows,
        &Format {
            format: &arguments.format.format,
            default,
            quiet: None,
        },
    )
}

/// Layers are shared, so the daemon's sum counts, not ours.
fn images(data: &Value) -> Usage {
    let own = of(data, "Images", |image| {
        (
            number(image, "/Size") - number(image, "/SharedSize").max(0),
            number(image, "/Containers") > 0,
        )
    });
    let size = number(data, "/LayersSize");
    Usage {
        size,
        used: own.used.min(size),
        ..own
    }
}

fn of(data: &Value, field: &str, judge: impl Fn(&Value) -> (i64, bool)) -> Usage {
    let items = data
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    items
        .map(judge)
        .fold(Usage::default(), |sum, (size, active)| Usage {
            total: sum.total + 1,
            active: sum.active + usize::from(active),
            size: sum.size + size,
            used: sum.used + if active { size } else { 0 },
        })
}

fn number(value: &Value, pointer: &str) -> i64 {
    value
        .pointer(pointer)
        .and_then(Value::as_i64)
        .unwrap_or_default()
}

fn row(kind: &str, usage: &Usage) -> Row {
    let free = usage.size - usage.used;
    let share = match usage.size {
        size if size > 0 => format!("{} ({}%)", quantity::human_size(free, 4), free * 100 / size),
        _ => quantity::human_size(free, 4),
    };
    Row::default()
        .with("Type", kind)
        .with("TotalCount", usage.total.to_string())
        .with("Active", usage.active.to_string())
        .with("Size", quantity::human_size(usage.size, 4))
        .with("Reclaimable", share)
}
