//! The chains that administrators know, kept in the host's own iptables.
//!
//! Our rules stand in nftables; administrators' rules stand where Docker's documentation puts them: in `DOCKER-USER` and
//! `DOCKER` of the table `filter`. [`Chains`] makes these two where they are missing and leads containers' packets through
//! them; what stands in them is the administrator's and never touched (docs/decisions/0012-administrators-chains.md). Works
//! with whichever back end the host's `iptables` has, for it asks that program.

mod chains;
mod error;
mod listing;
mod replace;
mod rules;
mod saved;
mod script;

pub use chains::{Chains, Forward, Variant};
pub use error::Error;
