//! `hakone kill`.

use clap::Args;
use hakone_client::{Error, Session, flag::shared::Containers};

use super::post;

/// Kill one or more running containers
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Signal to send to the container
    #[arg(short, long, value_name = "string")]
    signal: Option<String>,
    #[command(flatten)]
    names: Containers,
}

/// Sends a signal, SIGKILL unless another is named.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let each = async |name: &str| {
        let request = post(name, "kill").maybe("signal", arguments.signal.as_deref());
        client.done(request).await.map(|()| name.to_owned())
    };
    session.each(&arguments.names.containers, each).await
}
