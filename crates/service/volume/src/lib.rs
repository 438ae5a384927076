//! Volumes: folders that outlive containers.
//!
//! One driver, `local`: a folder of ours (bounded by a quota, encrypted, as its options say), or a device, bind or tmpfs that they
//! name, mounted while a container uses it; and those of plugins. Who refers to a volume is told by the container service ([`Service::claim`]) and never stored: it follows
//! from the containers' records.

mod encrypt;
mod error;
mod filter;
mod mount;
mod options;
mod quota;
mod record;
mod remote;
mod seal;
mod service;
mod wire;

pub use error::Error;
pub use record::Record;
pub use service::{Pruned, Service, User, VolumeSpec};
