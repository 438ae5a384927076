//! A person's terminal joined to a process: raw keys, sizes, detach keys, signals, two streams in one connection.

pub mod detach;
pub mod frames;
pub mod pump;
pub mod raw;
pub mod resize;
pub mod signals;
