//! Networks and sandboxes as values: what is asked for, what of it is refused, and what became of it.
//!
//! Pure. `service/network` decides and does; here is what it is told and what it tells.

mod defence;
mod error;
pub mod naming;
mod pattern;
mod report;
mod request;
mod spec;

pub use defence::{Defences, leads_astray};
pub use error::Error;
pub use report::{
    EndpointAddress, EndpointReport, RemoteLink, Resolver, Route, SHARED_ADDRESSES, SandboxReport,
};
pub use request::{
    CutOff, EndpointRequest, ExtraHost, HostTarget, Link, NetworkMode, PortBinding, SandboxRequest,
};
pub use spec::{
    BridgeOptions, DEFAULT, DriverKind, GatewayMode, IpvlanMode, IpvlanOptions, MacvlanMode,
    MacvlanOptions, NetworkSpec, PublishFirewall, is_predefined,
};
