//! Builds images: carries out the steps of Dockerfiles, and remembers what they gave.
//!
//! What a build reads it asks its [`Sources`] for; what it does it tells its [`Progress`]; so the classic endpoint and the
//! BuildKit side are two ways to the same builder. A build ends when the future of its caller is dropped: its containers
//! and folders are removed then, and after a crash at the next start.

mod neighbour;
mod progress;
mod request;
mod sources;

pub use neighbour::{BoxFuture, Refusal};
pub use progress::{Event, Progress, StepNumber, Stream, Vertex};
pub use request::{Built, Cleanup, Export, Pull, Request, Resources, Reuse, Style};
pub use sources::{Agent, Folder, Named, Sources, Wanted};
