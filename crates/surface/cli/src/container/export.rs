//! `hakone export`.

use std::path::PathBuf;

use clap::Args;
use futures_util::StreamExt as _;
use hakone_client::{Error, Request, Session};

use super::path;
use hakone_image_cli::archive;

/// Export a container's filesystem as a tar archive
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    output: Option<PathBuf>,
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Writes a container's files into one archive.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    if arguments.output.is_none() && session.console.terminal().stdout {
        return Err(Error::usage(
            "cowardly refusing to save to a terminal. Use the -o flag or redirect",
        ));
    }
    let request = Request::get(path(&arguments.container, "export"));
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
