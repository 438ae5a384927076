//! The attacks of `hakone attack` as values: the frames that a hostile container sends, each with a mark by which whoever
//! receives it knows it again, and the report of what became of them.
//!
//! None does harm where it succeeds: every frame goes to throw-away containers or to addresses that stand for nobody.

mod frame;
mod report;
mod scene;
mod tables;

pub use frame::Mark;
pub use report::{Outcome, Report, Role, Trial};
pub use scene::{Person, Scene};
pub use tables::{Attack, beyond, honest, isolated, members, outward};
