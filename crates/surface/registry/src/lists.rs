//! `_catalog`, `tags/list`, `referrers`, and what `docker search` asks.

use bytes::Bytes;
use hakone_registry_service::api::{ContentDigest, Page, RepositoryName, listing};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::{
    dispatch::{Asked, Server},
    reply::{self, Reply},
};

/// Lists the repositories that the caller may read; the others are not even named.
pub(crate) fn catalog(server: &Server, asked: &Asked, page: &Page) -> Reply {
    let visible = |name: &RepositoryName| server.authority.may_see(&asked.identity, name);
    let found = server.registry.repositories(page, visible);
    let names: Vec<&str> = found.entries.iter().map(RepositoryName::as_str).collect();
    let response = reply::json(&json!({"repositories": names}));
    Ok(reply::linked(response, "/v2/_catalog", found.next))
}

/// Answers a search in the words of Docker's index.
pub(crate) fn search(server: &Server, asked: &Asked, (term, page): (&str, &Page)) -> Reply {
    let visible = |name: &RepositoryName| server.authority.may_see(&asked.identity, name);
    let found = server.registry.search(term, page, visible);
    let line = |one: &hakone_registry_service::Found| {
        let tags = if one.tags == 1 {
            "1 tag".to_owned()
        } else {
            format!("{} tags", one.tags)
        };
        json!({"name": one.name.as_str(), "description": tags, "star_count": 0, "is_official": false, "is_automated": false, "is_trusted": false})
    };
    let results: Vec<Value> = found.iter().map(line).collect();
    Ok(reply::json(&json!({
        "query": term,
        "num_results": results.len(),
        "page": 1,
        "num_pages": 1,
        "page_size": results.len(),
        "results": results,
    })))
}

/// Lists tags.
pub(crate) fn tags(server: &Server, (name, page): (&RepositoryName, &Page)) -> Reply {
    let found = server.registry.tags(name, page)?;
    let tags: Vec<&str> = found.entries.iter().map(|tag| tag.as_str()).collect();
    let response = reply::json(&json!({"name": name.as_str(), "tags": tags}));
    Ok(reply::linked(
        response,
        &format!("/v2/{name}/tags/list"),
        found.next,
    ))
}

/// Lists what is about a manifest.
pub(crate) async fn referrers(
    server: &Server,
    (name, digest): (&RepositoryName, &ContentDigest),
    (kind, page): (Option<&str>, &Page),
) -> Reply {
    let found = server
        .registry
        .referrers(name, digest, (kind, page))
        .await?;
    let body = Bytes::from(listing(&found.entries).to_string());
    let response = reply::bytes(
        StatusCode::OK,
        "application/vnd.oci.image.index.v1+json",
        body,
    );
    let mut path = format!("/v2/{name}/referrers/{digest}");
    let Some(kind) = kind else {
        return Ok(reply::linked(response, &path, found.next));
    };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("artifactType", kind)
        .finish();
    path.push('?');
    path.push_str(&query);
    let response = reply::linked(response, &path, found.next);
    Ok(reply::header(
        response,
        "oci-filters-applied",
        "artifactType",
    ))
}
