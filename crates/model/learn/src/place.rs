//! Who people are to policies: the subject that a policy selects, and how another names it.

use std::{collections::BTreeMap, net::IpAddr};

use hakone_base::ContainerId;
use hakone_network_policy::{Facts, Identity, Labels, NAMESPACE_NAME};
use serde_json::{Value, json};

/// The label by which Compose names a service: its containers share a policy.
const SERVICE: &str = "com.docker.compose.service";
/// The label that each endpoint has: the name of its container.
const CONTAINER: &str = "dev.hakone.container";

/// A running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// The networks that it is on, by their names.
    pub networks: Vec<String>,
}

/// A service, or a container that is none's, in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    key: &'static str,
    pub(crate) name: String,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Place(Place),
    Address(IpAddr),
}

impl Person {
    /// Gives the place that the container has in a network.
    pub(crate) fn place(&self, network: &str) -> Place {
        let identity = Identity::of(Facts {
            container: &self.id,
            name: &self.name,
            labels: &self.labels,
            network,
            network_labels: &Labels::new(),
        });
        let service = self.labels.get(SERVICE).filter(|name| !name.is_empty());
        let (key, name) = match service {
            Some(service) => (SERVICE, service),
            None => (CONTAINER, &self.name),
        };
        Place {
            namespace: identity.namespace,
            key,
            name: name.clone(),
        }
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.networks.iter().map(|network| self.place(network))
    }
}

impl Place {
    /// Gives the selector that means it, in its own namespace.
    pub(crate) fn selector(&self) -> Value {
        json!({"matchLabels": BTreeMap::from([(self.key, &self.name)])})
    }
}

impl Peer {
    /// Names it as a peer in a policy of that namespace.
    pub(crate) fn document(&self, namespace: &str) -> Value {
        match self {
            Self::Address(address) => {
                json!({"ipBlock": {"cidr": format!("{address}/{}", bits(*address))}})
            }
            Self::Place(place) if place.namespace == namespace => {
                json!({"podSelector": place.selector()})
            }
            Self::Place(place) => json!({
                "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: place.namespace}},
                "podSelector": place.selector(),
            }),
        }
    }

    /// Names it as a peer in a label of that namespace.
    pub(crate) fn word(&self, namespace: &str) -> String {
        match self {
            Self::Address(address @ IpAddr::V4(_)) => address.to_string(),
            Self::Address(address @ IpAddr::V6(_)) => format!("[{address}]"),
            Self::Place(place) if place.namespace == namespace => place.name.clone(),
            Self::Place(place) => format!("{}/{}", place.namespace, place.name),
        }
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
