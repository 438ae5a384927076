//! `hakone builder du`: what is remembered of builds, one line each.

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    flag::shared::ListFormat,
    output::{Column, Format, Row, list, shortened},
};
use hakone_run_flags::quantity;
use serde::Deserialize;

/// Show what is remembered of builds
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    format: ListFormat,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only display cache IDs
    #[arg(short, long)]
    quiet: bool,
}

const COLUMNS: [Column; 6] = [
    Column {
        field: "ID",
        heading: "CACHE ID",
    },
    Column {
        field: "Type",
        heading: "CACHE TYPE",
    },
    Column {
        field: "Size",
        heading: "SIZE",
    },
    Column {
        field: "LastUsed",
        heading: "LAST USED",
    },
    Column {
        field: "Reclaimable",
        heading: "RECLAIMABLE",
    },
    Column {
        field: "Description",
        heading: "DESCRIPTION",
    },
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    build_cache: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Entry {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Type")]
    kind: String,
    description: String,
    in_use: bool,
    shared: bool,
    size: i64,
    last_used_at: String,
}

/// Lists what `builder prune` could take away, and what it could not.
///
/// # Errors
/// When the daemon does not tell.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = Request::get("/system/df").query("type", "build-cache");
    let usage: Usage = session.client().await?.json(request).await?;
    let entries = usage.build_cache.unwrap_or_default();
    let rows = entries.iter().map(|entry| row(entry, arguments.no_trunc));
    let default =
        "{{.ID}}\t{{.Type}}\t{{.Size}}\t{{.LastUsed}}\t{{.Reclaimable}}\t{{.Description}}";
    let format = Format {
        format: &arguments.format.format,
        default,
        quiet: arguments.quiet.then_some("{{.ID}}"),
    };
    list::print(&session.console, &COLUMNS, rows.collect(), &format)
}

fn row(entry: &Entry, whole: bool) -> Row {
    Row::default()
        .with("ID", shortened(&entry.id, 12, whole))
        .with("Type", entry.kind.as_str())
        .with("Size", quantity::human_size(entry.size, 3))
        .with("LastUsed", entry.last_used_at.as_str())
        .with("Reclaimable", !entry.in_use)
        .with("Shared", entry.shared)
        .with("Description", shortened(&entry.description, 60, whole))
}
