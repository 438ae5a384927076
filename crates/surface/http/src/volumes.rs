//! Volumes: from the request's words to the service's, and back.

use hakone_base::ApiVersion;
use hakone_engine_api::wire;
use hakone_volume::VolumeSpec;
use hyper::StatusCode;
use serde_json::json;

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

/// A new key file for a volume.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Rotation {
    key_file: String,
}

pub(crate) async fn list(services: &Services, call: Call) -> Reply {
    let filters = call.filters(hakone_volume::Service::LIST_FILTERS)?;
    let (found, warnings) = answer(services.volumes.list_all(&filters).await)?;
    let warnings = (!warnings.is_empty()).then_some(warnings);
    reply::json(&json!({ "Volumes": found, "Warnings": warnings }))
}

pub(crate) async fn inspect(services: &Services, name: &str) -> Reply {
    let shown = answer(services.volumes.find(name).await)?;
    let mut shown = serde_json::to_value(shown).map_err(Error::Json)?;
    let told = services.volumes.told(name).await;
    if let (Some(told), Some(keys)) = (told, shown.as_object_mut())
        && !told.status.is_empty()
    {
        keys.insert("Status".to_owned(), json!(told.status));
    }
    reply::json(&shown)
}

pub(crate) async fn create(services: &Services, call: Call) -> Reply {
    let request: wire::VolumeCreateRequest = call.optional_json().await?.unwrap_or_default();
    let spec = VolumeSpec {
        name: request.name.filter(|name| !name.is_empty()),
        driver: request.driver.unwrap_or_default(),
        options: request
            .driver_opts
            .unwrap_or_default()
            .into_iter()
            .collect(),
        labels: request.labels.unwrap_or_default().into_iter().collect(),
    };
    reply::json_with(
        StatusCode::CREATED,
        &answer(services.volumes.create(spec).await)?,
    )
}

pub(crate) async fn remove(services: &Services, name: &str, call: Call) -> Reply {
    answer(services.volumes.remove(name, call.flag("force")).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// Wraps the key of an encrypted volume anew: the body names the new key file.
pub(crate) async fn rotate(services: &Services, name: &str, call: Call) -> Reply {
    let request: Rotation = call.json().await?;
    answer(services.volumes.rotate(name, &request.key_file).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn prune(services: &Services, call: Call) -> Reply {
    let mut filters = call.filters(hakone_volume::Service::PRUNE_FILTERS)?;
    // Until 1.41 a prune takes volumes with names along.
    if call.version < ApiVersion::new(1, 42) && !filters.has("all") {
        filters = filters.with("all", "true");
    }
    let pruned = answer(services.volumes.prune(filters).await)?;
    reply::json(&json!({ "VolumesDeleted": pruned.volumes, "SpaceReclaimed": pruned.reclaimed }))
}

fn answer<T>(result: Result<T, hakone_volume::Error>) -> Result<T, Error> {
    result.map_err(|error| Error::service(&error))
}
