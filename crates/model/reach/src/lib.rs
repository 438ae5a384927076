//! Who reaches whom on which ports.
//!
//! [`survey`] asks the topology's own verdict ([`hakone_policy::Topology::verdict`]) for every pair of places and every span of ports
//! that is told apart by a name or a policy, and for one port of all the others. So whatever the model promises, policies included, shows here
//! without a line of its own. [`Survey`] is the answer, and is printed or drawn; [`differences`] compares it with what probes found.

mod compare;
mod draw;
mod outside;
mod place;
mod ports;
mod span;
mod survey;
mod world;

pub use compare::{Difference, Probe, differences, probes};
pub use draw::{dot, list, svg, table};
pub use place::{Kind, Place};
pub use ports::Ports;
pub use span::Span;
pub use survey::{Family, Reach, Survey, survey};
pub use world::{Resident, World};
