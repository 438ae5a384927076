//! `hakone volume rotate`.

use std::path::PathBuf;

use clap::Args;
use hakone_client::{Error, Request, Session};

use super::path;

/// Wrap the key of an encrypted volume by another key file; its files stay as they are, and running containers notice nothing
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// File on the daemon's host with the new key, 32 to 4096 bytes that root alone may read
    #[arg(long, value_name = "FILE", required = true)]
    key_file: PathBuf,
    /// Name
    #[arg(value_name = "VOLUME")]
    volume: String,
}

/// Wraps the key anew and prints the volume's name.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let place = format!("/hakone{}/key", path(&arguments.volume));
    let body = serde_json::json!({ "KeyFile": arguments.key_file });
    client.done(Request::post(place).json(&body)).await?;
    session.console.line(&arguments.volume)
}
