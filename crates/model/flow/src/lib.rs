//! The flow log as values: who spoke to whom, what was dropped, and by which rule.
//!
//! Bytes of the kernel come in ([`notices`]), owners of addresses are known by their time ([`Owners`]), a [`Teller`] makes
//! [`Record`]s of both, and a [`Format`] prints them. No socket, no clock: `service/flow` brings those.

mod attribute;
mod conntrack;
mod filter;
mod format;
mod notice;
mod owners;
mod pace;
mod packet;
mod record;
mod teller;

pub use conntrack::{Tracked, Tuple, Volume};
pub use filter::{Filter, FilterError};
pub use format::Format;
pub use notice::{Notice, Refusal, notices};
pub use owners::{Owner, Owners};
pub use pace::Pace;
pub use packet::{Packet, read_frame, read_packet};
pub use record::{Direction, End, Event, Loss, Party, Record, Verdict};
pub use teller::Teller;
