//! A person's terminal joined to a process: raw keys, sizes, detach keys, signals, two streams in one connection.

pub(crate) mod detach;
pub(crate) mod frames;
pub(crate) mod pump;
pub(crate) mod raw;
pub(crate) mod resize;
pub(crate) mod signals;
