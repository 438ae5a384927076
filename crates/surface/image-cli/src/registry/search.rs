//! `hakone search`.

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    flag::shared::{FilterFlags, ListFormat},
    output::{Column, Format, Row, ellipsis, list},
};
use serde::Deserialize;

/// Search Docker Hub, or a registry that has a search, for images
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    format: ListFormat,
    /// Max number of search results
    #[arg(long, value_name = "int")]
    limit: Option<u32>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// What to look for
    #[arg(value_name = "TERM")]
    term: String,
}

#[derive(Debug, Deserialize)]
struct Found {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    star_count: i64,
    #[serde(default)]
    is_official: bool,
}

const COLUMNS: [Column; 4] = [
    Column {
        field: "Name",
        heading: "NAME",
    },
    Column {
        field: "Description",
        heading: "DESCRIPTION",
    },
    Column {
        field: "StarCount",
        heading: "STARS",
    },
    Column {
        field: "IsOfficial",
        heading: "OFFICIAL",
    },
];

/// Prints what was found, the best liked first.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = Request::get("/images/search")
        .query("term", &arguments.term)
        .maybe("limit", arguments.limit.map(|limit| limit.to_string()))
        .filters(&arguments.filter.filters());
    let mut found: Vec<Found> = session.client().await?.json(request).await?;
    found.sort_by_key(|one| std::cmp::Reverse(one.star_count));
    let rows = found
        .iter()
        .map(|one| row(one, arguments.no_trunc))
        .collect();
    let format = Format {
        format: &arguments.format.format,
        default: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
        quiet: None,
    };
    list::print(&session.console, &COLUMNS, rows, &format)
}

fn row(one: &Found, whole: bool) -> Row {
    let description = one.description.replace(['\t', '\n', '\r'], " ");
    Row::default()
        .with("Name", one.name.as_str())
        .with("Description", ellipsis(&description, 45, whole))
        .with("StarCount", one.star_count.to_string())
        .with("IsOfficial", if one.is_official { "[OK]" } else { "" })
}
