//! `hakone network disconnect`.

use clap::Args;
use hakone_client::{Error, Request, Session};
use hakone_engine_api::wire::NetworkDisconnectRequest;

use super::path;

/// Disconnect a container from a network
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Force the container to disconnect from a network
    #[arg(short, long)]
    force: bool,
    /// The network
    #[arg(value_name = "NETWORK")]
    network: String,
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Takes a container's endpoint away.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let body = NetworkDisconnectRequest {
        container: arguments.container.clone(),
        force: Some(arguments.force),
    };
    let request = Request::post(format!("{}/disconnect", path(&arguments.network))).json(&body);
    session.client().await?.done(request).await
}
