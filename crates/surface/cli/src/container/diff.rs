//! `hakone diff`.

use clap::Args;
use hakone_client::{Error, Request, Session};
use serde_json::Value;

use super::path;

/// Inspect changes to files or directories on a container's filesystem
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Prints a letter and a path for each change.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = Request::get(path(&arguments.container, "changes"));
    let changes: Option<Vec<Value>> = session.client().await?.json(request).await?;
    for change in changes.unwrap_or_default() {
        let letter = match change.get("Kind").and_then(Value::as_i64) {
            Some(1) => "A",
            Some(2) => "D",
            _ => "C",
        };
        let path = change.get("Path").and_then(Value::as_str);
        let line = format!("{letter} {}", path.unwrap_or_default());
        session.console.line(&line)?;
    }
    Ok(())
}
