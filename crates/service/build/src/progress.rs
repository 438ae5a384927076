//! What a build says while it works: one stream of events, from which the classic text as well as BuildKit's status is made.
//!
//! The build waits until an event is taken, so a slow listener slows the build and costs no memory.

use bytes::Bytes;
use hakone_base::{ContainerId, Digest, Timestamp};

use crate::BoxFuture;

/// Listens to a build.
pub trait Progress: Send + Sync + 'static {
    /// Takes an event. Events of one vertex come in order; those of several may mix.
    fn tell(&self, event: Event) -> BoxFuture<'_, ()>;
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A vertex is part of the build. Told once, before all else about it.
    Vertex(Vertex),
    /// A vertex reads what another one gives, besides those that it was announced with.
    Reads {
        /// Which.
        vertex: Digest,
        /// What it reads.
        input: Digest,
    },
    /// Work on a vertex began.
    Started {
        /// Which.
        vertex: Digest,
        /// When.
        at: Timestamp,
    },
    /// Work on a vertex ended. A remembered result may end without having been started.
    Completed {
        /// Which.
        vertex: Digest,
        /// When.
        at: Timestamp,
        /// Whether a remembered result was used.
        cached: bool,
        /// What went wrong.
        error: Option<String>,
    },
    /// A program of a step wrote something.
    Log {
        /// Of which vertex.
        vertex: Digest,
        /// Where it wrote to.
        stream: Stream,
        /// What.
        bytes: Bytes,
        /// When.
        at: Timestamp,
    },
    /// A part of the work proceeds: a layer that is pulled, a file that is fetched.
    Status {
        /// Of which vertex.
        vertex: Digest,
        /// What proceeds.
        id: String,
        /// How far it is.
        current: u64,
        /// How far it goes; 0 when nobody knows.
        total: u64,
        /// When it began.
        started: Timestamp,
        /// When it ended.
        completed: Option<Timestamp>,
    },
    /// The user should know something about a line of the Dockerfile.
    Warning {
        /// Of which vertex.
        vertex: Digest,
        /// One sentence.
        message: String,
        /// More of it.
        detail: Vec<String>,
        /// A page about it.
        url: String,
        /// The first and the last line, from 1.
        lines: Option<(usize, usize)>,
    },
    /// A step is done, and this is the image so far.
    Image {
        /// Of which vertex.
        vertex: Digest,
        /// The id of the image; none for one without layers and config.
        image: Option<Digest>,
        /// Whether it is what the stage gives.
        last: bool,
    },
    /// A step runs in this container.
    Running {
        /// Of which vertex.
        vertex: Digest,
        /// The container.
        container: ContainerId,
    },
    /// The container of a step is gone.
    Removed {
        /// Of which vertex.
        vertex: Digest,
        /// The container.
        container: ContainerId,
    },
}

/// A piece of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vertex {
    /// What it is called in other events; made of what it does, not of what it gives.
    pub id: Digest,
    /// What people read: `[build 2/5] RUN make`.
    pub name: String,
    /// The vertices that come before it.
    pub inputs: Vec<Digest>,
    /// Which step it is, when it is one of the Dockerfile.
    pub step: Option<StepNumber>,
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepNumber {
    /// The stage, from 0; `None` for a global ARG.
    pub stage: Option<usize>,
    /// Its number among all steps of the build, from 1.
    pub number: usize,
    /// How many there are.
    pub count: usize,
    /// The instruction as the Dockerfile has it, on one line.
    pub text: String,
}

/// Where a program wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}
