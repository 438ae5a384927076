//! The embedded resolver of each sandbox: what it knows of names, and whom it asks about others.
//!
//! `host/resolver` has the sockets and answers; what a container may know is derived here from the state.

mod named;
mod scope;
mod settings;

pub(crate) use named::{Given, now};
pub(crate) use scope::{Kept, Known};
pub(crate) use settings::{default_settings, link_local_resolvers, settings, stub};
