//! Looks for repositories: the old index's search, which Docker Hub still answers and few other registries have.

use hakone_registry_model::Endpoint;
use hyper::StatusCode;
use serde::Deserialize;

use crate::{Client, Error};

/// Bytes of an answer.
const ANSWER: u64 = 4 << 20;
/// Docker Hub's index.
const HUB: (&str, &str) = ("docker.io", "index.docker.io");

/// A repository that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    pub description: String,
    /// How many people like it.
    pub star_count: i64,
    /// Whether the registry answers for it.
    pub is_official: bool,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    results: Vec<SearchResult>,
}

impl Client {
    /// Searches a registry.
    ///
    /// # Errors
    /// When the registry has no search, or does not answer.
    pub async fn search(
        &self,
        domain: &str,
        term: &str,
        limit: u32,
    ) -> Result<Vec<SearchResult>, Error> {
        let host = if domain == HUB.0 { HUB.1 } else { domain };
        let endpoint: Endpoint = self.origin(host).await?;
        let url = endpoint.url.with_path("/v1/search")?;
        let url = url
            .with_parameter("q", term)
            .with_parameter("n", &limit.to_string());
        let response = self.reach(&endpoint, url.path()).await?;
        if response.status == StatusCode::NOT_FOUND {
            return Err(Error::Answer {
                target: domain.to_owned(),
                what: "this registry has no search (only Docker Hub and old registries have one)"
                    .to_owned(),
            });
        }
        let body = response
            .success()
            .await?
            .collect("search result", ANSWER)
            .await?;
        let page: Page = serde_json::from_slice(&body).map_err(|error| Error::Answer {
            target: domain.to_owned(),
            what: error.to_string(),
        })?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(page.results.into_iter().take(limit).collect())
    }
}
