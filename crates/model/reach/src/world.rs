//! What the survey is of: the wanted networks, the host's facts, and what people call it all.

use std::{collections::BTreeMap, net::IpAddr};

use hakone_base::{ContainerId, ExposedPort, IfName, NetworkId};
use hakone_policy::{Host, Topology};

/// A host and its networks.
#[derive(Clone, Debug)]
pub struct World {
    /// What is wanted.
    pub topology: Topology,
    /// The host's addresses and routes.
    pub host: Host,
    /// The addresses of the host that published ports answer on.
    pub addresses: Vec<IpAddr>,
    /// The interface to everything else.
    pub uplink: IfName,
    /// The containers.
    pub residents: BTreeMap<ContainerId, Resident>,
    /// The networks' names.
    pub networks: BTreeMap<NetworkId, String>,
}

/// A container, as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Its name.
    pub name: String,
    /// The ports that its image or its user exposes.
    pub exposed: Vec<ExposedPort>,
}
