//! The language of ps(1), as far as `docker top` is asked in it: which columns, and what stands in them.
//!
//! Selections (`-e`, `a`, `x`) say nothing here, as the processes are those of a container. What would draw trees or list
//! threads is refused. Times of day are UTC.

mod column;
mod process;

pub(crate) use column::{Column, parse};
pub(crate) use process::{Host, line, share, up};
