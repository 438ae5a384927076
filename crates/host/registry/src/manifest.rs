//! Manifests and tags: small documents, read whole, checked against every digest that anybody named.

use bytes::Bytes;
use hakone_base::Digest;
use hakone_registry_model::{Tags, next_page};
use hyper::{
    Method,
    header::{ACCEPT, LINK},
};

use crate::{
    Error, Session,
    exchange::{Request, Response},
};

/// Bytes of a manifest, as of all documents of images.
const MANIFEST: u64 = 4 << 20;
/// Pages of tags that are read.
const PAGES: usize = 1000;
/// Tags of a repository.
const TAGS: usize = 100_000;
/// What we understand; asked for each on a line of its own, as some registries read the first line alone.
const KINDS: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

/// Which manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The one that a tag means now.
    Tag(String),
    /// The one with this digest.
    Digest(Digest),
}

impl Reference {
    fn text(&self) -> &str {
        match self {
            Self::Tag(tag) => tag,
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

/// A manifest or an index, its digest verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What the registry says it is.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Bytes,
}

impl Session {
    /// Asks which digest a reference means; nothing when the registry does not tell without the whole document.
    ///
    /// # Errors
    /// When there is no such manifest, or the registry refuses.
    pub async fn probe(
        &self,
        repository: &str,
        reference: &Reference,
    ) -> Result<Option<Digest>, Error> {
        let request = self.ask(Method::HEAD, repository, reference)?;
        let response = self.send(request).await?.success().await?;
        Ok(announced(&response))
    }

    /// Fetches a manifest or an index.
    ///
    /// # Errors
    /// When there is none, it is too large, or its digest is not the one that was asked for or announced.
    pub async fn manifest(&self, repository: &str, reference: &Reference) -> Result<Found, Error> {
        let request = self.ask(Method::GET, repository, reference)?;
        let response = self.send(request).await?.success().await?;
        let media_type = response.header("content-type").unwrap_or_default();
        let media_type = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        let announced = announced(&response);
        let bytes = response.collect("manifest", MANIFEST).await?;
        let digest = Digest::of(&bytes);
        let wanted = match reference {
            Reference::Digest(wanted) => Some(wanted),
            Reference::Tag(_) => None,
        };
        for wanted in wanted.into_iter().chain(&announced) {
            if *wanted != digest {
                return Err(Error::Digest {
                    what: "manifest",
                    wanted: wanted.clone(),
                });
            }
        }
        Ok(Found {
            media_type,
            digest,
            bytes,
        })
    }

    /// Stores a manifest and gives the digest that the registry has it under.
    ///
    /// # Errors
    /// When the registry refuses, or says that it has something else.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &Reference,
        (media_type, bytes): (&str, Bytes),
    ) -> Result<(), Error> {
        let digest = Digest::of(&bytes);
        let url = self.at(&format!("{repository}/manifests/{}", reference.text()))?;
        let request = Request::new(Method::PUT, url).content(media_type, bytes);
        let response = self.send(request).await?.success().await?;
        match announced(&response) {
            Some(stored) if stored != digest => Err(Error::Digest {
                what: "manifest",
                wanted: digest,
            }),
            _ => Ok(()),
        }
    }

    /// Lists the tags of a repository, page by page.
    ///
    /// # Errors
    /// When the registry refuses or its list does not end.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        let mut next = Some(self.at(&format!("{repository}/tags/list"))?);
        let mut tags = Vec::new();
        for _ in 0..PAGES {
            let Some(url) = next else {
                return Ok(tags);
            };
            let response = self.send(Request::get(url)).await?.success().await?;
            let link = response
                .headers
                .get(LINK)
                .and_then(|link| link.to_str().ok());
            next = match link.and_then(next_page) {
                Some(path) => Some(response.url.join(path)?),
                None => None,
            };
            let body = response.collect("list of tags", MANIFEST).await?;
            tags.extend(Tags::parse(&body).map_err(|error| self.answer(error.to_string()))?);
            if tags.len() > TAGS {
                break;
            }
        }
        Err(self.answer("the list of tags does not end".to_owned()))
    }

    pub(crate) fn answer(&self, what: String) -> Error {
        Error::Answer {
            target: self.base().authority(),
            what,
        }
    }

    fn ask(
        &self,
        method: Method,
        repository: &str,
        reference: &Reference,
    ) -> Result<Request, Error> {
        let url = self.at(&format!("{repository}/manifests/{}", reference.text()))?;
        let request = Request::new(method, url);
        Ok(KINDS
            .iter()
            .fold(request, |request, kind| request.header(ACCEPT, kind)))
    }
}

/// The digest that an answer names; one of another algorithm says nothing to us.
fn announced(response: &Response) -> Option<Digest> {
    response.header("docker-content-digest")?.parse().ok()
}
