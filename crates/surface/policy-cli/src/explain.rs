//! `hakone policy explain`.

use clap::Args;
use hakone_base::ExposedPort;
use serde::Deserialize;

use hakone_client::{Error, Request, Session};

/// Say why one container reaches a port of another, or does not; ends with 1 when it does not
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Who begins: a container or an address
    #[arg(value_name = "FROM")]
    from: String,
    /// Whom it reaches for: a container or an address
    #[arg(value_name = "TO")]
    to: String,
    /// The port, such as 80 or 53/udp
    #[arg(value_name = "PORT")]
    port: ExposedPort,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Explanation {
    from: String,
    to: String,
    allowed: bool,
    because: Vec<String>,
}

/// Prints what decides, in the order of the asking.
///
/// # Errors
/// When the daemon refuses, or the answer is no.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = Request::get("/hakone/policies/explain")
        .query("from", &arguments.from)
        .query("to", &arguments.to)
        .query("port", arguments.port.to_string());
    let explanation: Explanation = session.client().await?.json(request).await?;
    let verdict = if explanation.allowed {
        "allowed"
    } else {
        "denied"
    };
    let Explanation { from, to, .. } = &explanation;
    let port = arguments.port;
    session
        .console
        .line(&format!("{from} -> {to} {port}: {verdict}"))?;
    for line in &explanation.because {
        session.console.line(&format!("  {line}"))?;
    }
    match explanation.allowed {
        true => Ok(()),
        false => Err(Error::Exit(1)),
    }
}
