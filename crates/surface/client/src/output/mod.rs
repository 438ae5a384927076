//! How results are shown: aligned tables, lists in all of docker's formats, inspected objects, progress.

mod cut;
pub mod inspect;
pub mod list;
pub mod progress;
pub mod table;

pub use cut::{ellipsis, shortened};
pub use list::{Column, Format, Row};
