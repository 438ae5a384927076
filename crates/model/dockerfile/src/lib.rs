//! Dockerfiles as values: parser directives, instructions, stages, variables, and what a target needs.
//!
//! A Dockerfile and its `.dockerignore` are written by strangers and read by the daemon. They are parsed here, without I/O
//! and within [`Limits`], into types that say all and hold nothing unchecked: [`Dockerfile::parse`] gives stages of steps as
//! written; [`GlobalScope`] and [`StageScope`] know which variable means what where; [`Step::expand`] replaces them;
//! [`Graph`] says which stage needs which. Errors are in Docker's words.

mod command;
mod copy;
mod directive;
mod dockerfile;
mod error;
mod expand;
mod flags;
mod graph;
mod health;
mod heredoc;
pub mod ignore;
mod instruction;
mod limits;
mod lines;
mod mount;
mod parse;
pub mod pattern;
pub mod pin;
mod scope;
mod span;
mod stage;
mod substitute;
mod suggest;
mod variables;
mod words;

pub use command::{Command, Run, RunNetwork, RunSecurity, Script};
pub use copy::{Add, Copy, Source};
pub use directive::{Check, Directives, Escape};
pub use dockerfile::{Dockerfile, Draft, Outline};
pub use error::{Error, Problem};
pub use expand::Expanded;
pub use graph::{Base, Graph, Resolved};
pub use health::{Healthcheck, Timings};
pub use heredoc::Heredoc;
pub use instruction::{ArgPair, From, Instruction, Onbuild, Pair, Step};
pub use limits::Limits;
pub use mount::{CacheSharing, Mount, MountKind};
pub use parse::parse_trigger;
pub use scope::{BuildArgs, GlobalScope, Platform, Platforms, StageScope};
pub use span::Span;
pub use stage::Stage;
pub use substitute::{Text, word, words};
pub use variables::Variables;
