//! The laboratory: hosts made of namespaces, an engine in each, the docker CLI as the hand that works them.
//!
//! Every [`Lab`] has a network namespace, state folder, socket and cgroup of its own, so that tests run in parallel and
//! beside a running dockerd. Dropping it stops what it started and fails the test when something is left behind.

mod api;
mod case;
mod engine;
mod image;
mod lab;
mod leftovers;
mod mix;
mod netns;
mod own_registry;
mod proxy;
mod reach;
mod registry;
mod relay;
mod shape;
mod shell;
mod strays;
mod terminal;
mod tree;
mod unread;

pub use api::{Answer, Api};
pub use case::{Compare, Script, Step, scripts};
pub use engine::{Engine, hakone};
pub use image::{busybox_archive, host_python};
pub use lab::{IMAGE, Lab};
pub use mix::{Mixed, mix};
pub use netns::Namespace;
pub use own_registry::OwnRegistry;
pub use proxy::Proxy;
pub use reach::{Background, ask_udp};
pub use registry::{Registry, Serving, clients_root, debian, skopeo_root};
pub use relay::Relay;
pub use shape::shape;
pub use shell::{Output, eventually, sh};
pub use strays::{strays, texts};
pub use terminal::Terminal;
pub use tree::tree_digest;
pub use unread::Unread;
