//! What can go wrong with networks; the texts are those that docker CLI and SDKs look for.

use std::{io, path::PathBuf};

use hakone_base::{ContainerId, Fault, Kind, NetworkId};

/// Why a request about networks failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No network has this name, id or id prefix.
    #[error("network {0} not found")]
    NotFound(String),
    /// Several ids begin like this.
    #[error("network {0} is ambiguous (2 matches found on ID prefix)")]
    Ambiguous(String),
    /// The name is taken.
    #[error("network with name {0} already exists")]
    Exists(String),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The request asks for no network that there could be.
    #[error(transparent)]
    Spec(#[from] hakone_network_model::Error),
    /// A filter's value is wrong.
    #[error(transparent)]
    Filter(#[from] hakone_engine_api::FilterError),
    /// A plugin's network, endpoint or address cannot be had.
    #[error(transparent)]
    Remote(#[from] hakone_network_plugin::Error),
    /// A plugin names an interface that is not its own.
    #[error(
        "the driver of network {network} may not give interface {interface} to a container: {reason}"
    )]
    Interface {
        /// The interface.
        interface: String,
        /// The network's name.
        network: String,
        /// Whose it is.
        reason: String,
    },
    /// A pattern that is asked to be a network, or the other way round.
    #[error("{0}")]
    Pattern(&'static str),
    /// No network is a pattern of this name.
    #[error("configuration network {0:?} does not exist")]
    NoPattern(String),
    /// Networks were made by this pattern.
    #[error("error while removing network: configuration network {0:?} is in use")]
    PatternInUse(String),
    /// Docker has it and we do not.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A second network of a driver that has one.
    #[error("only one instance of \"{0}\" network is allowed")]
    OnlyOne(&'static str),
    /// A default network, or its name.
    #[error("operation is not permitted on predefined {0} network ")]
    Predefined(String),
    /// A default network cannot be removed.
    #[error("{0} is a pre-defined network and cannot be removed")]
    Undeletable(String),
    /// The network still has endpoints.
    #[error("error while removing network: network {name} id {id} has active endpoints")]
    InUse {
        /// The network's name.
        name: String,
        /// The network's id.
        id: NetworkId,
    },
    /// Subnets or addresses cannot be had.
    #[error(transparent)]
    Addresses(#[from] hakone_ipam::Error),
    /// Another network has this bridge.
    #[error(
        "cannot create network {network} ({bridge}): conflicts with network {other} ({bridge}): networks have same bridge name"
    )]
    BridgeTaken {
        /// The new network.
        network: NetworkId,
        /// The network that has it.
        other: NetworkId,
        /// The bridge.
        bridge: String,
    },
    /// The container is on the network already.
    #[error("endpoint with name {name} already exists in network {network}")]
    Connected {
        /// The container's name.
        name: String,
        /// The network's name.
        network: String,
    },
    /// The container is not on the network.
    #[error("container {container} is not connected to network {network}")]
    NotConnected {
        /// The container.
        container: ContainerId,
        /// The network's name.
        network: String,
    },
    /// A container that uses the host's, another's or no network cannot be connected.
    #[error("{0}")]
    Conflict(&'static str),
    /// Settings of an endpoint that its network does not allow.
    #[error("invalid endpoint settings:\n{}", bullets(.0))]
    Settings(Vec<String>),
    /// The same for a container that starts.
    #[error("invalid config for network {network}: {source}")]
    Endpoint {
        /// The network's name.
        network: String,
        /// What is wrong.
        source: Box<Error>,
    },
    /// The container has no sandbox here.
    #[error("container {0} has no sandbox")]
    NoSandbox(ContainerId),
    /// The host's side of a published port cannot be had.
    #[error(transparent)]
    Port(#[from] hakone_port::Error),
    /// A text is no policy.
    #[error(transparent)]
    Policy(#[from] hakone_network_policy::Error),
    /// A policy is about an endpoint that nobody judges.
    #[error(
        "policy {policy} selects container {container} on network {network}, which is of driver {driver}: policies judge nothing there"
    )]
    Unjudged {
        /// The policy.
        policy: hakone_network_policy::PolicyKey,
        /// The container's name.
        container: String,
        /// The network's name.
        network: String,
        /// Its driver.
        driver: String,
    },
    /// Policies come to more rules than there may be.
    #[error(
        "policies come to {groups} groups of containers with {elements} entries: there may be {} and {}",
        hakone_policy::MOST_GROUPS,
        hakone_policy::MOST_ENTRIES
    )]
    TooManyRules {
        /// How many groups.
        groups: usize,
        /// How many entries.
        elements: usize,
    },
    /// No policy has this name.
    #[error("policy {0} not found")]
    NoPolicy(hakone_network_policy::PolicyKey),
    /// No running container has this name or id.
    #[error("no running container {0}")]
    NoContainer(String),
    /// A record could not be written.
    #[error("could not store the network: {0}")]
    Record(#[from] hakone_store::Error),
    /// A file or folder of the host failed us.
    #[error("could not access {path}: {source}")]
    File {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused a link, address or route.
    #[error(transparent)]
    Netlink(#[from] hakone_netlink::Error),
    /// A namespace could not be made or entered.
    #[error(transparent)]
    Namespace(#[from] hakone_netns::Error),
    /// The firewall could not be loaded.
    #[error("could not load the firewall: {0}")]
    Firewall(#[from] hakone_nft::Error),
    /// The resolver of a container could not be set up.
    #[error(transparent)]
    Resolver(#[from] hakone_resolver::Error),
    /// The proxy of a published port could not be set up.
    #[error("could not set up a port's proxy")]
    Proxy(#[source] io::Error),
    /// There is no thread for the rules of a sandbox.
    #[error("could not start a thread: {0}")]
    Thread(#[source] io::Error),
    /// Nobody can listen to other programs' changes of the rules.
    #[error("could not listen to changes of the firewall: {0}")]
    Monitor(#[source] io::Error),
    /// Another daemon keeps the rules here.
    #[error(
        "process {process} is a daemon that keeps the firewall rules of this network namespace, and two would undo each other's: stop it, or start this one in a network namespace of its own or with --iptables=false"
    )]
    Owned {
        /// Its number.
        process: u32,
    },
    /// Nobody can tell whether another daemon keeps the rules here.
    #[error("could not mark the firewall rules as ours: {0}")]
    Owner(#[source] io::Error),
    /// All rules are to stand in iptables, and the host has no programs for it.
    #[error(
        "firewall-backend iptables needs iptables and ip6tables with their -save and -restore: install them, or use nftables"
    )]
    NoIptables,
    /// The host's iptables refused.
    #[error("could not load rules into iptables: {0}")]
    Iptables(#[from] hakone_iptables::Error),
    /// The service's worker was stopped, as at shutdown.
    #[error("the network service is shutting down")]
    Stopped,
}

/// Prints one reason as it is, several as a list.
fn bullets(reasons: &[String]) -> String {
    match reasons {
        [only] => only.clone(),
        _ => {
            let lines: Vec<String> = reasons.iter().map(|reason| format!("* {reason}")).collect();
            lines.join("\n")
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) | Self::NoPolicy(_) | Self::NoContainer(_) | Self::NoPattern(_) => {
                Kind::NotFound
            }
            Self::Ambiguous(_)
            | Self::Filter(_)
            | Self::Invalid(_)
            | Self::Policy(_)
            | Self::Unjudged { .. }
            | Self::TooManyRules { .. }
            | Self::Conflict(_)
            | Self::Settings(_) => Kind::InvalidParameter,
            Self::Endpoint { source, .. } => source.kind(),
            Self::Spec(error) => error.kind(),
            Self::Remote(error) => error.kind(),
            Self::Unsupported(_) => Kind::NotImplemented,
            Self::Exists(_) => Kind::Conflict,
            Self::OnlyOne(_)
            | Self::Pattern(_)
            | Self::PatternInUse(_)
            | Self::Predefined(_)
            | Self::Undeletable(_)
            | Self::InUse { .. }
            | Self::BridgeTaken { .. }
            | Self::Connected { .. } => Kind::Forbidden,
            Self::Addresses(error) => error.kind(),
            Self::Stopped => Kind::Unavailable,
            Self::NotConnected { .. }
            | Self::NoSandbox(_)
            | Self::Port(_)
            | Self::Interface { .. }
            | Self::Record(_)
            | Self::Netlink(_)
            | Self::Namespace(_)
            | Self::Firewall(_)
            | Self::Thread(_)
            | Self::File { .. }
            | Self::Resolver(_)
            | Self::Proxy(_)
            | Self::Monitor(_)
            | Self::Owned { .. }
            | Self::Owner(_)
            | Self::NoIptables
            | Self::Iptables(_) => Kind::System,
        }
    }
}
