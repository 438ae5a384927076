//! `hakone builder prune`.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::shared::LongFilterFlags};
use hakone_engine_api::wire::BuildPruneResponse;
use hakone_run_flags::quantity::{self, parse_bytes};

/// Remove build cache
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Remove all unused build cache, not just dangling ones
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    filter: LongFilterFlags,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Amount of disk space to keep for cache
    #[arg(long, value_name = "bytes", value_parser = parse_bytes)]
    keep_storage: Option<i64>,
}

/// Forgets results that no build uses, after asking.
///
/// # Errors
/// When the daemon refuses, or the answer is no.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let question = match arguments.all {
        true => "WARNING! This will remove all build cache.",
        false => "WARNING! This will remove all dangling build cache.",
    };
    if !arguments.force && !session.confirm(question)? {
        return Err(Error::usage("builder prune has been cancelled"));
    }
    let keep = arguments.keep_storage.filter(|bytes| *bytes > 0);
    let request = Request::post("/build/prune")
        .flag("all", arguments.all)
        .maybe("keep-storage", keep.map(|bytes| bytes.to_string()))
        .filters(&arguments.filter.filters());
    let reply: BuildPruneResponse = session.client().await?.json(request).await?;
    let deleted = reply.caches_deleted.unwrap_or_default();
    if !deleted.is_empty() {
        let list = format!("Deleted build cache objects:\n{}\n", deleted.join("\n"));
        session.console.line(&list)?;
    }
    let freed = quantity::human_size(reply.space_reclaimed.unwrap_or_default(), 4);
    session
        .console
        .line(&format!("Total reclaimed space: {freed}"))
}
