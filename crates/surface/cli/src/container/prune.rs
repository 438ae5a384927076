//! `hakone container prune`.

use hakone_client::{Error, Request, Session, flag::shared::PruneFlags};
use hakone_engine_api::wire::ContainerPruneResponse;

use crate::quantity;

/// Removes all stopped containers, after asking.
pub(crate) async fn run(session: &Session, arguments: &PruneFlags) -> Result<(), Error> {
    let question = "WARNING! This will remove all stopped containers.";
    if !arguments.force && !session.confirm(question)? {
        return Err(Error::usage("container prune has been cancelled"));
    }
    let request = Request::post("/containers/prune").filters(&arguments.filter.filters());
    let reply: ContainerPruneResponse = session.client().await?.json(request).await?;
    let deleted = reply.containers_deleted.unwrap_or_default();
    if !deleted.is_empty() {
        session
            .console
            .line(&format!("Deleted Containers:\n{}\n", deleted.join("\n")))?;
    }
    let freed = quantity::human_size(reply.space_reclaimed.unwrap_or_default(), 4);
    session
        .console
        .line(&format!("Total reclaimed space: {freed}"))
}
