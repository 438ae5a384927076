//! The flags of `run` and `create`, exactly docker's, and the request that they come to.
//!
//! Pure: what a command line refers to beyond itself, environment and files, is handed in as [`Surroundings`]. What one value can
//! tell is checked by its parser in `value`, `mount`, `network`; what takes several flags together in `create`.

pub mod create;
pub mod environment;
mod error;
mod flags;
mod health;
mod mount;
mod network;
mod port;
pub mod quantity;
mod security;
mod surroundings;
mod update;
pub mod value;
mod volume;

pub use create::Creation;
pub use error::Error;
pub use flags::CreateFlags;
pub use network::Attachment;
pub use surroundings::{Surroundings, failure, open_failure};
pub use update::UpdateFlags;
