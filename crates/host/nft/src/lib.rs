//! Loads rule sets into the kernel.
//!
//! Speaks nfnetlink on a socket of its own: no `nft` child on any path. [`Firewall`] replaces our tables whole in one atomic
//! transaction, or changes the few elements that differ; what was refused is named. Tables of others are left alone.

mod error;
mod expression;
mod firewall;
mod kernel;
mod message;
mod request;
mod socket;
mod value;

pub use error::Error;
pub use firewall::Firewall;
pub use request::Object;
