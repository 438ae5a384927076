//! Kernel tests (placeholder; overwrite me: a manifest without this file stops everybody).
fn main() {}
