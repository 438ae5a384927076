//! `hakone volume prune`.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::shared::PruneFlags};
use hakone_engine_api::wire::VolumePruneResponse;

use crate::quantity;

/// Remove unused local volumes
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Remove all unused volumes, not just anonymous ones
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
}

/// Removes volumes that no container uses, after asking.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let which = if arguments.all {
        "local volumes"
    } else {
        "anonymous local volumes"
    };
    let question =
        format!("WARNING! This will remove all {which} not used by at least one container.");
    if !arguments.flags.force && !session.confirm(&question)? {
        return Err(Error::usage("volume prune has been cancelled"));
    }
    let mut filters = arguments.flags.filter.filters();
    if arguments.all {
        filters.insert("all".into(), ["true".to_owned()].into());
    }
    let reply: VolumePruneResponse = session
        .client()
        .await?
        .json(Request::post("/volumes/prune").filters(&filters))
        .await?;
    let deleted = reply.volumes_deleted.unwrap_or_default();
    if !deleted.is_empty() {
        session
            .console
            .line(&format!("Deleted Volumes:\n{}\n", deleted.join("\n")))?;
    }
    let freed = quantity::human_size(reply.space_reclaimed.unwrap_or_default(), 4);
    session
        .console
        .line(&format!("Total reclaimed space: {freed}"))
}
