//! What may reach what: the heart of Hakone, as values and pure functions.
//!
//! A [`Topology`] says what is wanted; `compile` turns it into the host's whole rule set. Both answer for any packet, and a
//! property test holds their answers together: the rules do what was meant. Nothing here touches a kernel; `host/nft` does.

mod topology;

pub use topology::{Bridge, DirectRouting, Endpoint, Icc, Options, Topology};
