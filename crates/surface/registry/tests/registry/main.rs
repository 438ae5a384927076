//! The registry over its socket: the protocol row by row, who is told, who is waited for, and the attacks on each.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::indexing_slicing, reason = "helpers of tests")]

mod cache;
mod notices;
mod patience;
mod rows;
mod served;
