//! Containers: create, start, stop, watch, enter, remove.
//!
//! One capability with one owner of its state. Each container has a supervisor process that outlives the daemon; this
//! service writes what the supervisor needs, speaks with it over its socket, keeps the record of what people asked
//! for, and announces what happened. What it needs of networks, images and volumes it declares as narrow traits
//! ([`Networks`], [`Images`], [`Volumes`]); the binary joins them.

use hakone_container_model::{detach_keys, health, merge, name, restart, run, state};
use hakone_container_record as record;

mod attach;
mod bundle;
mod config;
mod container;
mod create;
mod device;
mod error;
mod exec;
mod exit;
mod facts;
mod hardened;
mod inner;
mod inside;
mod inspect;
mod joined;
mod list;
mod logs;
mod mounts;
mod neighbour;
mod network;
mod options;
mod pause;
mod probe;
mod remap;
mod remove;
mod rename;
mod restore;
mod sandbox;
mod seccomp;
mod service;
mod size;
mod start;
mod stop;
mod stream;
mod supervise;
mod table;
mod update;
mod wait;

pub use config::Config;
pub use error::Error;
pub use hakone_container_model::LogOptions;
pub use hakone_container_record::{Entry, Network, Replug, Sandbox};
pub use hakone_runtime_spec::IdMapping;
pub use inside::{Glance, Inlay, Inside, Place};
pub use neighbour::{
    BoxFuture, Etc, Images, Launch, Launcher, Mounting, Neighbours, NetworkMode, Networks,
    PortRequest, Ports, Prepared, Refusal, Replugged, ResolvedImage, Restoration, SandboxRequest,
    Volume, VolumeRequest, Volumes, Wiring,
};
pub use options::{
    AttachOptions, Counts, CreateRequest, Created, ExecStarted, ImageUse, ListOptions, Probes,
    Pruned, RemoveOptions, Size, StopOptions, WaitCondition, Waited,
};
pub use service::Service;
pub use stream::{AttachStream, Input, LogStream, Output};
