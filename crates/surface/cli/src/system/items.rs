//! `hakone system df --verbose`: what each object takes.

use hakone_client::{
    Error, Session, now,
    output::{Column, Format, Row, list, shortened},
};
use hakone_engine_api::wire::{ContainerSummary, ImageSummary, Volume};
use hakone_image_cli as image;
use hakone_template::Template;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{container, quantity, volume};

const IMAGES: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const CONTAINERS: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
const VOLUMES: &str = "{{.Name}}\t{{.Links}}\t{{.Size}}";
const CACHE: &str = "{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}";

const CACHE_COLUMNS: [Column; 7] = [
    Column {
        field: "ID",
        heading: "CACHE ID",
    },
    Column {
        field: "CacheType",
        heading: "CACHE TYPE",
    },
    Column {
        field: "Size",
        heading: "SIZE",
    },
    Column {
        field: "CreatedSince",
        heading: "CREATED",
    },
    Column {
        field: "LastUsedSince",
        heading: "LAST USED",
    },
    Column {
        field: "UsageCount",
        heading: "USAGE",
    },
    Column {
        field: "Shared",
        heading: "SHARED",
    },
];

/// Prints the daemon's account whole: as tables, JSON, or through a template.
pub(super) fn print(session: &Session, data: &Value, format: &str) -> Result<(), Error> {
    match format {
        "" | "table" => tables(session, data),
        "json" => session.console.line(&data.to_string()),
        text => {
            let template = Template::parse(text)?;
            session.console.line(&template.render(data)?)
        }
    }
}

fn tables(session: &Session, data: &Value) -> Result<(), Error> {
    let images: Vec<ImageSummary> = items(data, "Images")?;
    let containers: Vec<ContainerSummary> = items(data, "Containers")?;
    let volumes: Vec<Volume> = items(data, "Volumes")?;
    let cache: Vec<Value> = items(data, "BuildCache")?;
    let table = |title: &str, columns: &[Column], rows: Vec<Row>, default: &'static str| {
        session.console.line(&format!("{title}\n"))?;
        let format = Format {
            format: "",
            default,
            quiet: None,
        };
        list::print(&session.console, columns, rows, &format)
    };
    let rows = images.iter().flat_map(|one| image::ls::rows(one, false));
    let rows = rows.collect();
    table("Images space usage:", &image::ls::COLUMNS, rows, IMAGES)?;
    let at = now();
    let rows = containers
        .iter()
        .map(|one| container::ls::row(one, false, at));
    let (title, rows) = ("\nContainers space usage:", rows.collect());
    table(title, &container::ls::COLUMNS, rows, CONTAINERS)?;
    let (title, rows) = (
        "\nLocal Volumes space usage:",
        volumes.iter().map(volume::ls::row).collect(),
    );
    table(title, &volume::ls::COLUMNS, rows, VOLUMES)?;
    let size = |one: &Value| one.get("Size").and_then(Value::as_i64).unwrap_or_default();
    let total = quantity::human_size(cache.iter().map(size).sum(), 4);
    let title = format!("\nBuild cache usage: {total}");
    table(
        &title,
        &CACHE_COLUMNS,
        cache.iter().map(cached).collect(),
        CACHE,
    )
}

fn cached(entry: &Value) -> Row {
    let text = |field: &str| match entry.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let size = entry.get("Size").and_then(Value::as_i64);
    Row::default()
        .with("ID", shortened(&text("ID"), 12, false))
        .with("CacheType", text("Type"))
        .with("Size", quantity::human_size(size.unwrap_or_default(), 3))
        .with("CreatedSince", text("CreatedAt"))
        .with("LastUsedSince", text("LastUsedAt"))
        .with("UsageCount", text("UsageCount"))
        .with("Shared", text("Shared"))
}

/// Reads one list of the account; an absent one is empty.
fn items<T: DeserializeOwned>(data: &Value, field: &str) -> Result<Vec<T>, Error> {
    match data.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => {
            serde_json::from_value(list.clone()).map_err(|error| Error::Reply(error.to_string()))
        }
    }
}
