//! Shell scripts as values: enough of POSIX sh and bash to judge what a line does, never to run it.
//!
//! Written for the `RUN` lines of Dockerfiles, which are hostile: nesting and size are bounded, and what cannot be read is
//! an error, not a guess. Own code because of the crates for this one is under the GPL, one is not kept, and one brings
//! forty others.

mod ast;
mod cursor;
mod parser;
mod walk;
mod word;

pub use ast::{
    AndOr, Assignment, Command, Connective, List, Parameter, Part, Pipeline, Redirect, Simple, Word,
};
pub use parser::{Fault, parse};
pub use walk::{Visit, walk};
