//! Volumes: folders that outlive containers.
//!
//! One driver, `local`: a folder of ours, or a device, bind or tmpfs that its options name, mounted while a container
//! uses it. Who refers to a volume is told by the container service ([`Service::claim`]) and never stored: it follows
//! from the containers' records.

mod error;
mod filter;
mod mount;
mod options;
mod record;
mod service;
mod wire;

pub use error::Error;
pub use record::Record;
pub use service::{Pruned, Service, VolumeSpec};
