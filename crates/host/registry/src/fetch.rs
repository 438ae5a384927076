//! Fetches a file that a Dockerfile names, with the judgement that registries are under.
//!
//! Who wrote the Dockerfile is a stranger as a registry is: what it names must be a public address, unless the administrator
//! allows more; a redirect is judged as the first address was, and never leads from TLS into the clear.

use std::{net::IpAddr, time::SystemTime};

use bytes::Bytes;
use hakone_registry_model::{Errand, Guard, Scheme, Security, Url};
use hyper::{
    StatusCode,
    header::{ACCEPT, LAST_MODIFIED, LOCATION},
};

use crate::{
    Client, Error,
    exchange::{Request, Response, Terms},
    name,
};

/// Redirects in a row.
const REDIRECTS: usize = 10;
/// Who is told to have sent us.
const SENDER: &str = "dockerfile";

/// A file on its way.
#[derive(Debug)]
pub struct Download(Response);

impl Client {
    /// Gives the addresses of a host that a stranger named, those alone that may be spoken to.
    ///
    /// # Errors
    /// When there are none, or a proxy would look the name up.
    pub async fn judged(&self, url: &Url) -> Result<Vec<IpAddr>, Error> {
        let unjudged = |reason: &str| Error::Lookup {
            host: url.host().to_owned(),
            reason: reason.to_owned(),
        };
        if self.0.settings.proxies.route(url).is_some() {
            return Err(unjudged(
                "a proxy stands before it, which nobody else than us uses",
            ));
        }
        let guard = self.stranger()?;
        let (mut judged, mut denied) = (Vec::new(), None);
        for address in name::lookup(url.host()).await? {
            match guard.may_connect(url, address, Errand::Redirect) {
                Ok(()) => judged.push(address),
                Err(error) => denied = denied.or(Some(error)),
            }
        }
        match (judged.is_empty(), denied) {
            (true, Some(denied)) => Err(denied.into()),
            (true, None) => Err(unjudged("no such host")),
            (false, _) => Ok(judged),
        }
    }

    /// Who wrote a Dockerfile may lead us to public addresses, and to what the administrator allows.
    fn stranger(&self) -> Result<Guard, Error> {
        Ok(Guard {
            registry: Url::new(Scheme::Http, SENDER, "/")?,
            at: None,
            allowed: self.0.settings.allowed.clone(),
        })
    }

    /// Asks for a file; nobody's credentials are shown.
    ///
    /// # Errors
    /// When the address may not be spoken to, or does not answer with a file.
    pub async fn download(&self, url: &Url) -> Result<Download, Error> {
        let guard = self.stranger()?;
        let terms = Terms {
            security: Security::Verified,
            errand: Errand::Redirect,
            guard: Some(&guard),
            authorization: None,
        };
        let mut at = url.clone();
        for _ in 0..REDIRECTS {
            let request = Request::get(at.clone()).header(ACCEPT, "*/*");
            let response = self.0.exchange(&request, None, terms).await?;
            if !response.status.is_redirection() {
                return judged(response);
            }
            let location = response.headers.get(LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            let next = at.join(location.unwrap_or_default())?;
            if at.scheme() == Scheme::Https && next.scheme() == Scheme::Http {
                return Err(Error::Answer {
                    target: at.authority(),
                    what: "a redirect from https into the clear".to_owned(),
                });
            }
            at = next;
        }
        Err(Error::Redirects(url.authority()))
    }
}

fn judged(response: Response) -> Result<Download, Error> {
    match response.status {
        status if status.is_success() && status != StatusCode::PARTIAL_CONTENT => {
            Ok(Download(response))
        }
        status => Err(Error::Answer {
            target: response.url.authority(),
            what: format!("response status {status}"),
        }),
    }
}

impl Download {
    /// Gives the next bytes; nothing after the last.
    ///
    /// # Errors
    /// When the answer breaks off or is too slow.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.0.chunk().await
    }

    /// Tells when the file was changed, as the server has it.
    #[must_use]
    pub fn changed(&self) -> Option<SystemTime> {
        let text = self.0.headers.get(LAST_MODIFIED)?.to_str().ok()?;
        httpdate::parse_http_date(text).ok()
    }

    /// Tells how many bytes are announced.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.0.length()
    }
}
