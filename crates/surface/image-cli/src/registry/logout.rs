//! `hakone logout`.

use clap::Args;
use hakone_client::{Error, Session};

use super::{
    config::{self, Config},
    helper,
};

/// Log out from a registry
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The registry; Docker Hub when not given
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

/// Forgets a password.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let server = config::key(arguments.server.as_deref().unwrap_or_default());
    let mut config = Config::load(session.around())?;
    if let Some(name) = config.helper(&server) {
        helper::erase(&name, &server).await?;
    }
    let had = config.forget(&server)?;
    let line = match had || config.helper(&server).is_some() {
        true => format!("Removing login credentials for {server}"),
        false => format!("Not logged in to {server}"),
    };
    session.console.line(&line)
}
