//! Networks: from the request's words to the service's, and back.

use hakone_base::{ApiVersion, Kind};
use hakone_engine_api::wire;
use hakone_network::NetworkSpec;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

const DANGLING: &str =
    "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")";
const LIST_KEYS: &[&str] = &["dangling", "driver", "id", "label", "name", "scope", "type"];
const PRUNE_KEYS: &[&str] = &["label", "label!", "until"];

pub(crate) async fn list(services: &Services, call: Call) -> Reply {
    let filters = call.filters(LIST_KEYS)?;
    filters
        .flag("dangling")
        .map_err(|_dangling| Error::parameter(DANGLING))?;
    let mut found = Vec::new();
    for network in answer(services.networks.list(&filters))? {
        found.push(entry(services, &call, network)?);
    }
    reply::json(&found)
}

/// Shows a network in a list: with its containers up to 1.27, later with an empty place for them.
fn entry(services: &Services, call: &Call, network: wire::Network) -> Result<Value, Error> {
    let id = network.id.clone().unwrap_or_default();
    if call.version < ApiVersion::new(1, 28)
        && let Ok(whole) = services.networks.inspect(&id)
    {
        return serde_json::to_value(whole).map_err(Error::Json);
    }
    let mut shown = serde_json::to_value(network).map_err(Error::Json)?;
    if let Some(shown) = shown.as_object_mut() {
        shown.entry("Containers").or_insert_with(|| json!({}));
    }
    Ok(shown)
}

pub(crate) async fn inspect(services: &Services, id: &str, call: Call) -> Reply {
    if let Some(text) = call.text("verbose").filter(|text| !is_truth(text)) {
        return Err(Error::parameter(format!(
            "invalid value for verbose: {text}: strconv.ParseBool: parsing {text:?}: invalid syntax"
        )));
    }
    if call.text("scope").is_some_and(|scope| scope != "local") {
        return Err(Error::Service {
            kind: Kind::NotFound,
            message: format!("network {id} not found"),
        });
    }
    reply::json(&answer(services.networks.inspect(id))?)
}

pub(crate) async fn create(services: &Services, call: Call) -> Reply {
    let request: wire::NetworkCreateRequest = call.json_over("Name").await?;
    check(&request)?;
    let spec = answer(NetworkSpec::try_from(request).map_err(hakone_network::Error::from))?;
    let id = answer(services.networks.create(spec).await)?;
    reply::json_with(
        StatusCode::CREATED,
        &json!({ "Id": id.as_str(), "Warning": "" }),
    )
}

/// Refuses what is no network of this host's, before it would become one by being overlooked.
fn check(request: &wire::NetworkCreateRequest) -> Result<(), Error> {
    let forbidden = |message: &str| {
        Err(Error::Service {
            kind: Kind::Forbidden,
            message: message.to_owned(),
        })
    };
    if request.ingress == Some(true) {
        return forbidden("Ingress network can only be global scope network");
    }
    match request.scope.as_deref() {
        None | Some("" | "local") => Ok(()),
        Some("swarm") => forbidden("cannot create a swarm scoped network when swarm is not active"),
        Some(other) => Err(Error::parameter(format!("invalid scope: {other:?}"))),
    }
}

fn is_truth(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "1", "t", "T", "true", "True", "TRUE", "0", "f", "F", "false", "False", "FALSE",
    ];
    WORDS.contains(&text)
}

/// Goes through the container service, as a container that does not run is connected at its next start.
pub(crate) async fn connect(services: &Services, id: &str, call: Call) -> Reply {
    let request: wire::NetworkConnectRequest = call.json_over("Container").await?;
    let settings = request.endpoint_config.unwrap_or_default();
    let connected = services
        .containers
        .connect_network(&request.container, id, settings)
        .await;
    connected.map_err(|error| Error::service(&error))?;
    Ok(reply::empty(StatusCode::OK))
}

pub(crate) async fn disconnect(services: &Services, id: &str, call: Call) -> Reply {
    let request: wire::NetworkDisconnectRequest = call.json_over("Container").await?;
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
