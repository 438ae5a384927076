//! What a scoped socket may ask of the engine: roles, rule files, and the verdict on each request.
//!
//! A socket of the engine is root on the host for whoever may open it. A scoped one is not: each request is judged as a value
//! before anything happens, against what the socket was granted and against the facts of every object that it names. All of it is
//! a list of what is allowed: an option, a driver, an action that nobody thought of is refused. Pure; `surface/http/src/authorize`
//! collects the facts and enforces the verdict. The reasons stand in docs/decisions/0023-scoped-sockets.md.

mod action;
mod container;
mod facts;
mod glob;
mod grant;
mod host_config;
mod image;
mod mount;
mod network;
mod reference;
mod rules;
mod scope;
mod value;
mod verdict;
mod volume;

pub use action::{Action, Level};
pub use facts::{Bounds, ContainerFacts, Facts, NetworkFacts, VolumeFacts};
pub use glob::Glob;
pub use grant::Grant;
pub use reference::References;
pub use rules::RulesError;
pub use scope::Scope;
pub use verdict::Denial;
