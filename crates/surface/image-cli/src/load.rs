//! `hakone load`.

use std::path::PathBuf;

use clap::Args;
use hakone_client::{Error, Request, Session, output::progress};

use super::archive;

/// Load an image from a tar archive or STDIN
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Read from tar archive file, instead of STDIN
    #[arg(short, long, value_name = "string")]
    input: Option<PathBuf>,
    /// Load only the given platform variant
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Suppress the load output
    #[arg(short, long)]
    quiet: bool,
}

/// Sends an archive and says what was in it.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    if arguments.input.is_none() && session.console.terminal().stdin {
        return Err(Error::usage(
            "requested load from stdin, but stdin is empty",
        ));
    }
    let archive = archive::read(&session.console, arguments.input.as_deref()).await?;
    let request = Request::post("/images/load")
        .query(
            "quiet",
            if arguments.quiet || !session.console.terminal().stdout {
                "1"
            } else {
                "0"
            },
        )
        .maybe("platform", arguments.platform.as_deref())
        .archive(archive);
    let stream = session.client().await?.stream(request).await?;
    progress::show(
        &session.console,
        stream,
        arguments.quiet,
        progress::To::Stdout,
    )
    .await
}
