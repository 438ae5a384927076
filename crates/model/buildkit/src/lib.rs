//! What buildx and the engine say to each other, judged: attributes of a build, files of a context, definitions, progress.
//!
//! buildx speaks gRPC in two directions: it calls the engine (`Control`, `LLBBridge`), and the engine calls it back for files,
//! secrets and passwords. All of it comes from outside: sizes, counts and depths have limits, paths stay inside, what is not
//! understood is refused by name. Pure; `hakone-buildkit` carries the messages.

mod attest;
mod attributes;
mod cache;
mod capability;
mod checks;
mod definition;
mod entry;
mod error;
mod explain;
mod export;
mod header;
mod layout;
mod list;
mod listing;
mod notes;
mod packing;
pub mod patterns;
mod progress;
mod provenance;
mod receiver;
mod sender;
mod statement;
mod titles;
mod values;
pub mod wire;

pub use attest::{Attest, Bill, Form, Mode, Place, Provenance};
pub use attributes::{Fresh, MainContext, Network, Order, Platforms, Pull, Question, Ulimit};
pub use cache::{CacheExport, CachePlace, CacheSource};
pub use capability::{FRONTEND, LLB, capabilities};
pub use checks::check;
pub use definition::{Graph, Limits, Node, Operation};
pub use entry::{Entry, What};
pub use error::Error;
pub use explain::{Documents, explain};
pub use export::{Export, Target};
/// What a build check found.
pub use hakone_build_check::Warning as Finding;
pub use header::selection;
pub use layout::{Member, Whole, tie, top};
pub use listing::Listing;
pub use notes::{Noted, Notes};
pub use packing::Packing;
pub use progress::{Moment, clip, vertex_digest};
pub use provenance::{Account, Made, Material};
pub use receiver::{Bounds, Receiver, Step};
pub use sender::{Answer, Sender, folder, listed};
pub use statement::{Statement, Subject, image_url};
pub use titles::Titles;
