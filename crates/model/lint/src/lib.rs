//! Advice on Dockerfiles: the rules that users of hadolint know by their numbers, what silences them, and the reports.
//!
//! Pure: bytes and [`Settings`] in, [`Finding`]s out. [`check`] reads the file instruction by instruction, so that one
//! fault does not hide the rest; the rules look at a view, where every `RUN` is already a shell script in parts.
//! The numbers and severities are those of hadolint and ShellCheck; the code and the words are our own.

mod catalog;
mod check;
mod finding;
mod label;
mod pragma;
pub mod report;
mod rules;
mod settings;
mod shellcheck;
mod view;

pub use check::check;
pub use finding::{Finding, Severity};
pub use label::LabelKind;
pub use report::Format;
pub use settings::{Settings, SettingsError, Threshold};
