//! `hakone rename`.

use clap::Args;
use hakone_client::{Error, Session};

use super::post;

/// Rename a container
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// The present name or id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The name to be
    #[arg(value_name = "NEW_NAME")]
    name: String,
}

/// Gives a container another name.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = post(&arguments.container, "rename").query("name", arguments.name.as_str());
    session.client().await?.done(request).await
}
