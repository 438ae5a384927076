//! Networks and sandboxes: who shares a bridge, which address and port leads to whom, which name means what.
//!
//! A *network* is a record and a bridge; a *sandbox* is a container's network namespace; an *endpoint* is a sandbox's
//! place in a network. Firewall rules are derived whole from all of them ([`hakone_policy::compile`]) and never stored.
//! The container service calls [`Service::prepare`] before it starts a container's supervisor, [`Service::wire`] beside
//! it and [`Service::release`] after the end; the surface calls the rest.

mod addresses;
mod chains;
mod config;
mod driver;
mod error;
mod filter;
mod guard;
mod host;
mod links;
mod network;
mod policy;
mod record;
mod remote;
mod replug;
mod resolver;
mod sandbox;
mod service;
mod state;
mod sweep;
mod switched;
mod topology;
mod view;
mod watch;
mod world;

pub use config::{Backend, Config};
pub use error::Error;
pub use hakone_ipam::{PoolBase, PoolRequest};
pub use hakone_network_model::{
    BridgeOptions, CutOff, DriverKind, EndpointAddress, EndpointReport, EndpointRequest,
    Error as SpecError, ExtraHost, GatewayMode, HostTarget, IpvlanMode, IpvlanOptions, Link,
    MacvlanMode, MacvlanOptions, NetworkMode, NetworkSpec, PortBinding, PublishFirewall,
    RemoteLink, Resolver, Route, SandboxReport, SandboxRequest,
};
pub use hakone_network_policy::LIMIT as POLICY_TEXT_LIMIT;
pub use policy::{Applied, Change, Explanation};
pub use sandbox::Sandbox;
pub use service::Service;
pub use watch::Watcher;
