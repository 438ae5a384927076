//! Networks and sandboxes: who shares a bridge, which address and port leads to whom, which name means what.
//!
//! A *network* is a record and a bridge; a *sandbox* is a container's network namespace; an *endpoint* is a sandbox's
//! place in a network. Firewall rules are derived whole from all of them ([`hakone_policy::compile`]) and never stored.
//! The container service calls [`Service::prepare`] before it starts a container's supervisor, [`Service::wire`] beside
//! it and [`Service::release`] after the end; the surface calls the rest.

mod addresses;
mod chains;
mod config;
mod defence;
mod driver;
mod error;
mod filter;
mod guard;
mod host;
mod links;
mod network;
mod own;
mod policy;
mod port;
mod record;
mod report;
mod request;
mod resolver;
mod sandbox;
mod service;
mod spec;
mod state;
mod sweep;
mod topology;
mod view;
mod watch;
mod world;

pub use config::{Backend, Config};
pub use error::Error;
pub use hakone_ipam::{PoolBase, PoolRequest};
pub use hakone_network_policy::LIMIT as POLICY_TEXT_LIMIT;
pub use policy::{Applied, Change, Explanation};
pub use report::{EndpointAddress, EndpointReport, Resolver, SandboxReport};
pub use request::{
    CutOff, EndpointRequest, ExtraHost, HostTarget, Link, NetworkMode, PortBinding, SandboxRequest,
};
pub use sandbox::Sandbox;
pub use service::Service;
pub use spec::{
    BridgeOptions, DriverKind, GatewayMode, MacvlanMode, MacvlanOptions, NetworkSpec,
    PublishFirewall,
};
pub use watch::Watcher;
