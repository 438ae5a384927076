//! The verbs of registries, and the passwords that docker keeps for them.

pub mod config;
pub mod helper;
pub mod login;
pub mod logout;
pub mod search;

use hakone_base::ImageRef;
use hakone_client::{Error, Request, Session};

use config::{Auth, Config, Kept};

/// Adds what the user has for the registry of an image.
pub(crate) async fn authorize(
    session: &Session,
    request: Request,
    image: &str,
) -> Result<Request, Error> {
    let domain = image
        .parse::<ImageRef>()
        .map(|image| image.domain().to_owned());
    let auth = match domain {
        Ok(domain) => credentials(session, &config::key(&domain)).await?,
        Err(_) => Auth::default(),
    };
    Ok(request.registry_auth(auth.header()))
}

/// Finds what the user has for a server; nothing when that is nothing.
pub(crate) async fn credentials(session: &Session, server: &str) -> Result<Auth, Error> {
    let config = Config::load(session.around())?;
    match config.kept(server) {
        Kept::File(auth) => Ok(auth),
        Kept::Helper(name) => Ok(helper::get(&name, server).await?.unwrap_or_default()),
    }
}
