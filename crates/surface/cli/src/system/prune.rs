//! `hakone system prune`: stopped containers, unused networks, unused images, and volumes when asked for.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::shared::PruneFlags};
use serde_json::Value;

use crate::quantity;

/// Remove unused data
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Remove all unused images not just dangling ones
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
    /// Prune anonymous volumes
    #[arg(long)]
    volumes: bool,
}

/// Removes what nothing uses, after asking, in the order in which one frees the next.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    if !arguments.flags.force && !session.confirm(&question(arguments))? {
        return Err(Error::usage("system prune has been cancelled"));
    }
    let client = session.client().await?;
    let filters = arguments.flags.filter.filters();
    let mut of_images = filters.clone();
    of_images.insert("dangling".into(), [(!arguments.all).to_string()].into());
    let mut steps = vec![
        (
            "Deleted Containers:",
            "ContainersDeleted",
            Request::post("/containers/prune").filters(&filters),
        ),
        (
            "Deleted Networks:",
            "NetworksDeleted",
            Request::post("/networks/prune").filters(&filters),
        ),
    ];
    if arguments.volumes {
        steps.push((
            "Deleted Volumes:",
            "VolumesDeleted",
            Request::post("/volumes/prune").filters(&filters),
        ));
    }
    steps.push((
        "Deleted Images:",
        "ImagesDeleted",
        Request::post("/images/prune").filters(&of_images),
    ));
    let mut freed = 0;
    for (title, field, request) in steps {
        let reply: Value = client.json(request).await?;
        freed += reply
            .get("SpaceReclaimed")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        let names = names(&reply, field);
        if !names.is_empty() {
            session
                .console
                .line(&format!("{title}\n{}\n", names.join("\n")))?;
        }
    }
    session.console.line(&format!(
        "Total reclaimed space: {}",
        quantity::human_size(freed, 4)
    ))
}

fn question(arguments: &Arguments) -> String {
    let mut lines = vec![
        "WARNING! This will remove:",
        "  - all stopped containers",
        "  - all networks not used by at least one container",
    ];
    if arguments.volumes {
        lines.push("  - all anonymous volumes not used by at least one container");
    }
    lines.push(match arguments.all {
        true => "  - all images without at least one container associated to them",
        false => "  - all dangling images",
    });
    lines.join("\n") + "\n"
}

fn names(reply: &Value, field: &str) -> Vec<String> {
    let items = reply
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    items
        .filter_map(|item| match item {
            Value::String(name) => Some(name.clone()),
            Value::Object(map) => {
                let pick = |key: &str, word: &str| {
                    map.get(key)
                        .and_then(Value::as_str)
                        .map(|name| format!("{word}: {name}"))
                };
                pick("Untagged", "untagged").or_else(|| pick("Deleted", "deleted"))
            }
            _ => None,
        })
        .collect()
}
