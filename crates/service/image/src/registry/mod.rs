//! Images to and from registries: pull, push, login, look-up, search.
//!
//! The conversation itself is `host/registry`; here its bytes become images, through the same staging and the same unpacker
//! as `load`, and images become its bytes.

mod cache;
mod flight;
mod lookup;
mod manifest;
mod outgoing;
mod pull;
mod push;
mod resolve;
mod tags;
mod transfer;

pub use cache::Parcel;
pub use lookup::LoginResult;
pub use outgoing::Outgoing;
pub use pull::PullRequest;
pub use push::PushRequest;

pub(crate) use flight::Flights;
pub(crate) use lookup::{distribution, login, search};
pub(crate) use manifest::{Described, describe};
pub(crate) use pull::pull;
pub(crate) use push::push;
pub(crate) use tags::TagFile;
