//! `hakone rmi`, also `image rm`.

use clap::Args;
use hakone_client::{Error, Request, Session, segment};
use hakone_engine_api::wire::ImageDeleteResponseItem;

/// Remove one or more images
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Force removal of the image
    #[arg(short, long)]
    force: bool,
    /// Do not delete untagged parents
    #[arg(long)]
    no_prune: bool,
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Removes images and says what became of each name and layer.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let mut failed = false;
    for image in &arguments.images {
        let request = Request::delete(format!("/images/{}", segment(image)))
            .flag("force", arguments.force)
            .flag("noprune", arguments.no_prune);
        match client.json::<Vec<ImageDeleteResponseItem>>(request).await {
            Ok(items) => items
                .iter()
                .flat_map(lines)
                .try_for_each(|line| session.console.line(&line))?,
            // With force, what is not there is as wanted; docker mentions it all the same.
            Err(error) => {
                failed |= !(arguments.force && error.is_not_found());
                session.console.complain(&error);
            }
        }
    }
    if failed { Err(Error::Exit(1)) } else { Ok(()) }
}

/// Says what became of one name or layer.
pub(crate) fn lines(item: &ImageDeleteResponseItem) -> Vec<String> {
    let untagged = item
        .untagged
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| format!("Untagged: {name}"));
    let deleted = item
        .deleted
        .iter()
        .filter(|id| !id.is_empty())
        .map(|id| format!("Deleted: {id}"));
    untagged.chain(deleted).collect()
}
