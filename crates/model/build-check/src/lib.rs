//! The checks that a build makes of its Dockerfile, under the names that BuildKit gave them.
//!
//! Pure: the file and what the build knows in, [`Warning`]s with lines out, for `--check` and for the progress of a build.
//! `# check=skip=…` is heard here; whether warnings are errors is for the caller, who knows the build's own wish.

mod check;
mod file;
mod instructions;
mod stages;
mod variables;
mod warning;

pub use check::{Facts, check};
pub use warning::{Rule, Warning};
