//! `hakone tag`.

use clap::Args;
use hakone_base::ImageRef;
use hakone_client::{Error, Request, Session};

use super::path;

/// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The image
    #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
    source: String,
    /// The name to give
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    target: String,
}

/// Gives an image another name.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let target: ImageRef = arguments.target.parse().map_err(|error| {
        Error::usage(format!(
            "error parsing reference: {:?} is not a valid repository/tag: {error}",
            arguments.target
        ))
    })?;
    if target.digest().is_some() {
        return Err(Error::usage(
            "refusing to create a tag with a digest reference",
        ));
    }
    let target = target.with_default_tag();
    let request = Request::post(path(&arguments.source, "tag"))
        .query("repo", format!("{}/{}", target.domain(), target.path()))
        .maybe("tag", target.tag());
    session.client().await?.done(request).await
}
