//! What takes up the disk.
//!
//! On a socket that a label bounds, the answer holds what its lists hold: containers and volumes of the label. Images everybody sees, but
//! which containers use them is told of those of the label alone; the build cache, which tells what others build, is left out.

use hakone_authorize::Scope;
use hakone_container::Entry;
use hakone_engine_api::{Filters, wire};
use serde_json::json;

use crate::{
    Services,
    error::Error,
    older,
    reply::{self, Reply},
    request::Call,
};

/// What may be asked for.
const KINDS: [&str; 4] = ["image", "container", "volume", "build-cache"];

pub(crate) async fn disk_usage(services: &Services, call: &Call) -> Reply {
    let asked = call.all("type");
    if let Some(odd) = asked.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(Error::parameter(format!("unknown object type: {odd}")));
    }
    let wanted = |kind: &str| asked.is_empty() || asked.iter().any(|one| one == kind);
    let scope = call.scope();
    let filters = scope.map_or_else(|| Ok(Filters::default()), filters)?;
    let unasked = json!({
        "LayersSize": 0, "Images": null, "Containers": null, "Volumes": null, "BuildCache": null,
    });
    let mut usage = unasked.as_object().cloned().unwrap_or_default();
    if wanted("image") {
        usage.insert("LayersSize".into(), json!(services.images.layers_size()));
        let mut list = images(services)?;
        if scope.is_some() {
            let seen = containers(services, &filters, false).await?;
            let seen: Vec<String> = seen.into_iter().map(|one| one.image_id).collect();
            list.iter_mut().for_each(|image| recount(image, &seen));
        }
        let list = serde_json::to_value(list).map_err(Error::Json)?;
        usage.insert("Images".into(), older::images(call.version, list));
    }
    if wanted("container") {
        let mut list = containers(services, &filters, true).await?;
        older::listed(call.version, &mut list);
        usage.insert("Containers".into(), json!(list));
    }
    if wanted("volume") {
        let list = services.volumes.usage(filters).await;
        let list = list.map_err(|error| Error::service(&error))?;
        usage.insert("Volumes".into(), json!(list));
    }
    if wanted("build-cache") {
        let cache = match scope {
            Some(_) => json!([]),
            None => crate::build::cache(services).await,
        };
        usage.insert("BuildCache".into(), cache);
    }
    reply::json(&usage)
}

/// The filters that find what has the label.
fn filters(scope: &Scope) -> Result<Filters, Error> {
    let text = json!({ "label": [scope.filter()] }).to_string();
    Filters::parse(&text, &["label"]).map_err(|error| Error::parameter(error.to_string()))
}

async fn containers(
    services: &Services,
    filters: &Filters,
    size: bool,
) -> Result<Vec<Entry>, Error> {
    let options = hakone_container::ListOptions {
        all: true,
        size,
        filters: filters.clone(),
        ..Default::default()
    };
    let list = services.containers.list(options).await;
    list.map_err(|error| Error::service(&error))
}

fn images(services: &Services) -> Result<Vec<wire::ImageSummary>, Error> {
    let options = hakone_image::ListOptions {
        shared_size: true,
        containers: true,
        ..hakone_image::ListOptions::default()
    };
    let list = services.images.list(&options);
    list.map_err(|error| Error::service(&error))
}

/// Counts only the containers that may be seen, by the ids of their images.
fn recount(image: &mut wire::ImageSummary, seen: &[String]) {
    let of_it = seen.iter().filter(|id| **id == image.id);
    let count = of_it.count();
    image.containers = i64::try_from(count).unwrap_or(i64::MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_used_by_the_containers_that_may_be_seen() {
        let mut image = wire::ImageSummary {
            id: "sha256:a".into(),
            containers: 9,
            ..wire::ImageSummary::default()
        };
        let seen = ["sha256:a", "sha256:b", "sha256:a"].map(str::to_owned);
        recount(&mut image, &seen);
        assert_eq!(image.containers, 2);
    }

    #[test]
    fn a_label_finds_what_has_it() {
        let scope = Scope::parse("team=\"ci\"").unwrap();
        let found = filters(&scope).unwrap();
        assert!(found.labels(|key| (key == "team").then_some("\"ci\"")));
        assert!(!found.labels(|_| None));
    }
}
