//! The Docker Engine API over unix sockets and mutual TLS.
//!
//! The way in for the docker CLI, Compose, SDKs and our own command line. A request passes: accept, version, route
//! (`routes`), parse, one call of a service, reply. No decision is taken here, and statuses live in one table.

mod again;
mod archive;
mod authorize;
mod body;
mod build;
mod build_direct;
mod buildkit;
mod containers;
mod debug;
mod departure;
mod dispatch;
mod error;
mod events;
mod flows;
mod hijack;
mod images;
mod listen;
mod metrics;
mod monitor;
mod networks;
mod older;
mod openapi;
mod policies;
mod reference;
mod registry;
mod reply;
mod request;
mod routes;
mod security;
mod serve;
mod services;
mod status;
mod system;
mod usage;
mod version;
mod volumes;
mod websocket;

pub use authorize::Gate;
pub use listen::{Address, ListenError, Listener, SocketAccess, TlsFiles, listen};
pub use metrics::{MetricsError, Timings, serve as serve_metrics};
pub use openapi::document as openapi;
pub use reference::markdown;
pub use serve::{Door, Headers, serve};
pub use services::{About, Services};
