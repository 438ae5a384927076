//! Networks: from the request's words to the service's, and back.

use hakone_engine_api::wire;
use hakone_network::NetworkSpec;
use hyper::StatusCode;
use serde_json::json;

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

const LIST_KEYS: &[&str] = &["dangling", "driver", "id", "label", "name", "scope", "type"];
const PRUNE_KEYS: &[&str] = &["label", "label!", "until"];

pub(crate) async fn list(services: &Services, call: Call) -> Reply {
    reply::json(&answer(services.networks.list(&call.filters(LIST_KEYS)?))?)
}

pub(crate) async fn inspect(services: &Services, id: &str, call: Call) -> Reply {
    if call.text("scope").is_some_and(|scope| scope != "local") {
        return Err(Error::Service {
            kind: hakone_base::Kind::NotFound,
            message: format!("network {id} not found"),
        });
    }
    reply::json(&answer(services.networks.inspect(id))?)
}

pub(crate) async fn create(services: &Services, call: Call) -> Reply {
    let request: wire::NetworkCreateRequest = call.json().await?;
    let spec = answer(NetworkSpec::try_from(request))?;
    let id = answer(services.networks.create(spec).await)?;
    reply::json_with(
        StatusCode::CREATED,
        &json!({ "Id": id.as_str(), "Warning": "" }),
    )
}

/// Goes through the container service, as a container that does not run is connected at its next start.
pub(crate) async fn connect(services: &Services, id: &str, call: Call) -> Reply {
    let request: wire::NetworkConnectRequest = call.json().await?;
    let settings = request.endpoint_config.unwrap_or_default();
    let connected = services
        .containers
        .connect_network(&request.container, id, settings)
        .await;
    connected.map_err(|error| Error::service(&error))?;
    Ok(reply::empty(StatusCode::OK))
}

pub(crate) async fn disconnect(services: &Services, id: &str, call: Call) -> Reply {
    let request: wire::NetworkDisconnectRequest = call.json().await?;
    let force = request.force.unwrap_or_default();
    let done = services
        .containers
        .disconnect_network(&request.container, id, force)
        .await;
    done.map_err(|error| Error::service(&error))?;
    Ok(reply::empty(StatusCode::OK))
}

pub(crate) async fn remove(services: &Services, id: &str) -> Reply {
    answer(services.networks.remove(id).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn prune(services: &Services, call: Call) -> Reply {
    let names = answer(services.networks.prune(&call.filters(PRUNE_KEYS)?).await)?;
    let deleted = (!names.is_empty()).then_some(names);
    reply::json(&json!({ "NetworksDeleted": deleted }))
}

fn answer<T>(result: Result<T, hakone_network::Error>) -> Result<T, Error> {
    result.map_err(|error| Error::service(&error))
}
