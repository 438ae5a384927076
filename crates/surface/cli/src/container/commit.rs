//! `hakone commit`.

use clap::{ArgAction, Args};
use hakone_base::ImageRef;
use hakone_client::{Error, Request, Session};
use hakone_engine_api::wire::IdResponse;

/// Create a new image from a container's changes
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
    #[arg(short, long, value_name = "string", default_value = "")]
    author: String,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "list")]
    change: Vec<String>,
    /// Commit message
    #[arg(short, long, value_name = "string", default_value = "")]
    message: String,
    /// Pause container during commit
    #[arg(short, long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pause: bool,
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The image's name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// Makes an image and prints its id.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let parse = |name: &String| name.parse::<ImageRef>();
    let name = arguments.name.as_ref().map(parse).transpose();
    let name = name.map_err(|error| Error::usage(error.to_string()))?;
    let name = name.map(ImageRef::with_default_tag);
    let repository = name
        .as_ref()
        .map(|name| format!("{}/{}", name.domain(), name.path()));
    let tag = name.as_ref().and_then(ImageRef::tag).unwrap_or_default();
    // Docker names them all, empty or not.
    let request = Request::post("/commit")
        .query("container", arguments.container.as_str())
        .query("author", arguments.author.as_str())
        .query("comment", arguments.message.as_str())
        .query("repo", repository.unwrap_or_default())
        .query("tag", tag)
        .maybe("pause", (!arguments.pause).then_some("0"));
    let changes = arguments.change.iter();
    let request = changes.fold(request, |request, one| {
        request.query("changes", one.as_str())
    });
    let made: IdResponse = session.client().await?.json(request).await?;
    session.console.line(&made.id)
}
