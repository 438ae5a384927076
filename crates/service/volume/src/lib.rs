//! Volumes: folders that outlive containers.
//!
//! One driver, `local`: a folder of ours (bounded by a quota, encrypted, as its options say), or a device, bind or tmpfs that they
//! name, mounted while a container uses it; and those of plugins. Who refers to a volume is told by the container service ([`Service::claim`]) and never stored: it follows
//! from the containers' records.

mod attach;
mod elsewhere;
mod encrypt;
mod error;
mod filter;
mod folder;
mod make;
mod mount;
mod options;
mod record;
mod remote;
mod remove;
mod seal;
mod server;
mod service;
mod spec;
mod table;
mod wire;

pub use attach::User;
pub use error::Error;
pub use record::Record;
pub use remove::Pruned;
pub use service::Service;
pub use spec::VolumeSpec;
