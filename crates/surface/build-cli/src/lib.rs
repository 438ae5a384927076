//! The verbs of building, one file each.

pub mod build;
pub mod builder;
pub mod lint;
