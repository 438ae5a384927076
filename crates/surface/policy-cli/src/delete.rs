//! `hakone policy delete`.

use clap::Args;

use super::{keys, path};
use hakone_client::{Error, Request, Session};

/// Delete policies by name, or those of a file
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Delete the policies of this file (- for standard input)
    #[arg(short = 'f', long = "filename", value_name = "file")]
    file: Option<std::path::PathBuf>,
    /// NAMESPACE/NAME, or NAME in the namespace default
    #[arg(value_name = "POLICY", required_unless_present = "file")]
    policies: Vec<String>,
}

/// Deletes policies; one that cannot be does not stop the others.
///
/// # Errors
/// When the daemon refuses, or the answer is no.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let mut policies = arguments.policies.clone();
    if let Some(file) = &arguments.file {
        policies.extend(keys(file)?);
    }
    let client = session.client().await?;
    let mut failed = false;
    for name in &policies {
        match client.done(Request::delete(path(name))).await {
            Ok(()) => session
                .console
                .line(&format!("networkpolicy {name} deleted"))?,
            Err(error) => {
                failed = true;
                session.console.complain(&error);
            }
        }
    }
    if failed { Err(Error::Exit(1)) } else { Ok(()) }
}
