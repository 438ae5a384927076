//! The verbs of registries, and the passwords that docker keeps for them.

pub mod config;
pub mod helper;
pub mod login;
pub mod logout;
pub mod search;

use std::collections::BTreeSet;

use data_encoding::BASE64URL;
use hakone_base::ImageRef;
use hakone_client::{Error, Request, Session};

use config::{Auth, Config, Kept};

/// Adds what the user has for the registry of an image.
pub async fn authorize(session: &Session, request: Request, image: &str) -> Result<Request, Error> {
    let domain = image
        .parse::<ImageRef>()
        .map(|image| image.domain().to_owned());
    let auth = match domain {
        Ok(domain) => credentials(session, &config::key(&domain)).await?,
        Err(_) => Auth::default(),
    };
    Ok(request.registry_auth(auth.header()))
}

/// Gives the header that tells a build who the user is: at these registries, or at all that the user has something for.
///
/// # Errors
/// When the file or a helper cannot be read.
pub async fn several(
    session: &Session,
    domains: Option<&BTreeSet<String>>,
) -> Result<String, Error> {
    let servers: BTreeSet<String> = match domains {
        Some(domains) => domains.iter().map(|domain| config::key(domain)).collect(),
        None => Config::load(session.around())?.servers(),
    };
    let mut known = serde_json::Map::new();
    for server in servers {
        let auth = credentials(session, &server).await?;
        if auth != Auth::default() {
            known.insert(server, auth.json());
        }
    }
    Ok(BASE64URL.encode(serde_json::Value::from(known).to_string().as_bytes()))
}

/// Finds what the user has for a server; nothing when that is nothing.
pub(crate) async fn credentials(session: &Session, server: &str) -> Result<Auth, Error> {
    let config = Config::load(session.around())?;
    match config.kept(server) {
        Kept::File(auth) => Ok(auth),
        Kept::Helper(name) => Ok(helper::get(&name, server).await?.unwrap_or_default()),
    }
}
