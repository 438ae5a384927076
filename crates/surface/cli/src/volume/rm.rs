//! `hakone volume rm`.

use clap::Args;
use hakone_client::{Error, Request, Session};

use super::path;

/// Remove one or more volumes. You cannot remove a volume that is in use by a container.
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Force the removal of one or more volumes
    #[arg(short, long)]
    force: bool,
    /// Names
    #[arg(value_name = "VOLUME", required = true)]
    volumes: Vec<String>,
}

/// Removes volumes.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let each = async |name: &str| {
        client
            .done(Request::delete(path(name)).flag("force", arguments.force))
            .await
            .map(|()| name.to_owned())
    };
    session.each(&arguments.volumes, each).await
}
