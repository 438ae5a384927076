//! The event bus: every service announces here what it did, every stream of events reads from here.
//!
//! Last step of the road of a request. Bounded on both sides: a small history for `since`, and a ring that drops the
//! oldest events for a reader that does not keep up, so that no client can make the daemon grow.

mod bus;

pub use bus::{Bus, Subscription};
