//! `hakone policy apply`.

use clap::Args;

use super::{Applied, Source};
use hakone_client::{Error, Request, Session};

/// Apply policies from a file: all of them, or none
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
}

/// Applies policies and says what became of each.
///
/// # Errors
/// When the daemon refuses, or the answer is no.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = Request::post("/hakone/policies").text(arguments.source.read()?);
    let applied: Vec<Applied> = session.client().await?.json(request).await?;
    for one in applied {
        let line = format!("networkpolicy {} {}", one.policy, one.change);
        session.console.line(&line)?;
    }
    Ok(())
}
