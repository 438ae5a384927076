//! How results are shown: aligned tables, lists in all of docker's formats, inspected objects, progress.

pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod progress;
pub(crate) mod table;

pub(crate) use list::{Column, Format, Row};
