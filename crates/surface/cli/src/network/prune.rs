//! `hakone network prune`.

use hakone_client::{Error, Request, Session, flag::shared::PruneFlags};
use hakone_engine_api::wire::NetworkPruneResponse;

/// Removes what no container uses, after asking.
pub(crate) async fn run(session: &Session, arguments: &PruneFlags) -> Result<(), Error> {
    let question =
        "WARNING! This will remove all custom networks not used by at least one container.";
    if !arguments.force && !session.confirm(question)? {
        return Err(Error::usage("network prune has been cancelled"));
    }
    let request = Request::post("/networks/prune").filters(&arguments.filter.filters());
    let reply: NetworkPruneResponse = session.client().await?.json(request).await?;
    let deleted = reply.networks_deleted.unwrap_or_default();
    if deleted.is_empty() {
        return Ok(());
    }
    session
        .console
        .line(&format!("Deleted Networks:\n{}\n", deleted.join("\n")))
}
