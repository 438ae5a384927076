//! `hakone rm`.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::shared::Containers, segment};

/// Remove one or more containers
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Force the removal of a running container (uses SIGKILL)
    #[arg(short, long)]
    force: bool,
    /// Remove the specified link
    #[arg(short, long)]
    link: bool,
    /// Remove anonymous volumes associated with the container
    #[arg(short, long)]
    volumes: bool,
    #[command(flatten)]
    names: Containers,
}

/// Removes containers; with force a missing one is only mentioned.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let each = async |name: &str| {
        let name = name.trim_matches('/');
        let request = Request::delete(format!("/containers/{}", segment(name)))
            .flag("force", arguments.force)
            .flag("link", arguments.link)
            .flag("v", arguments.volumes);
        client.done(request).await.map(|()| name.to_owned())
    };
    session.each(&arguments.names.containers, each).await
}
