//! Which other objects a container's configuration names. The surface looks them up before the verdict.

use std::collections::BTreeSet;

use serde_json::Value;

/// Names, as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Containers.
    pub containers: BTreeSet<String>,
    /// Volumes.
    pub volumes: BTreeSet<String>,
    /// Networks.
    pub networks: BTreeSet<String>,
}

impl References {
    /// Finds those of a create request.
    #[must_use]
    pub fn of_create(body: &Value) -> Self {
        let mut found = body
            .get("HostConfig")
            .map(Self::of_host)
            .unwrap_or_default();
        let endpoints = body.pointer("/NetworkingConfig/EndpointsConfig");
        let names = endpoints.and_then(Value::as_object).into_iter().flatten();
        found.networks.extend(names.map(|(name, _)| name.clone()));
        found
    }

    /// Finds those of a `HostConfig`.
    #[must_use]
    pub fn of_host(host: &Value) -> Self {
        let mut found = Self::default();
        let text = |key: &str| host.get(key).and_then(Value::as_str).unwrap_or_default();
        for mode in ["PidMode", "IpcMode", "NetworkMode"] {
            found
                .containers
                .extend(joined(text(mode)).map(str::to_owned));
        }
        let mode = text("NetworkMode");
        if is_network(mode) {
            found.networks.insert(mode.to_owned());
        }
        for key in ["VolumesFrom", "Links"] {
            let names = strings(host.get(key)).map(first);
            found.containers.extend(names.map(str::to_owned));
        }
        let binds = strings(host.get("Binds")).filter(|bind| bind.contains(':'));
        found.volumes.extend(binds.map(first).map(str::to_owned));
        found.volumes.extend(mounted(host).map(str::to_owned));
        found
    }
}

/// Gives the names of volumes in `Mounts`.
fn mounted(host: &Value) -> impl Iterator<Item = &str> {
    let mounts = host.get("Mounts").and_then(Value::as_array);
    mounts.into_iter().flatten().filter_map(|mount| {
        let is_volume = mount.get("Type").and_then(Value::as_str) == Some("volume");
        let source = mount.get("Source").and_then(Value::as_str)?;
        (is_volume && !source.is_empty()).then_some(source)
    })
}

/// Gives the container of `container:NAME`.
pub(crate) fn joined(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:")
}

/// Reports whether a network mode is the name of a network.
pub(crate) fn is_network(mode: &str) -> bool {
    !matches!(mode, "" | "default" | "bridge" | "none" | "host") && joined(mode).is_none()
}

/// Gives what stands before the first colon.
pub(crate) fn first(text: &str) -> &str {
    text.split(':').next().unwrap_or_default()
}

/// Gives the texts of a list.
pub(crate) fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_names_another_object_is_found() {
        let found = References::of_create(&json!({
            "HostConfig": {
                "PidMode": "container:a", "IpcMode": "container:b", "NetworkMode": "red",
                "VolumesFrom": ["c:ro"], "Links": ["d:alias"], "Binds": ["v:/x", "/anonymous"],
                "Mounts": [{"Type": "volume", "Source": "w"}, {"Type": "tmpfs"}],
            },
            "NetworkingConfig": {"EndpointsConfig": {"blue": {}}},
        }));
        let words = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&found.containers), "a b c d");
        assert_eq!(words(&found.networks), "blue red");
        assert_eq!(words(&found.volumes), "v w");
    }
}
