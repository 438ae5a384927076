//! Containers: create, start, stop, watch, enter, remove.
//!
//! One capability with one owner of its state. Each container has a supervisor process that outlives the daemon; this
//! service writes what the supervisor needs, speaks with it over its socket, keeps the record of what people asked
//! for, and announces what happened. What it needs of networks, images and volumes it declares as narrow traits
//! ([`Networks`], [`Images`], [`Volumes`]); the binary joins them.

mod config;
mod error;
mod neighbour;
mod options;
mod service;
mod stream;

pub use config::Config;
pub use error::Error;
pub use neighbour::{
    BoxFuture, Etc, Images, Launch, Launcher, Neighbours, Network, NetworkMode, Networks,
    PortRequest, Prepared, Refusal, ResolvedImage, Restoration, Sandbox, SandboxRequest, Volume,
    VolumeRequest, Volumes, Wiring,
};
pub use options::{
    AttachOptions, Counts, CreateRequest, Created, ExecStarted, ImageUse, ListOptions, LogOptions,
    Pruned, RemoveOptions, Size, StopOptions, WaitCondition, Waited,
};
pub use service::Service;
pub use stream::{AttachStream, Input, LogStream, Output};
