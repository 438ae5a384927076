//! Tries on the real network what the model says of who reaches whom, from inside the containers' network namespaces.

mod measure;
mod try_all;

pub use measure::{Error, Measured, measure};
