//! The Docker Engine API on the wire: types, query parameters, filters, errors, version quirks.
//!
//! The JSON types come from `bollard-stubs`, generated from the published API description; this crate adds what that
//! description leaves out. Nothing else in the tree knows PascalCase, historic nulls or API versions.

pub mod archive;
pub mod error;
pub mod event;
pub mod filter;
pub mod query;
pub mod schema;
pub mod stream;
pub mod word;

/// The JSON types of the API description.
pub use bollard_stubs::models as wire;
pub use filter::{FilterError, Filters};
