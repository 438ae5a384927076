//! The self-test behind `hakone attack`: throw-away containers on throw-away networks attack each other, and the report says
//! what was blocked. Beside the attacks stand controls that must get through, so that silence is no proof.
//!
//! The daemon does all of it, in a task of its own: whoever asked may hang up, and everything is taken away all the same.

mod ear;
mod error;
mod ground;
mod range;
mod service;
mod trials;

pub use error::Error;
pub use hakone_attack_model::{Outcome, Report, Role, Trial};
pub use range::{BoxFuture, LABEL, Range, Refusal, Stand, Wish};
pub use service::Service;
