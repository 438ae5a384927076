//! What may reach what: the heart of Hakone, as values and pure functions.
//!
//! A [`Topology`] says what is wanted; [`compile`] turns it into the host's whole [`Ruleset`]. Both answer for any packet, and
//! a property test holds their answers together: the rules do what was meant. [`plan`] finds what changes from one rule set
//! to the next. Nothing here touches a kernel; `host/nft` does.

mod compile;
mod consent;
mod cover;
mod elements;
mod explain;
mod frame;
mod groups;
mod intent;
mod machine;
mod named;
mod neighbours;
mod packet;
mod pin;
mod plan;
mod print;
pub mod ruleset;
mod sandbox;
mod simulate;
mod tell;
mod topology;

pub use compile::{TABLE, TUNNELS, compile, compile_frames};
pub use consent::{Consent, Ends};
pub use elements::Contents;
pub use explain::{Explanation, explain};
pub use frame::{Frame, Passage};
pub use named::LONGEST as LONGEST_NAME;
pub use packet::{
    Bridged, Delivery, Flow, Host, Origin, Packet, Route, SourceSeen, Transport, Verdict,
};
pub use pin::PORT_STEM;
pub use plan::{Change, SetRef, plan};
pub use ruleset::{MOST_ENTRIES, MOST_GROUPS, Ruleset};
pub use sandbox::{Listener, Sandbox, compile_sandbox};
pub use tell::{AUDIT_IN, AUDIT_OUT, BEGINNING, REFUSAL};
pub use topology::{
    Access, Bridge, DirectRouting, Endpoint, FlowQuota, GatewayMode, HostAccess, Icc, Ipv6Rules,
    Link, Metadata, Moment, Multicast, Options, Resolved, Telling, Topology,
};
