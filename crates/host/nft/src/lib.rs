//! Loads rule sets into the kernel.
//!
//! Speaks nfnetlink on a socket of its own: no `nft` child on any path. [`Firewall`] replaces our tables whole in one atomic
//! transaction, or changes the few elements that differ; what was refused is named. Tables of others are left alone.
//! [`Monitor`] hears of what other programs do to them, [`Witness`] of what flows and what is dropped. [`forget_flows`] ends what connection tracking remembers of translations that hold no longer, [`note_established`] tells it of what it has not seen.

mod divert;
mod error;
mod expression;
mod firewall;
mod flows;
mod kernel;
mod message;
mod monitor;
mod note;
mod owner;
mod pace;
mod relay;
mod request;
mod reshape;
mod socket;
mod value;
mod witness;

pub use divert::DIVERTED;
pub use error::Error;
pub use firewall::Firewall;
pub use flows::{forget_addresses, forget_flows, forget_unwanted, standing_flows};
pub use monitor::{Edit, Heard, Monitor};
pub use note::{Established, forget_established, note_established};
pub use owner::{Claim, Owner};
pub use pace::RepairPace;
pub use relay::{Interface, Pinned, Relay};
pub use request::Object;
pub use witness::{Missed, Witness};
