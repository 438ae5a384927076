//! `--format`: the part of Go's template language that docker's users write.
//!
//! Fields, variables, pipelines, `if`, `with`, `range`, trimming, comments, and docker's functions. Own code because the one crate
//! for it has not been kept since 2021. Limits: the template is the user's own, so only nesting is bounded.

mod functions;
mod lexer;
mod parser;
mod render;
mod template;

pub use template::{Error, Template};
