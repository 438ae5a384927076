//! The kinds of failure that a caller can tell apart.
//!
//! Each crate's `Error` says its kind; one table in `surface/http` turns kinds into HTTP statuses and one in
//! `surface/cli` into exit codes. Nobody else knows statuses.

/// What sort of failure an error is, whoever reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request itself is wrong.
    InvalidParameter,
    /// The caller did not say who they are.
    Unauthorized,
    /// The caller may not do this, or nobody may.
    Forbidden,
    /// The named object does not exist.
    NotFound,
    /// The request contradicts the present state.
    Conflict,
    /// The object is already as asked.
    NotModified,
    /// We do not do this (yet).
    NotImplemented,
    /// The service cannot answer now.
    Unavailable,
    /// The host failed us.
    System,
}

/// An error that knows its [`Kind`].
pub trait Fault: std::error::Error {
    /// Tells the kind; implementations match exhaustively.
    fn kind(&self) -> Kind;
}
