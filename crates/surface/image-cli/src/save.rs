//! `hakone save`.

use std::path::PathBuf;

use clap::Args;
use futures_util::StreamExt;
use hakone_client::{Error, Request, Session};

use super::archive;

/// Save one or more images to a tar archive (streamed to STDOUT by default)
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    output: Option<PathBuf>,
    /// Save only the given platform variant
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Writes images into one archive.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    if arguments.output.is_none() && session.console.terminal().stdout {
        return Err(Error::usage(
            "cowardly refusing to save to a terminal. Use the -o flag or redirect",
        ));
    }
    let request = arguments
        .images
        .iter()
        .fold(Request::get("/images/get"), |request, name| {
            request.query("names", name.as_str())
        });
    let request = request.maybe("platform", arguments.platform.as_deref());
    let stream = session.client().await?.stream(request).await?;
    if let Some(path) = &arguments.output {
        return archive::write(&session.console, path, stream).await;
    }
    let mut stream = std::pin::pin!(stream);
    while let Some(bytes) = stream.next().await {
        session.console.bytes(&bytes?)?;
    }
    Ok(())
}
