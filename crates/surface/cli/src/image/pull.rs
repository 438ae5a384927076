//! Fetches an image that `run` misses.

use hakone_base::ImageRef;
use hakone_client::{Error, Request, Session, output::progress};

/// Asks the daemon to fetch the image.
pub(crate) async fn run(session: &Session, image: &str, quiet: bool) -> Result<(), Error> {
    let named = with_tag(image);
    let (name, tag) = named.rsplit_once(':').unwrap_or((&named, "latest"));
    let request = Request::post("/images/create")
        .query("fromImage", name)
        .query("tag", tag);
    let stream = session.client().await?.stream(request).await?;
    progress::show(&session.console, stream, quiet, progress::To::Stderr).await
}

/// Says the name with its tag, as docker does in its messages.
pub(crate) fn with_tag(image: &str) -> String {
    match image.parse::<ImageRef>() {
        Ok(reference) => {
            let reference = reference.with_default_tag();
            match (reference.tag(), reference.digest()) {
                (_, Some(_)) | (None, None) => image.to_owned(),
                (Some(tag), None) => format!("{}:{tag}", reference.familiar_name()),
            }
        }
        Err(_) => image.to_owned(),
    }
}
