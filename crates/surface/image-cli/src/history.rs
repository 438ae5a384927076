//! `hakone history`.

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    flag::{shared::ListFormat, value},
    now,
    output::{Column, Format, Row, ellipsis, list, shortened},
};
use hakone_run_flags::quantity;
use serde::Deserialize;

use super::path;

/// Show the history of an image
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    format: ListFormat,
    /// Print sizes and dates in human readable format (default true)
    #[arg(short = 'H', long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", value_parser = value::truth)]
    human: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Name or id
    #[arg(value_name = "IMAGE")]
    image: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Step {
    id: String,
    created: i64,
    created_by: String,
    size: i64,
    #[serde(default)]
    comment: String,
}

const COLUMNS: [Column; 6] = [
    Column {
        field: "ID",
        heading: "IMAGE",
    },
    Column {
        field: "CreatedSince",
        heading: "CREATED",
    },
    Column {
        field: "CreatedAt",
        heading: "CREATED AT",
    },
    Column {
        field: "CreatedBy",
        heading: "CREATED BY",
    },
    Column {
        field: "Size",
        heading: "SIZE",
    },
    Column {
        field: "Comment",
        heading: "COMMENT",
    },
];

/// Prints the steps that made an image, the newest first.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let steps: Vec<Step> = session
        .client()
        .await?
        .json(Request::get(path(&arguments.image, "history")))
        .await?;
    let rows = steps.iter().map(|step| row(step, arguments)).collect();
    let default = match arguments.human {
        true => "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
        false => "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    };
    let format = Format {
        format: &arguments.format.format,
        default,
        quiet: arguments.quiet.then_some("{{.ID}}"),
    };
    list::print(&session.console, &COLUMNS, rows, &format)
}

fn row(step: &Step, arguments: &Arguments) -> Row {
    let ago = quantity::human_duration(now() - step.created);
    let size = if arguments.human {
        quantity::human_size(step.size, 3)
    } else {
        step.size.to_string()
    };
    let at = hakone_base::Timestamp::from_nanos(step.created.saturating_mul(1_000_000_000));
    Row::default()
        .with("ID", shortened(&step.id, 12, arguments.no_trunc))
        .with(
            "CreatedSince",
            if step.created > 0 {
                format!("{ago} ago")
            } else {
                "N/A".into()
            },
        )
        .with("CreatedAt", at.to_string())
        .with(
            "CreatedBy",
            ellipsis(&step.created_by.replace('\t', " "), 45, arguments.no_trunc),
        )
        .with("Size", size)
        .with("Comment", step.comment.as_str())
}
