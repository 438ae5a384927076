//! The verbs of building, one file each.

pub mod lint;
