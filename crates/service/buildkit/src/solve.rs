//! One build of a client: asked for in one call, steered by others, watched by a third.
//!
//! buildx opens a build without saying what to build (`Control.Solve`), then asks for results through the gateway
//! (`LLBBridge.Solve`), then says which of them are meant (`LLBBridge.Return`); only then the first call ends, with what the
//! exporters made. Everything of a build ends with that first call, however it ends.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use hakone_buildkit_model::{CacheExport, Export, Moment, wire::control};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    frontend::Product,
    report::{Report, now},
};

/// Results that one build may ask for.
const RESULTS: usize = 256;

/// What a client says that its results are.
pub(crate) type Returned = Result<Vec<Arc<Product>>, Error>;

/// A build that is going on.
#[derive(Debug)]
pub(crate) struct Solve {
    pub(crate) request: control::SolveRequest,
    pub(crate) exports: Vec<Export>,
    pub(crate) caches: Vec<CacheExport>,
    pub(crate) report: Report,
    pub(crate) started: Moment,
    /// Cancelled when the build ends.
    pub(crate) over: CancellationToken,
    results: Mutex<HashMap<String, Arc<Product>>>,
    returned: Mutex<Option<oneshot::Sender<Returned>>>,
}

impl Solve {
    /// Begins one; the receiver hears what the gateway returns.
    pub(crate) fn new(
        request: control::SolveRequest,
        (exports, caches): (Vec<Export>, Vec<CacheExport>),
    ) -> (Arc<Self>, oneshot::Receiver<Returned>) {
        let (sender, receiver) = oneshot::channel();
        let solve = Self {
            report: Report::new(&request.r#ref),
            request,
            exports,
            caches,
            started: now(),
            over: CancellationToken::new(),
            results: Mutex::default(),
            returned: Mutex::new(Some(sender)),
        };
        (Arc::new(solve), receiver)
    }

    /// Keeps a result under an id of this build.
    pub(crate) fn keep(&self, product: Product) -> Result<String, Error> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.len() >= RESULTS {
            return Err(Error::TooMany("results"));
        }
        let id = format!("result-{}", results.len());
        results.insert(id.clone(), Arc::new(product));
        Ok(id)
    }

    /// Gives a result by its id.
    pub(crate) fn result(&self, id: &str) -> Option<Arc<Product>> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.get(id).cloned()
    }

    /// Hands over what the gateway returns; the first word counts.
    pub(crate) fn give_back(&self, returned: Returned) {
        let mut sender = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = sender.take() {
            // Nobody listens when the build ended meanwhile.
            sender.send(returned).ok();
        }
    }
}

/// All builds, and the stories of the last ones.
#[derive(Debug, Default)]
pub(crate) struct Solves {
    open: Mutex<BTreeMap<String, Arc<Solve>>>,
    /// Stories of builds that ended: a client may ask for one only now.
    ended: Mutex<Vec<(String, Report)>>,
    changed: tokio::sync::Notify,
}

/// Builds at once.
const MOST: usize = 128;
/// Stories kept of builds that ended, and bytes of their output.
const STORIES: usize = 16;
const STORY_BYTES: usize = 64 << 20;
/// Characters of an id.
const LONGEST: usize = 256;

