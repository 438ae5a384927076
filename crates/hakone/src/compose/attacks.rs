//! Lends networks and containers to the self-test.

use std::net::{Ipv4Addr, Ipv6Addr};

use hakone_attack::{BoxFuture, LABEL, Range, Refusal, Stand, Wish};
use hakone_base::Fault;
use hakone_container::{CreateRequest, ListOptions, RemoveOptions};
use hakone_engine_api::Filters;
use hakone_network::NetworkSpec;
use serde_json::{Value, json};
use tracing::warn;

use super::refused::Refused;

/// Networks and containers as the self-test sees them.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) networks: hakone_network::Service,
    pub(crate) containers: hakone_container::Service,
}

impl Range for Joined {
    fn network<'a>(&'a self, wish: &'a Wish) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let request = json!({
                "Name": wish.name,
                "Internal": wish.internal,
                "EnableIPv6": true,
                "IPAM": { "Config": [{ "Subnet": wish.subnet6.to_string() }] },
                "Labels": { LABEL: "" },
                "Options": {
                    "com.docker.network.bridge.name": wish.bridge.to_string(),
                    "com.docker.network.bridge.enable_icc": wish.icc.to_string(),
                },
            });
            let request: hakone_engine_api::wire::NetworkCreateRequest = parsed(request)?;
            let spec = NetworkSpec::try_from(request).map_err(boxed)?;
            self.networks.create(spec).await.map(drop).map_err(boxed)
        })
    }

    fn container<'a>(
        &'a self,
        name: &'a str,
        network: &'a str,
    ) -> BoxFuture<'a, Result<Stand, Refusal>> {
        Box::pin(async move {
            let body = json!({
                "Image": "hakone/hello",
                "Cmd": ["/hello", "serve", "80"],
                "Labels": { LABEL: "" },
                "HostConfig": { "NetworkMode": network, "LogConfig": { "Type": "none" } },
            });
            let request = CreateRequest {
                name: Some(name.to_owned()),
                body: parsed(body)?,
                engine: true,
                ..CreateRequest::default()
            };
            let created = self.containers.create(request).await.map_err(boxed)?;
            let id = created.id.as_str();
            self.containers.start(id).await.map_err(boxed)?;
            let shown = self.containers.inspect(id, false).await.map_err(boxed)?;
            let gateways = self.gateways(network);
            stand(&shown, network, gateways)
                .ok_or_else(|| refusal("a container without an address"))
        })
    }

    fn clear(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let filters = Filters::parse_any(&json!({ "label": [LABEL] }).to_string());
            let filters = filters.unwrap_or_default();
            self.remove_containers(filters.clone()).await;
            let networks = self.networks.list(&filters).unwrap_or_default();
            for id in networks.into_iter().filter_map(|network| network.id) {
                let removed = self.networks.remove(&id).await;
                complain(&id, removed.err());
            }
        })
    }
}

/// What is not removed now is removed by the next self-test, or when the daemon starts again.
fn complain(id: &str, error: Option<impl std::fmt::Display>) {
    if let Some(error) = error {
        warn!(id, %error, "something of the self-test was not removed");
    }
}

impl Joined {
    async fn remove_containers(&self, filters: Filters) {
        let options = ListOptions {
            all: true,
            filters,
            ..ListOptions::default()
        };
        let listed = self.containers.list(options).await.unwrap_or_default();
        for id in listed.iter().map(|one| one.id.as_str()) {
            let options = RemoveOptions {
                force: true,
                ..RemoveOptions::default()
            };
            let removed = self.containers.remove(id, options).await;
            complain(id, removed.err());
        }
    }

    /// The bridge's own addresses, which inspect shows also where nothing leads out.
    fn gateways(&self, network: &str) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
        let shown = self.networks.inspect(network).ok();
        let shown = shown.and_then(|shown| serde_json::to_value(shown).ok());
        let shown = shown.unwrap_or_default();
        let configs = shown.pointer("/IPAM/Config").and_then(Value::as_array);
        let gateways = configs.into_iter().flatten().filter_map(|config| {
            let text = config.get("Gateway")?.as_str()?;
            text.split('/').next().map(str::to_owned)
        });
        let gateways: Vec<String> = gateways.collect();
        let v4 = gateways.iter().find_map(|text| text.parse().ok());
        let v6 = gateways.iter().find_map(|text| text.parse().ok());
        (v4, v6)
    }
}

fn stand(
    shown: &Value,
    network: &str,
    (gateway4, gateway6): (Option<Ipv4Addr>, Option<Ipv6Addr>),
) -> Option<Stand> {
    let endpoint = shown.pointer("/NetworkSettings/Networks")?.get(network)?;
    let text = |key: &str| {
        endpoint
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let process = shown.pointer("/State/Pid")?.as_i64()?;
    Some(Stand {
        process: i32::try_from(process).ok()?,
        mac: text("MacAddress").parse().ok()?,
        v4: text("IPAddress").parse().ok()?,
        v6: text("GlobalIPv6Address").parse().ok(),
        gateway4: gateway4?,
        gateway6,
    })
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| refusal(&error.to_string()))
}

fn refusal(message: &str) -> Refusal {
    Box::new(Refused(message.to_owned()))
}

fn boxed<F: Fault + Send + Sync + 'static>(fault: F) -> Refusal {
    Box::new(fault)
}
