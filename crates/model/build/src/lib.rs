//! What each step of a Dockerfile does: to the image's config and history, and what of it has to be carried out.
//!
//! Pure: a [`State`] is the stage so far, [`State::plan`] takes the next step and gives a [`Planned`]: work for the host, or
//! none. The same file on the same base gives the same plan, and with the digests of the files that a step reads a
//! [`Key`], under which what it gave is remembered.

mod config;
mod error;
mod git;
mod go;
mod key;
mod owner;
mod plan;
mod secret;
pub mod shelf;
mod state;

pub use error::Error;
pub use git::{GitError, GitSource};
pub use key::Key;
pub use owner::{Owner, mode};
pub use plan::{CopyPlan, Effect, From, Planned, RunPlan};
pub use secret::looks_secret;
pub use shelf::{Shelf, Trace};
pub use state::{State, Words};
