//! Speaks to whoever listens to a build.

use std::sync::Arc;

use bytes::Bytes;
use hakone_base::{ContainerId, Digest};

use crate::{Event, Progress, StepNumber, Stream, Vertex, cache::now};

/// The voice of one vertex.
#[derive(Clone)]
pub(crate) struct Voice {
    progress: Arc<dyn Progress>,
    vertex: Digest,
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Voice").field(&self.vertex).finish()
    }
}

impl Voice {
    /// Announces a vertex.
    pub(crate) async fn new(
        progress: &Arc<dyn Progress>,
        name: String,
        inputs: Vec<Digest>,
        step: Option<StepNumber>,
    ) -> Self {
        let place = step.as_ref().map(|step| step.number);
        let id = named(&name, place, &inputs);
        let vertex = Vertex {
            id: id.clone(),
            name,
            inputs,
            step,
        };
        progress.tell(Event::Vertex(vertex)).await;
        Self {
            progress: Arc::clone(progress),
            vertex: id,
        }
    }

    pub(crate) const fn id(&self) -> &Digest {
        &self.vertex
    }

    /// Tells that it reads what another vertex gives.
    pub(crate) async fn reads(&self, input: Digest) {
        let vertex = self.vertex.clone();
        self.progress.tell(Event::Reads { vertex, input }).await;
    }

    pub(crate) async fn started(&self) {
        let (vertex, at) = (self.vertex.clone(), now());
        self.progress.tell(Event::Started { vertex, at }).await;
    }

    pub(crate) async fn completed(&self, cached: bool, error: Option<String>) {
        let event = Event::Completed {
            vertex: self.vertex.clone(),
            at: now(),
            cached,
            error,
        };
        self.progress.tell(event).await;
    }

    pub(crate) async fn log(&self, stream: Stream, bytes: Bytes) {
        let event = Event::Log {
            vertex: self.vertex.clone(),
            stream,
            bytes,
            at: now(),
        };
        self.progress.tell(event).await;
    }

    pub(crate) async fn say(&self, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.log(Stream::Output, bytes).await;
    }

    pub(crate) async fn image(&self, image: Option<Digest>, last: bool) {
        let vertex = self.vertex.clone();
        let event = Event::Image {
            vertex,
            image,
            last,
        };
        self.progress.tell(event).await;
    }

    pub(crate) async fn running(&self, container: ContainerId) {
        let vertex = self.vertex.clone();
        self.progress
            .tell(Event::Running { vertex, container })
            .await;
    }

    pub(crate) async fn removed(&self, container: ContainerId) {
        let vertex = self.vertex.clone();
        self.progress
            .tell(Event::Removed { vertex, container })
            .await;
    }

    pub(crate) async fn warn(&self, message: String, detail: Vec<String>, lines: (usize, usize)) {
        let event = Event::Warning {
            vertex: self.vertex.clone(),
            message,
            detail,
            url: String::new(),
            lines: Some(lines),
        };
        self.progress.tell(event).await;
    }

    pub(crate) async fn status(&self, id: &str, current: u64, total: u64) {
        let done = total > 0 && current >= total;
        let event = Event::Status {
            vertex: self.vertex.clone(),
            id: id.to_owned(),
            current,
            total,
            started: now(),
            completed: done.then(now),
        };
        self.progress.tell(event).await;
    }
}

/// Gives the id of a vertex.
pub(crate) fn named(name: &str, place: Option<usize>, inputs: &[Digest]) -> Digest {
    Digest::of(format!("{name}\n{place:?}\n{inputs:?}").as_bytes())
}
