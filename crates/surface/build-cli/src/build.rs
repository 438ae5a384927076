//! `hakone build`: finds context and Dockerfile, sends them to the daemon's classic endpoint, shows what its builder says.
//!
//! The order of the steps stands here: where the context is (`source`), digests for its base images if asked (`pinned`),
//! the archive (`pack`), the request (`flags`), the lines of the answer (`show`), a hint when it failed (`hint`).

mod context;
mod flags;
mod hint;
mod pack;
mod pinned;
mod show;
mod source;

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use hakone_client::{Error, Session};
use hakone_dockerfile::{Base, Dockerfile, GlobalScope, Graph, Platforms};
use hakone_image_cli::registry;

use context::Body;
use show::Style;

/// Build an image from a Dockerfile
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    flags: flags::Flags,
    /// Name of the Dockerfile (default: PATH/Dockerfile; - for standard input)
    #[arg(short, long, value_name = "string")]
    file: Option<String>,
    /// Write the image ID to a file
    #[arg(long, value_name = "string")]
    iidfile: Option<PathBuf>,
    /// Write the digests of base images into the FROM lines of the Dockerfile, then build
    #[arg(long)]
    pin: bool,
    /// How progress is shown: auto, plain, tty, rawjson
    #[arg(long, value_name = "string", default_value = "auto")]
    progress: Style,
    /// Suppress the build output and print image ID on success
    #[arg(short, long)]
    quiet: bool,
    /// A folder, an archive or git repository by its URL, or - for an archive or Dockerfile on standard input
    #[arg(value_name = "PATH | URL | -")]
    context: String,
}

/// Builds, and ends as the step that failed.
///
/// # Errors
/// When the context cannot be read, or the build fails.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let source = source::find(session, &arguments.context, arguments.file.as_deref()).await?;
    let source = match arguments.pin {
        true => pinned::pin(session, source, arguments.flags.pull).await?,
        false => source,
    };
    if let Some(path) = &arguments.iidfile {
        forget(path)?;
    }
    let facts = hint::Facts::of(&source);
    let domains = source
        .dockerfile()
        .and_then(|text| domains(text, &arguments.flags));
    let auth = registry::several(session, domains.as_ref()).await?;
    let request = arguments.flags.request(session.around(), arguments.quiet)?;
    let request = request.registry_config(auth);
    let request = match context::body(&session.console, source)? {
        Body::Remote { url, dockerfile } => {
            request.query("remote", url).query("dockerfile", dockerfile)
        }
        Body::Archive { stream, dockerfile } => {
            request.query("dockerfile", dockerfile).archive(stream)
        }
    };
    let advise = |error: Error| {
        let hint = facts.hint(&error.to_string());
        error.advised(hint)
    };
    let stream = session.client().await?.stream(request).await;
    let style = (arguments.progress, arguments.quiet);
    let shown = show::show(&session.console, stream.map_err(advise)?, style).await;
    let done = match shown {
        Err(show::Failure { error, code }) => return failed(session, advise(error), code),
        Ok(done) => done,
    };
    match (&arguments.iidfile, done) {
        (Some(path), Some(id)) => {
            put(path, &id).map_err(Error::io(format!("write {}", path.display())))
        }
        (Some(_), None) => Err(Error::Reply("the build told no image".to_owned())),
        (None, _) => Ok(()),
    }
}

/// Writes a text; who made it can make it again.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::File::create(path)?.write_all(text.as_bytes())
}

/// An old answer is none to this question.
fn forget(path: &PathBuf) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()))(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The program of a step that failed gives the code, as with docker.
fn failed(session: &Session, error: Error, code: Option<i64>) -> Result<(), Error> {
    let Some(code) = code.and_then(|code| u8::try_from(code).ok()) else {
        return Err(error);
    };
    session.console.complain(&error);
    Err(Error::Exit(code))
}

/// Lists the registries that a build of this text asks; none when the text does not tell.
fn domains(text: &[u8], flags: &flags::Flags) -> Option<BTreeSet<String>> {
    let file = Dockerfile::parse(text).ok()?;
    let global = GlobalScope::new(&file, &flags.given(), &Platforms::default()).ok()?;
    let graph = Graph::new(&file, &global).ok()?;
    let mut images = BTreeSet::new();
    for stage in &file.stages {
        let resolved = graph.stage(stage.index)?;
        images.extend(resolved.images.iter().cloned());
        if let Base::Image(image) = &resolved.base {
            images.insert(image.clone());
        }
    }
    let domain = |image: &String| {
        Some(
            image
                .parse::<hakone_base::ImageRef>()
                .ok()?
                .domain()
                .to_owned(),
        )
    };
    Some(images.iter().filter_map(domain).collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn passwords_go_to_the_registries_that_the_file_names_alone() {
        let line = Line::parse_from(["build", "--build-arg", "BASE=b.example/x", "."]);
        let text = b"ARG BASE\nFROM $BASE AS one\nFROM one\nCOPY --from=c.example:5000/y / /\nFROM debian\n";
        let found = domains(text, &line.arguments.flags).unwrap();
        let wanted = ["b.example", "c.example:5000", "docker.io"];
        assert_eq!(found, wanted.map(str::to_owned).into());
        assert_eq!(domains(b"RUN no stage", &line.arguments.flags), None);
    }
}
