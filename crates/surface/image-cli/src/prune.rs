//! `hakone image prune`.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::shared::PruneFlags};
use hakone_engine_api::wire::ImagePruneResponse;

use super::rm;
use hakone_run_flags::quantity;

/// Remove unused images
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
}

/// Removes images that no container uses, after asking.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let question = match arguments.all {
        true => {
            "WARNING! This will remove all images without at least one container associated to them."
        }
        false => "WARNING! This will remove all dangling images.",
    };
    if !arguments.flags.force && !session.confirm(question)? {
        return Err(Error::usage("image prune has been cancelled"));
    }
    let mut filters = arguments.flags.filter.filters();
    filters.insert("dangling".into(), [(!arguments.all).to_string()].into());
    let request = Request::post("/images/prune").filters(&filters);
    let reply: ImagePruneResponse = session.client().await?.json(request).await?;
    let deleted: Vec<String> = reply
        .images_deleted
        .unwrap_or_default()
        .iter()
        .flat_map(rm::lines)
        .map(|line| {
            line.replacen("Untagged", "untagged", 1)
                .replacen("Deleted", "deleted", 1)
        })
        .collect();
    if !deleted.is_empty() {
        session
            .console
            .line(&format!("Deleted Images:\n{}\n", deleted.join("\n")))?;
    }
    let freed = quantity::human_size(reply.space_reclaimed.unwrap_or_default(), 4);
    session
        .console
        .line(&format!("Total reclaimed space: {freed}"))
}
