//! The daemon's facts as each version of the API tells them: fields that came are left out, fields that went are put back.
//!
//! What went had lost its meaning before: commits of programs that are not there, registries that never get foreign layers, and
//! a switch of the kernel that no rule of ours asks for, told as on so that an old command line does not warn of it.

use hakone_base::ApiVersion;
use serde_json::{Map, Value, json};

/// Fits the facts to a version.
pub(crate) fn info(version: ApiVersion, facts: &mut Map<String, Value>) {
    let before = |minor| version < ApiVersion::new(1, minor);
    if before(50) {
        for key in ["BridgeNfIptables", "BridgeNfIp6tables"] {
            facts.insert(key.to_owned(), json!(before(48)));
        }
    }
    if before(49) {
        facts.remove("FirewallBackend");
        commits(facts);
        foreign_layers(facts);
    }
    if before(42) {
        let counted = facts.get("KernelMemoryTCP").cloned();
        facts.insert("KernelMemory".to_owned(), json!(counted));
    }
    if before(25) {
        facts.insert("ExecutionDriver".to_owned(), json!("<not supported>"));
        names_alone(facts);
    }
}

fn commits(facts: &mut Map<String, Value>) {
    for key in ["ContainerdCommit", "RuncCommit", "InitCommit"] {
        if let Some(commit) = facts.get_mut(key).and_then(Value::as_object_mut) {
            let known = commit.get("ID").cloned().unwrap_or_default();
            commit.insert("Expected".to_owned(), known);
        }
    }
}

fn foreign_layers(facts: &mut Map<String, Value>) {
    let registries = facts
        .get_mut("RegistryConfig")
        .and_then(Value::as_object_mut);
    if let Some(registries) = registries {
        for kind in ["CIDRs", "Hostnames"] {
            let key = format!("AllowNondistributableArtifacts{kind}");
            registries.insert(key, Value::Null);
        }
    }
}

/// `name=seccomp,profile=builtin` was once `seccomp`.
fn names_alone(facts: &mut Map<String, Value>) {
    let options = facts
        .get_mut("SecurityOptions")
        .and_then(Value::as_array_mut);
    for option in options.into_iter().flatten() {
        let text = option.as_str().unwrap_or_default();
        let name = text.split(',').find_map(|part| part.strip_prefix("name="));
        *option = json!(name.unwrap_or(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(minor: u16) -> Value {
        let facts = json!({
            "FirewallBackend": {"Driver": "nftables"}, "RuncCommit": {"ID": "a"}, "KernelMemoryTCP": true,
            "SecurityOptions": ["name=seccomp,profile=builtin"], "RegistryConfig": {},
        });
        let mut facts = facts.as_object().cloned().unwrap();
        info(ApiVersion::new(1, minor), &mut facts);
        Value::Object(facts)
    }

    #[test]
    fn each_version_has_its_fields() {
        let newest = told(51);
        assert!(newest.get("BridgeNfIptables").is_none());
        assert_eq!(newest["FirewallBackend"]["Driver"], "nftables");
        assert!(newest["RuncCommit"].get("Expected").is_none());
        assert_eq!(told(49)["BridgeNfIptables"], false);
        assert!(told(49)["RegistryConfig"].as_object().unwrap().is_empty());
        let last = told(48);
        assert!(last.get("FirewallBackend").is_none());
        assert_eq!(last["RuncCommit"]["Expected"], "a");
        let registries = last["RegistryConfig"].as_object().unwrap();
        assert_eq!(registries.len(), 2);
        assert!(registries.values().all(Value::is_null));
        let old = told(47);
        assert_eq!(old["BridgeNfIp6tables"], true);
        assert!(told(42).get("KernelMemory").is_none());
        assert_eq!(told(41)["KernelMemory"], true);
    }

    #[test]
    fn the_oldest_client_finds_names_of_security_options() {
        assert_eq!(told(24)["SecurityOptions"], json!(["seccomp"]));
        assert_eq!(told(24)["ExecutionDriver"], "<not supported>");
        assert_eq!(
            told(25)["SecurityOptions"],
            json!(["name=seccomp,profile=builtin"])
        );
    }
}
