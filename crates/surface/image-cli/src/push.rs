//! `hakone push`.

use clap::Args;
use hakone_base::ImageRef;
use hakone_client::{Error, Request, Session, output::progress};

use super::path;
use crate::registry::authorize;

/// Upload an image to a registry
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Push all tags of an image to the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// The image
    #[arg(value_name = "NAME[:TAG]")]
    image: String,
}

/// Pushes an image, or all of a repository.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let refuse = |error: hakone_base::ImageRefError| Error::usage(error.to_string());
    let name: ImageRef = arguments.image.parse().map_err(refuse)?;
    let name = match (arguments.all_tags, name.tag()) {
        (true, Some(_)) => return Err(Error::usage("tag can't be used with --all-tags/-a")),
        (true, None) | (false, Some(_)) => name,
        (false, None) => {
            if !arguments.quiet {
                session.console.line("Using default tag: latest")?;
            }
            name.with_default_tag()
        }
    };
    let request = Request::post(path(&name.familiar_name(), "push")).maybe("tag", name.tag());
    let request = authorize(session, request, &arguments.image).await?;
    let stream = session.client().await?.stream(request).await?;
    let to = match arguments.quiet {
        true => progress::To::Stderr,
        false => progress::To::Stdout,
    };
    progress::show(&session.console, stream, arguments.quiet, to).await?;
    match arguments.quiet {
        true => session.console.line(&name.to_string()),
        false => Ok(()),
    }
}
