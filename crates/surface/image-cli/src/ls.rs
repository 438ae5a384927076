//! `hakone images`, also `image ls`.

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    flag::shared::{FilterFlags, ListFormat},
    now,
    output::{Column, Format, Row, list, shortened},
};
use hakone_engine_api::wire::ImageSummary;
use hakone_run_flags::quantity;

/// List images
#[expect(clippy::struct_excessive_bools, reason = "docker's switches, one each")]
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Show all images (default hides intermediate images)
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    format: ListFormat,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Only images of this name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// What can be shown of an image.
pub const COLUMNS: [Column; 11] = [
    Column {
        field: "ID",
        heading: "IMAGE ID",
    },
    Column {
        field: "Repository",
        heading: "REPOSITORY",
    },
    Column {
        field: "Tag",
        heading: "TAG",
    },
    Column {
        field: "Digest",
        heading: "DIGEST",
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
        field: "Size",
        heading: "SIZE",
    },
    Column {
        field: "Containers",
        heading: "CONTAINERS",
    },
    Column {
        field: "SharedSize",
        heading: "SHARED SIZE",
    },
    Column {
        field: "UniqueSize",
        heading: "UNIQUE SIZE",
    },
    Column {
        field: "VirtualSize",
        heading: "VIRTUAL SIZE",
    },
];

/// Lists images, one line for each name.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let mut filters = arguments.filter.filters();
    if let Some(name) = &arguments.name {
        filters
            .entry("reference".into())
            .or_default()
            .insert(name.clone());
    }
    let request = Request::get("/images/json")
        .flag("all", arguments.all)
        .filters(&filters);
    let found: Vec<ImageSummary> = session.client().await?.json(request).await?;
    let rows = found
        .iter()
        .flat_map(|image| rows(image, arguments.no_trunc))
        .collect();
    let default = match arguments.digests {
        true => "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
        false => "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    };
    let format = Format {
        format: &arguments.format.format,
        default,
        quiet: arguments.quiet.then_some("{{.ID}}"),
    };
    list::print(&session.console, &COLUMNS, rows, &format)
}

/// Makes an image's lines of a list: one a name.
pub fn rows(image: &ImageSummary, whole: bool) -> Vec<Row> {
    let digest = image
        .repo_digests
        .first()
        .and_then(|text| text.split_once('@'))
        .map_or("<none>", |(_, digest)| digest);
    let row = |repository: &str, tag: &str| {
        let ago = quantity::human_duration(now() - image.created);
        Row::default()
            .with("ID", shortened(&image.id, 12, whole))
            .with("Repository", repository)
            .with("Tag", tag)
            .with("Digest", digest)
            .with(
                "CreatedSince",
                if image.created > 0 {
                    format!("{ago} ago")
                } else {
                    "N/A".into()
                },
            )
            .with("CreatedAt", quantity::date(image.created))
            .with("Size", quantity::human_size(image.size, 3))
            .with("Containers", known(image.containers))
            .with("SharedSize", size(image.shared_size))
            .with(
                "UniqueSize",
                size(if image.shared_size < 0 {
                    -1
                } else {
                    image.size - image.shared_size
                }),
            )
            .with("VirtualSize", quantity::human_size(image.size, 3))
            .labels(image.labels.clone())
    };
    let named: Vec<Row> = image
        .repo_tags
        .iter()
        .filter(|name| *name != "<none>:<none>")
        .filter_map(|name| name.rsplit_once(':'))
        .map(|(repository, tag)| row(repository, tag))
        .collect();
    match (
        named.is_empty(),
        image
            .repo_digests
            .first()
            .and_then(|text| text.split_once('@')),
    ) {
        (false, _) => named,
        (true, Some((repository, _))) => vec![row(repository, "<none>")],
        (true, None) => vec![row("<none>", "<none>")],
    }
}

fn known(count: i64) -> String {
    if count < 0 {
        "N/A".into()
    } else {
        count.to_string()
    }
}

fn size(bytes: i64) -> String {
    if bytes < 0 {
        "N/A".into()
    } else {
        quantity::human_size(bytes, 3)
    }
}
