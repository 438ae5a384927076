//! A build that one request asks for and hears of (`POST /build?version=2`), as clients do that have a session and no calls of their own.
//!
//! The same build as through `Control`: the request's words become attributes of the front end, and its story is told in the same messages.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    Stream, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use hakone_buildkit_model::wire::control;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use crate::{Error, Failure, Service, content::told};

/// The answer of the exporter that says which image it is.
const IMAGE: &str = "containerimage.config.digest";

/// What a request asks for.
#[derive(Clone, Debug, Default)]
pub struct Direct {
    /// By which the build is cancelled; of the client's choice.
    pub id: String,
    /// The client's session.
    pub session: String,
    /// Attributes of the Dockerfile's front end.
    pub attributes: BTreeMap<String, String>,
    /// Where the result goes, of which kind and with which attributes; nowhere without.
    pub exporter: Option<(String, BTreeMap<String, String>)>,
    /// Whether the image carries its cache.
    pub inline_cache: bool,
    /// What else the build may do: `network.host`.
    pub entitlements: Vec<String>,
}

/// What there is to say of it, in order.
#[derive(Clone, Debug)]
pub enum Told {
    /// A `moby.buildkit.v1.StatusResponse` in its wire form.
    Trace(Vec<u8>),
    /// The image that was made, at the end.
    Image(String),
    /// Why none was, at the end.
    Failed(Failure),
}

struct Running {
    work: Option<BoxFuture<'static, Result<control::SolveResponse, Error>>>,
    story: Option<BoxStream<'static, control::StatusResponse>>,
    place: Cancellable,
    last: Option<Told>,
}

impl Service {
    /// Begins a build; to drop the stream ends it.
    pub fn carry_out(&self, direct: Direct) -> impl Stream<Item = Told> + Send + use<> {
        let (service, id) = (self.clone(), direct.id.clone());
        let place = self.0.direct.begin(&id);
        let request = request(direct);
        let solving = service.clone();
        let work = async move { solving.solve(request).await };
        let story = async move { service.0.solves.story(&id).await };
        let story = stream::once(story)
            .filter_map(|story| std::future::ready(story.ok()))
            .flat_map(|story| story.listen())
            .filter_map(|status| std::future::ready(status.ok()));
        let running = Running {
            work: Some(Box::pin(work)),
            story: Some(story.boxed()),
            place,
            last: None,
        };
        stream::unfold(running, async |mut running| {
            Some((running.next().await?, running))
        })
    }

    /// Ends the build of that id, when there is one.
    pub fn cancel(&self, id: &str) {
        self.0.direct.cancel(id);
    }
}

impl Running {
    async fn next(&mut self) -> Option<Told> {
        loop {
            let ended = match (&mut self.story, &mut self.work) {
                (Some(story), Some(work)) => tokio::select! {
                    biased;
                    () = self.place.token.cancelled() => Err(Error::Cancelled),
                    ended = work => ended,
                    Some(status) = story.next() => return Some(Told::Trace(status.encode_to_vec())),
                },
                // A build that ended has told everything, unless it never began.
                (Some(story), None) => match tokio::time::timeout(LATE, story.next()).await {
                    Ok(Some(status)) => return Some(Told::Trace(status.encode_to_vec())),
                    Ok(None) | Err(_) => {
                        self.story = None;
                        continue;
                    }
                },
                (None, _) => return self.last.take(),
            };
            self.work = None;
            self.last = match ended {
                Ok(mut answers) => answers.exporter_response.remove(IMAGE).map(Told::Image),
                Err(error) => Some(Told::Failed(told(&error))),
            };
        }
    }
}

/// How long the end of a story may take.
const LATE: std::time::Duration = std::time::Duration::from_millis(500);

fn request(direct: Direct) -> control::SolveRequest {
    let exporter = direct.exporter.into_iter();
    let exporters = exporter.map(|(kind, attributes)| control::Exporter {
        r#type: kind,
        attrs: attributes.into_iter().collect(),
    });
    let inline = control::CacheOptionsEntry {
        r#type: "inline".into(),
        ..Default::default()
    };
    control::SolveRequest {
        r#ref: direct.id,
        session: direct.session,
        frontend: "dockerfile.v0".into(),
        frontend_attrs: direct.attributes.into_iter().collect(),
        exporters: exporters.collect(),
        cache: direct.inline_cache.then(|| control::CacheOptions {
            exports: vec![inline],
            ..Default::default()
        }),
        entitlements: direct.entitlements,
        ..Default::default()
    }
}

/// Builds that may be cancelled by their ids; of equal ids the last counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancels(Arc<Mutex<BTreeMap<String, CancellationToken>>>);

/// A build's place among them, until it is dropped.
struct Cancellable {
    all: Cancels,
    id: String,
    token: CancellationToken,
}

impl Cancels {
    fn begin(&self, id: &str) -> Cancellable {
        let token = CancellationToken::new();
        self.lock().insert(id.to_owned(), token.clone());
        Cancellable {
            all: self.clone(),
            id: id.to_owned(),
            token,
        }
    }

    fn cancel(&self, id: &str) {
        if let Some(token) = self.lock().remove(id) {
            token.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        // To cancel what has ended does nothing, and tells whether the place is this one's still.
        self.token.cancel();
        let mut all = self.all.lock();
        if all
            .get(&self.id)
            .is_some_and(CancellationToken::is_cancelled)
        {
            all.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_cancelled_by_their_ids_and_forgotten_when_they_end() {
        let cancels = Cancels::default();
        let (one, two) = (cancels.begin("one"), cancels.begin("two"));
        cancels.cancel("one");
        cancels.cancel("nobody");
        assert!(one.token.is_cancelled() && !two.token.is_cancelled());
        let second = cancels.begin("two");
        drop(two);
        cancels.cancel("two");
        assert!(second.token.is_cancelled());
        drop((one, second));
        assert!(cancels.lock().is_empty());
    }
}
