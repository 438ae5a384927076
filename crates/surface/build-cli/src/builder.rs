//! `hakone builder`: what is remembered of builds, listed and taken away.

pub mod du;
pub mod prune;
