//! Sandboxes: decided, made, wired, taken back, given back.

mod files;
mod live;
mod plan;
mod prepare;
mod release;
mod restore;
mod rules;
mod wire;

pub use prepare::Sandbox;

pub(crate) use live::{connect, disconnect, mend, rename};
pub(crate) use plan::{check, check_aliases};
pub(crate) use prepare::prepare;
pub(crate) use release::{Published, free_ports, release};
pub(crate) use restore::{Survivor, restore};
pub(crate) use wire::{attachments, networks_of_state, wire};
