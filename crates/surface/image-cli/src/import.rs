//! `hakone import`.

use std::path::Path;

use clap::Args;
use hakone_client::{Error, Request, Session, output::progress};

use super::archive;

/// Import the contents from a tarball to create a filesystem image
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "list")]
    change: Vec<String>,
    /// Set commit message for imported image
    #[arg(short, long, value_name = "string")]
    message: Option<String>,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// A file, or - for standard input
    #[arg(value_name = "file|-")]
    source: String,
    /// The name to give
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// Sends a tarball and prints the new image's id.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    if arguments.source.contains("://") {
        return Err(Error::usage(
            "an image is imported from a file or standard input, not from a URL: fetch it first",
        ));
    }
    let path = Some(Path::new(&arguments.source)).filter(|path| *path != Path::new("-"));
    let archive = archive::read(&session.console, path).await?;
    let mut request = Request::post("/images/create")
        .query("fromSrc", "-")
        .maybe("message", arguments.message.as_deref())
        .maybe("platform", arguments.platform.as_deref());
    if let Some(name) = &arguments.name {
        request = named(request, name);
    }
    for change in &arguments.change {
        request = request.query("changes", change.as_str());
    }
    let stream = session
        .client()
        .await?
        .stream(request.archive(archive))
        .await?;
    progress::show(&session.console, stream, false, progress::To::Stdout).await
}

/// Splits a name for the API; a colon before a slash belongs to the registry's port.
pub(crate) fn named(request: Request, name: &str) -> Request {
    match name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((repo, tag)) => request.query("repo", repo).query("tag", tag),
        None => request.query("repo", name),
    }
}
