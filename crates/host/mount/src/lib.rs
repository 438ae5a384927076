//! Mounts, made and moved through descriptors, never through paths that a container could bend.
//!
//! A mount is made detached ([`Detached`]), changed while nobody can see it, and attached to a target that was
//! resolved inside the container's root ([`Root`]): a symbolic link swapped in between changes nothing.

mod copy_up;
mod detached;
mod error;
mod folder;
mod options;
pub mod overlay;
mod propagation;
mod protect;
mod remove;
mod root;
mod shift;
pub mod stack;
mod table;

pub use copy_up::{copy_into, copy_up};
pub use detached::Detached;
pub use error::Error;
pub use folder::names;
pub use options::{Options, Propagation};
pub use propagation::{propagate, propagate_all};
pub use protect::{mask, read_only};
pub use remove::remove_tree;
pub use root::Root;
pub use shift::shift_in_place;
pub use table::MountPoint;