impl Solves {
    /// Takes a build in; it is gone when the place is dropped.
    pub(crate) fn enter(self: &Arc<Self>, solve: &Arc<Solve>) -> Result<Place, Error> {
        let id = solve.request.r#ref.clone();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST {
            return Err(Error::TooMany("builds"));
        }
        if id.is_empty() || id.len() > LONGEST || open.contains_key(&id) {
            return Err(Error::BuildTaken(id.chars().take(LONGEST).collect()));
        }
        open.insert(id, Arc::clone(solve));
        drop(open);
        self.changed.notify_waiters();
        Ok(Place {
            solve: Arc::clone(solve),
            solves: Arc::clone(self),
        })
    }

    /// Gives an open build, waiting a little: its first call may be on the way.
    pub(crate) async fn wait(&self, id: &str) -> Result<Arc<Solve>, Error> {
        self.until(id, || {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.get(id).cloned()
        })
        .await
    }

    /// Gives the story of a build that is open or ended lately.
    pub(crate) async fn story(&self, id: &str) -> Result<Report, Error> {
        self.until(id, || {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let running = open.get(id).map(|solve| solve.report.clone());
            drop(open);
            running.or_else(|| {
                let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
                let found = ended.iter().rfind(|(known, _)| known == id);
                found.map(|(_, report)| report.clone())
            })
        })
        .await
    }

    async fn until<T>(&self, id: &str, find: impl Fn() -> Option<T>) -> Result<T, Error> {
        let patience = std::time::Duration::from_secs(5);
        let found = tokio::time::timeout(patience, self.found(find)).await;
        found.map_err(|_elapsed| Error::NoBuild(id.chars().take(LONGEST).collect()))
    }

    async fn found<T>(&self, find: impl Fn() -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listens before it looks, so that nothing slips in between.
            changed.as_mut().enable();
            if let Some(found) = find() {
                return found;
            }
            changed.await;
        }
    }
}

/// Ends a build when its first call ends, however it ends.
pub(crate) struct Place {
    solve: Arc<Solve>,
    solves: Arc<Solves>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let id = &self.solve.request.r#ref;
        self.solve.over.cancel();
        self.solve.report.end();
        let mut ended = self
            .solves
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ended.push((id.clone(), self.solve.report.clone()));
        forget(&mut ended);
        drop(ended);
        let open = &self.solves.open;
        open.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }
}

/// Drops the oldest stories, so that few stay and these hold little.
fn forget(ended: &mut Vec<(String, Report)>) {
    let mut room = STORY_BYTES;
    let fits = |(_, report): &&(String, Report)| {
        let left = room.checked_sub(report.held());
        room = left.unwrap_or(0);
        left.is_some()
    };
    let kept = ended.iter().rev().take(STORIES).take_while(fits).count();
    ended.drain(..ended.len().saturating_sub(kept));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str) -> control::SolveRequest {
        control::SolveRequest {
            r#ref: id.into(),
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn a_build_is_found_by_who_came_before_it_and_after_it() {
        let solves = Arc::new(Solves::default());
        let waiting = Arc::clone(&solves);
        let early = tokio::spawn(async move { waiting.wait("a").await.is_ok() });
        tokio::task::yield_now().await;
        let (solve, _returned) = Solve::new(request("a"), Default::default());
        let place = solves.enter(&solve).unwrap();
        assert!(early.await.unwrap());
        drop(place);
        assert!(solve.over.is_cancelled());
        assert!(
            solves.story("a").await.is_ok(),
            "its story can still be heard"
        );
    }

    #[test]
    fn an_id_is_taken_once() {
        let solves = Arc::new(Solves::default());
        let (first, _one) = Solve::new(request("a"), Default::default());
        let (second, _two) = Solve::new(request("a"), Default::default());
        let _place = solves.enter(&first).unwrap();
        assert!(matches!(solves.enter(&second), Err(Error::BuildTaken(_))));
    }

    #[test]
    fn stories_of_the_past_are_few() {
        let solves = Arc::new(Solves::default());
        for n in 0..100 {
            let (solve, _returned) = Solve::new(request(&n.to_string()), Default::default());
            drop(solves.enter(&solve).unwrap());
        }
        assert_eq!(solves.ended.lock().unwrap().len(), STORIES);
    }

    #[test]
    fn stories_of_the_past_hold_little() {
        let loud = |n: usize| {
            let report = Report::new(&n.to_string());
            for vertex in 0..20 {
                report.log(&vertex.to_string(), 1, &vec![b'x'; 2 << 20], now());
            }
            (n.to_string(), report)
        };
        let mut ended: Vec<_> = (0..5).map(loud).collect();
        forget(&mut ended);
        let kept: Vec<_> = ended.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(kept, ["3", "4"]);
    }
}
