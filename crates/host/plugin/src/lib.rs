//! Finds plugins and speaks to them.
//!
//! A connection for each question, a deadline for each answer, and a limit on its length: a plugin that hangs or babbles costs the
//! one request that asked it.

mod call;
mod error;
mod find;
mod tls;

pub use call::Plugin;
pub use error::Error;
pub use find::Folders;
