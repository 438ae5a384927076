//! Who an endpoint is to policies: what a pod is to Kubernetes.
//!
//! Kubernetes gives each pod one address and one namespace. Here the place of a container in one network plays the pod: it has
//! one address a family, and so its own labels. The namespace is the Compose project, and for a container without one the
//! network, so that `docker run --network red` lands in `red`; the default bridge is `default`, as Docker calls it too.

use std::collections::BTreeMap;

use hakone_base::ContainerId;

/// Labels of a container or of a namespace.
pub type Labels = BTreeMap<String, String>;

/// The label by which Compose says what belongs together.
pub const PROJECT: &str = "com.docker.compose.project";
/// The namespace of a policy that names none, and of containers on the default bridge.
pub const DEFAULT_NAMESPACE: &str = "default";
/// The label that each namespace has, as in Kubernetes: its own name.
pub const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// The label that each endpoint has: the name of its container.
pub(crate) const CONTAINER: &str = "dev.hakone.container";
/// The label that each endpoint has: the name of its network.
const NETWORK: &str = "dev.hakone.network";
/// What Docker calls the default bridge.
const DEFAULT_BRIDGE: &str = "bridge";

/// Who an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The container, for policies that a container's own labels state.
    pub container: ContainerId,
    /// The namespace.
    pub namespace: String,
    /// What `podSelector` looks at.
    pub labels: Labels,
    /// What `namespaceSelector` looks at.
    pub namespace_labels: Labels,
}

/// What an endpoint is known by.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The container.
    pub container: &'a ContainerId,
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a Labels,
    /// The network's name.
    pub network: &'a str,
    /// The network's labels.
    pub network_labels: &'a Labels,
}

impl Identity {
    /// Derives who an endpoint is. What we say of it goes before what its container says of itself.
    #[must_use]
    pub fn of(facts: Facts<'_>) -> Self {
        let network = match facts.network {
            DEFAULT_BRIDGE => DEFAULT_NAMESPACE,
            other => other,
        };
        let project = facts.labels.get(PROJECT).filter(|name| !name.is_empty());
        let namespace = project.map_or(network, String::as_str).to_owned();
        let mut labels = facts.labels.clone();
        labels.insert(CONTAINER.to_owned(), facts.name.to_owned());
        labels.insert(NETWORK.to_owned(), facts.network.to_owned());
        let mut namespace_labels = facts.network_labels.clone();
        namespace_labels.insert(NAMESPACE_NAME.to_owned(), namespace.clone());
        Self {
            container: facts.container.clone(),
            namespace,
            labels,
            namespace_labels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(labels: &[(&str, &str)], network: &str) -> Identity {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Identity::of(Facts {
            container: &ContainerId::from_bytes([7; 32]),
            name: "web-1",
            labels: &labels,
            network,
            network_labels: &Labels::from([("team".into(), "red".into())]),
        })
    }

    #[test]
    fn the_namespace_is_the_project_then_the_network_and_the_default_bridge_is_default() {
        assert_eq!(
            identity(&[(PROJECT, "shop")], "shop_back").namespace,
            "shop"
        );
        assert_eq!(identity(&[], "red").namespace, "red");
        assert_eq!(identity(&[], "bridge").namespace, "default");
        assert_eq!(identity(&[(PROJECT, "")], "red").namespace, "red");
    }

    #[test]
    fn a_container_cannot_say_of_itself_what_the_engine_knows() {
        let labels = [(NETWORK, "blue"), (CONTAINER, "db-1"), ("app", "web")];
        let identity = identity(&labels, "red");
        assert_eq!(identity.labels["app"], "web");
        assert_eq!(identity.labels[NETWORK], "red");
        assert_eq!(identity.labels[CONTAINER], "web-1");
        assert_eq!(identity.namespace_labels["team"], "red");
        assert_eq!(identity.namespace_labels[NAMESPACE_NAME], "red");
    }
}
