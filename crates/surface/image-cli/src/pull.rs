//! `hakone pull`, and the fetching of an image that `run` misses.

use clap::Args;
use hakone_base::ImageRef;
use hakone_client::{Error, Request, Session, output::progress};

use crate::registry::authorize;

/// Download an image from a registry
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Download all tagged images in the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// The image
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    image: String,
}

/// Pulls an image, or all of a repository.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let name = parse(&arguments.image)?;
    let tagged = name.tag().is_some() || name.digest().is_some();
    if arguments.all_tags && tagged {
        return Err(Error::usage("tag can't be used with --all-tags/-a"));
    }
    if !arguments.all_tags && !tagged && !arguments.quiet {
        session.console.line("Using default tag: latest")?;
    }
    let wanted = match arguments.all_tags {
        true => name,
        false => name.with_default_tag(),
    };
    let request = request(&wanted).maybe("platform", arguments.platform.as_deref());
    let request = authorize(session, request, &arguments.image).await?;
    let stream = session.client().await?.stream(request).await?;
    let (quiet, to) = match arguments.quiet {
        true => (true, progress::To::Stderr),
        false => (false, progress::To::Stdout),
    };
    progress::show(&session.console, stream, quiet, to).await?;
    session.console.line(&whole(&wanted))
}

/// Asks the daemon to fetch the image that a container is to be made of.
pub async fn fetch(session: &Session, image: &str, quiet: bool) -> Result<(), Error> {
    let request = request(&parse(image)?.with_default_tag());
    let request = authorize(session, request, image).await?;
    let stream = session.client().await?.stream(request).await?;
    progress::show(&session.console, stream, quiet, progress::To::Stderr).await
}

fn parse(image: &str) -> Result<ImageRef, Error> {
    let refuse = |error: hakone_base::ImageRefError| Error::usage(error.to_string());
    image.parse().map_err(refuse)
}

fn request(name: &ImageRef) -> Request {
    let digest = name.digest().map(ToString::to_string);
    let tag = digest.or_else(|| name.tag().map(str::to_owned));
    Request::post("/images/create")
        .query("fromImage", name.familiar_name())
        .maybe("tag", tag)
}

/// Says the name in full, as docker does at the end.
fn whole(name: &ImageRef) -> String {
    let tag = name.tag().map(|tag| format!(":{tag}"));
    let digest = name.digest().map(|digest| format!("@{digest}"));
    let (tag, digest) = (tag.unwrap_or_default(), digest.unwrap_or_default());
    format!("{}/{}{tag}{digest}", name.domain(), name.path())
}

/// Says the name with its tag, as docker does in its messages.
#[must_use]
pub fn with_tag(image: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_by_tag_or_digest() {
        let target = |image: &str| request(&parse(image).unwrap().with_default_tag()).target();
        assert_eq!(
            target("debian"),
            "/images/create?fromImage=debian&tag=latest"
        );
        assert_eq!(
            target("h:5000/a/b:1"),
            "/images/create?fromImage=h%3A5000%2Fa%2Fb&tag=1"
        );
        let digest = hakone_base::Digest::of(b"");
        assert!(
            target(&format!("a:1@{digest}")).ends_with(&format!("tag=sha256%3A{}", digest.hex()))
        );
        assert_eq!(
            whole(&parse("debian:12").unwrap()),
            "docker.io/library/debian:12"
        );
    }
}
