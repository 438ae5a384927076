//! Address management: which subnet a network gets, and which address an endpoint gets.
//!
//! Pure: the caller brings what is taken (subnets of other networks, routes of the host, addresses in use) and gets a
//! choice; nothing is stored here, so nothing can drift from the networks themselves. Refusals carry Docker's texts.

mod bounds;
mod error;
mod pool;
mod pools;
mod request;

pub use error::Error;
pub use pool::Pool;
pub use pools::{PoolBase, Pools};
pub use request::PoolRequest;
