//! Collects what is known of the objects that a request names, and of those that these name in turn.
//!
//! Bounded: a request that names hundreds of objects is not judged but refused.

use std::collections::BTreeMap;

use hakone_authorize::{
    Bounds, ContainerFacts, Denial, Facts, NetworkFacts, References, VolumeFacts,
};
use serde_json::Value;

use crate::Services;

/// How many objects one request may name, through others too.
const MOST: usize = 128;

/// Looks everything up; what is not found stays out.
pub(super) async fn collect(services: &Services, wanted: References) -> Result<Facts, Denial> {
    let defaults = services.containers.defaults();
    let mut facts = Facts {
        bounds: Bounds {
            pids: defaults.pids,
            memory: defaults.memory,
            storage: defaults.storage,
        },
        default_runtime: services.about.default_runtime.clone(),
        default_log_driver: services.about.log_driver.clone(),
        default_cgroupns: match services.about.cgroup_version {
            "1" => "host".to_owned(),
            _ => "private".to_owned(),
        },
        ..Facts::default()
    };
    let mut open = vec![wanted];
    let mut looked = 0_usize;
    while let Some(next) = open.pop() {
        looked += next.containers.len() + next.volumes.len() + next.networks.len();
        if looked > MOST {
            return Err(Denial::Unclear("it names too many objects".to_owned()));
        }
        for name in next.containers {
            if facts.containers.contains_key(&name) {
                continue;
            }
            if let Some(found) = container(services, &name).await {
                open.push(further(&found));
                facts.containers.insert(name, found);
            }
        }
        for name in next.volumes {
            let found = volume(services, &name).await;
            facts.volumes.extend(found.map(|found| (name, found)));
        }
        for name in next.networks {
            let found = network(services, &name);
            facts.networks.extend(found.map(|found| (name, found)));
        }
    }
    Ok(facts)
}

/// What an existing container names.
fn further(container: &ContainerFacts) -> References {
    let mut references = References::of_host(&container.host);
    let volumes = container.mounts.iter().filter(|(kind, _)| kind == "volume");
    references
        .volumes
        .extend(volumes.map(|(_, name)| name.clone()));
    references
}

async fn container(services: &Services, name: &str) -> Option<ContainerFacts> {
    let id = services.containers.lookup(name).ok()?;
    let shown = services.containers.inspect(id.as_str(), false).await.ok()?;
    let mounts = shown.get("Mounts").and_then(Value::as_array);
    Some(ContainerFacts {
        id: id.as_str().to_owned(),
        labels: labels(shown.pointer("/Config/Labels")),
        host: shown.get("HostConfig").cloned().unwrap_or_default(),
        mounts: mounts.into_iter().flatten().map(mount).collect(),
    })
}

/// Gives a mount's kind, and the name of a volume or the source of anything else.
fn mount(shown: &Value) -> (String, String) {
    let text = |key: &str| shown.get(key).and_then(Value::as_str);
    let source = text("Name").or_else(|| text("Source"));
    (
        text("Type").unwrap_or_default().to_owned(),
        source.unwrap_or_default().to_owned(),
    )
}

fn labels(shown: Option<&Value>) -> BTreeMap<String, String> {
    let pairs = shown.and_then(Value::as_object).into_iter().flatten();
    pairs
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Also of a plugin's volume that nobody made here: its use would take it in.
async fn volume(services: &Services, name: &str) -> Option<VolumeFacts> {
    let found = services.volumes.find(name).await.ok()?;
    Some(VolumeFacts {
        driver: found.driver,
        labels: found.labels.into_iter().collect(),
        options: found.options.into_iter().collect(),
    })
}

fn network(services: &Services, name: &str) -> Option<NetworkFacts> {
    let found = services.networks.inspect(name).ok()?;
    Some(NetworkFacts {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default(),
        driver: found.driver.unwrap_or_default(),
        labels: found.labels.unwrap_or_default().into_iter().collect(),
        options: found.options.unwrap_or_default().into_iter().collect(),
    })
}
