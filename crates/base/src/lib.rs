//! The words of Hakone: ids, names, references, digests, addresses, ports, times, fault kinds.
//!
//! Strings end at the border; from there every part speaks in these types. No I/O, no clock, no randomness.

mod address;
mod digest;
mod domain;
mod event;
mod fault;
mod id;
mod name;
mod port;
mod reference;
mod secret;
mod time;
mod version;

pub use address::{BridgeName, IfName, IfNameError, MacAddr, MacAddrError, Subnet, SubnetError};
pub use digest::{Digest, DigestError};
pub use domain::{DomainError, DomainPattern};
pub use event::{Event, EventKind};
pub use fault::{Fault, Kind};
pub use id::{ContainerId, EndpointId, ExecId, IdError, NetworkId};
pub use name::{ContainerName, NameError, NetworkName, VolumeName};
pub use port::{ExposedPort, Port, PortError, Protocol, PublishedPort};
pub use reference::{ImageRef, ImageRefError};
pub use secret::Secret;
pub use time::{Timestamp, TimestampError};
pub use version::{ApiVersion, ApiVersionError};
