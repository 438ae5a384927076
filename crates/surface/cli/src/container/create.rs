//! `hakone create`.

use std::path::Path;

use clap::Args;
use hakone_client::{Error, Request, Session};
use hakone_engine_api::wire::ContainerCreateResponse;
use hakone_run_flags::{CreateFlags, Creation, create};

use hakone_image_cli::pull;

/// Create a new container
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) flags: CreateFlags,
}

/// Creates a container and prints its id.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let creation = create::parse(&arguments.flags, session.around())?;
    let id = make(session, &arguments.flags, &creation).await?;
    session.console.line(&id)
}

/// Creates a container, after fetching its image when that is missing and may be fetched.
pub(crate) async fn make(
    session: &Session,
    flags: &CreateFlags,
    creation: &Creation,
) -> Result<String, Error> {
    if let Some(path) = &flags.cidfile {
        refuse_present(path)?;
    }
    let image = creation.body.image.clone().unwrap_or_default();
    let fetch = flags
        .pull
        .as_deref()
        .filter(|policy| !policy.is_empty())
        .unwrap_or("missing");
    if fetch == "always" {
        pull::fetch(session, &image, flags.quiet).await?;
    }
    let created = match request(session, creation).await {
        Err(error)
            if error.is_not_found()
                && fetch == "missing"
                && error.to_string().contains("No such image") =>
        {
            session.console.note(&format!(
                "Unable to find image '{}' locally",
                pull::with_tag(&image)
            ));
            pull::fetch(session, &image, flags.quiet).await?;
            request(session, creation).await?
        }
        other => other?,
    };
    for warning in &created.warnings {
        session.console.note(&format!("WARNING: {warning}"));
    }
    if let Some(path) = &flags.cidfile {
        write_id(path, &created.id)?;
    }
    Ok(created.id)
}

async fn request(session: &Session, creation: &Creation) -> Result<ContainerCreateResponse, Error> {
    let request = Request::post("/containers/create")
        .maybe(
            "name",
            creation.name.as_deref().filter(|name| !name.is_empty()),
        )
        .maybe("platform", creation.platform.as_deref())
        .json(&creation.body);
    session.client().await?.json(request).await
}

fn refuse_present(path: &Path) -> Result<(), Error> {
    match path.exists() {
        true => Err(Error::usage(format!(
            "container ID file found, make sure the other container isn't running or delete {}",
            path.display()
        ))),
        false => Ok(()),
    }
}

/// Writes the id without a newline; a file that appeared meanwhile is not overwritten.
fn write_id(path: &Path, id: &str) -> Result<(), Error> {
    use std::io::Write as _;
    let what = format!("failed to create the container ID file {}", path.display());
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    file.and_then(|mut file| file.write_all(id.as_bytes()))
        .map_err(Error::io(what))
}
