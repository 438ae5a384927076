//! Networks and addresses of plugins: Docker's `NetworkDriver` and `IpamDriver` protocols.
//!
//! A plugin may be slow, wrong or taken over. It is asked without any lock, so that one that hangs holds up those who want its own
//! networks; what it answers is judged before anything is done with it; and what it holds for us stands in a ledger on the disk
//! before it is asked, so that a daemon that dies gives it back at its next start. Blocking: `service/network` calls it on threads
//! of its own.

mod endpoint;
mod error;
mod ledger;
mod network;
mod plugins;
mod pools;

pub use endpoint::{Lease, Ports, Surroundings, create, give_back, join, lease, program};
pub use error::Error;
pub use ledger::Ledger;
pub use network::{Remote, make, unmake};
pub use plugins::Plugins;
pub use pools::{PoolLease, release, replay, request};
