//! Docker's plugin protocol (v1) on the wire, and what to believe of a plugin.
//!
//! A plugin is a program of the administrator's that answers JSON over a socket: it may be slow, wrong or taken over. Whatever it says
//! is parsed here and judged before anything is done with it. Pure; `host/plugin` speaks to plugins.

mod address;
mod authorization;
mod certificate;
mod interface;
mod ipam;
mod join;
mod listed;
mod mountpoint;
mod name;
mod network;
mod published;
mod volume;

pub use address::{Address, AddressError, Tls, TlsAddress};
pub use authorization::{Answer, Question, header_name};
pub use certificate::{common_name, pem};
pub use interface::{InterfaceError, Interfaced, judge as judge_interface};
pub use ipam::{
    AddressAsked, AddressGiven, AddressReleased, AddressSpaces, IpamAbilities, IpamError,
    PoolAsked, PoolGiven, PoolNamed, judge_address, judge_pool,
};
pub use join::{Join, JoinError, StaticRoute, judge as judge_join};
pub use listed::{Listed, judge as judge_listed, judge_found};
pub use mountpoint::{MountpointError, judge as judge_mountpoint};
pub use name::is_name;
pub use network::{
    Abilities, EndpointMade, EndpointNamed, EndpointToMake, Interface, InterfaceName, JoinReply,
    Joining, NetworkNamed, NetworkToMake, OperInfo, PoolData, PortAsked, PortMapped, Programming,
    RouteReply,
};
pub use published::{PUBLISHED, judge_published};
pub use volume::{
    CapabilitiesReply, Capability, Created, MountReply, Mounting, Named, RemoteVolume, VolumeReply,
    VolumesReply,
};

use serde::{Deserialize, Serialize};

/// Go prints an absent value as null.
fn nullable<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// The media type of both directions.
pub const MEDIA: &str = "application/vnd.docker.plugins.v1.2+json";

/// A question that says nothing more than its name: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nothing {}

/// The reply to `Plugin.Activate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Activation {
    /// What it can do: `authz`, `VolumeDriver`, `NetworkDriver`.
    pub implements: Vec<String>,
}

/// What every reply may carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Outcome {
    /// Why it failed; empty when it did not.
    pub err: String,
}
