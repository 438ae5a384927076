//! The smallest policies that allow what the flow log saw of a running application.
//!
//! A [`Lesson`] hears lines of the flow log and says, for each service or container of the application, who began what with
//! it and what it began with whom: as `NetworkPolicy` documents, or as the labels of a compose file. What was refused is
//! not learned. `hakone policy learn` feeds it; nothing here knows a daemon.

mod lesson;
mod place;
mod seen;
mod write;

pub use lesson::{Lesson, MOST_FLOWS};
pub use place::Person;
