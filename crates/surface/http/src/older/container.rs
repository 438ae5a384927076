//! A container as older clients know it: on networks that somebody made, its short id and its host name stand among its aliases
//! up to 1.44, and among its names later.

use hakone_base::ApiVersion;
use hakone_container::Entry;
use serde_json::{Value, json};

/// Networks whose members have no aliases.
const BUILT_IN: [&str; 4] = ["bridge", "default", "host", "none"];
/// Digits of a short id.
const SHORT: usize = 12;

/// The version that first told which manifest a container was made of.
const MANIFEST: ApiVersion = ApiVersion::new(1, 48);

/// Fits a list of containers to a version.
pub(crate) fn listed(version: ApiVersion, list: &mut [Entry]) {
    if version < MANIFEST {
        let all = list.iter_mut();
        all.for_each(|container| container.image_manifest_descriptor = None);
    }
}

/// Fits a container to a version.
pub(crate) fn container(version: ApiVersion, mut shown: Value) -> Value {
    if version < MANIFEST
        && let Some(fields) = shown.as_object_mut()
    {
        fields.remove("ImageManifestDescriptor");
    }
    if version < ApiVersion::new(1, 45) {
        let id = shown.get("Id").and_then(Value::as_str).unwrap_or_default();
        let short = id.get(..SHORT).unwrap_or(id).to_owned();
        let host_name = shown.pointer("/Config/Hostname").and_then(Value::as_str);
        let names = [short, host_name.unwrap_or_default().to_owned()];
        add_aliases(&mut shown, &names);
    }
    shown
}

fn add_aliases(shown: &mut Value, names: &[String]) {
    let networks = shown.pointer_mut("/NetworkSettings/Networks");
    let networks = networks.and_then(Value::as_object_mut);
    for (name, endpoint) in networks.into_iter().flatten() {
        let made = !BUILT_IN.contains(&name.as_str()) && !name.starts_with("container:");
        if let Some(endpoint) = endpoint.as_object_mut().filter(|_| made) {
            let known = endpoint.get("Aliases").and_then(Value::as_array).cloned();
            let aliases = with(known.unwrap_or_default(), names);
            endpoint.insert("Aliases".to_owned(), json!(aliases));
        }
    }
}

fn with(mut aliases: Vec<Value>, names: &[String]) -> Vec<Value> {
    for name in names.iter().filter(|name| !name.is_empty()) {
        if !aliases.iter().any(|alias| alias == name) {
            aliases.push(json!(name));
        }
    }
    aliases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_is_an_alias_for_older_clients_on_networks_that_were_made() {
        let shown = || {
            json!({
                "Id": "0123456789abcdef", "Config": {"Hostname": "box"},
                "NetworkSettings": {"Networks": {"bridge": {"Aliases": null}, "red": {"Aliases": ["web"]}}},
            })
        };
        assert_eq!(container(ApiVersion::new(1, 45), shown()), shown());
        let old = container(ApiVersion::new(1, 44), shown());
        let networks = &old["NetworkSettings"]["Networks"];
        assert_eq!(
            networks["red"]["Aliases"],
            json!(["web", "0123456789ab", "box"])
        );
        assert_eq!(networks["bridge"]["Aliases"], Value::Null);
    }
}
