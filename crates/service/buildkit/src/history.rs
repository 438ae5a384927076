//! The builds that ended lately, for `docker buildx history`. In memory alone: a record is no secret keeper.
//!
//! Values of build arguments are left out of records: people pass passwords in them, though they should not.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{Stream, StreamExt as _, stream};
use hakone_buildkit_model::wire::{self, control};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Code, Status};

use crate::{Error, export::Answers, report::now, solve::Solve};

/// Records kept.
const MOST: usize = 100;
/// Events that a slow listener may lag behind.
const QUEUE: usize = 64;
/// Bytes of the attributes that a record keeps: a client may send megabytes of them.
const ATTRIBUTES: usize = 64 << 10;

type Event = control::BuildHistoryEvent;
type Told = control::BuildHistoryEventType;

/// The records, and who waits for them.
#[derive(Clone, Debug)]
pub(crate) struct History(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    records: Mutex<Records>,
    events: broadcast::Sender<Event>,
}

/// Builds that go on and builds that ended: a build is in one of both, and changes under one lock, together with its event.
#[derive(Debug, Default)]
struct Records {
    running: BTreeMap<String, Arc<Solve>>,
    ended: Vec<control::BuildHistoryRecord>,
}

impl Default for History {
    fn default() -> Self {
        Self(Arc::new(Inner {
            records: Mutex::default(),
            events: broadcast::channel(QUEUE).0,
        }))
    }
}

/// The record of a build that goes on; dropped without an end it says that the build was cancelled.
#[derive(Debug)]
pub(crate) struct Open {
    history: History,
    solve: Arc<Solve>,
    ended: Option<Result<Answers, String>>,
}

impl Open {
    /// Says how the build ended.
    pub(crate) fn end(mut self, done: &Result<Answers, Error>) {
        self.ended = Some(match done {
            Ok(answers) => Ok(answers.clone()),
            Err(error) => Err(error.to_string()),
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let cancelled = || Err(Error::Cancelled.to_string());
        let ended = self.ended.take().unwrap_or_else(cancelled);
        self.history.end(&self.solve, ended);
    }
}

impl History {
    /// Begins the record of a build; those that clients call internal have none.
    pub(crate) fn begin(&self, solve: &Arc<Solve>) -> Open {
        if !solve.request.internal {
            let mut records = self.records();
            let id = solve.request.r#ref.clone();
            records.running.insert(id, Arc::clone(solve));
            self.tell(Told::Started, begun(solve));
        }
        Open {
            history: self.clone(),
            solve: Arc::clone(solve),
            ended: None,
        }
    }

    fn end(&self, solve: &Solve, done: Result<Answers, String>) {
        let mut records = self.records();
        if records.running.remove(&solve.request.r#ref).is_none() {
            return;
        }
        let record = complete(solve, done);
        self.tell(Told::Complete, record.clone());
        records.ended.push(record);
        if records.ended.len() > MOST {
            let oldest = records.ended.iter().position(|record| !record.pinned);
            records.ended.remove(oldest.unwrap_or(0));
        }
    }

    /// Gives the records that a client asks for, and those of later builds when it waits for them.
    pub(crate) fn listen(
        &self,
        request: &control::BuildHistoryRequest,
    ) -> impl Stream<Item = Result<Event, Status>> + use<> {
        let records = self.records();
        let later = BroadcastStream::new(self.0.events.subscribe());
        let ended = records.ended.iter().filter(|_| !request.active_only);
        let complete = ended.map(|record| event(Told::Complete, record.clone()));
        let running = records.running.values();
        let running = running.map(|solve| event(Told::Started, begun(solve)));
        let reference = request.r#ref.clone();
        let fits = move |event: &Event| {
            let id = event.record.as_ref().map(|record| &record.r#ref);
            reference.is_empty() || id == Some(&reference)
        };
        let now: Vec<_> = complete.chain(running).filter(&fits).map(Ok).collect();
        drop(records);
        let later = later
            .filter_map(async |event| event.ok())
            .filter(move |event| std::future::ready(fits(event)))
            .map(Ok);
        let later = match request.early_exit {
            true => stream::empty().left_stream(),
            false => later.right_stream(),
        };
        stream::iter(now).chain(later)
    }

    /// Pins a record or takes it out.
    pub(crate) fn update(&self, request: &control::UpdateBuildHistoryRequest) -> Result<(), Error> {
        let mut records = self.records();
        let mut all = records.ended.iter();
        let at = all.position(|record| record.r#ref == request.r#ref);
        let at = at.ok_or_else(|| Error::NoBuild(request.r#ref.chars().take(256).collect()))?;
        if request.delete {
            let record = records.ended.remove(at);
            self.tell(Told::Deleted, record);
        } else if let Some(record) = records.ended.get_mut(at).filter(|_| !request.finalize) {
            record.pinned = request.pinned;
        }
        Ok(())
    }

    fn tell(&self, kind: Told, record: control::BuildHistoryRecord) {
        // Nobody may be listening.
        self.0.events.send(event(kind, record)).ok();
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        let records = &self.0.records;
        records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn event(kind: Told, record: control::BuildHistoryRecord) -> Event {
    Event {
        r#type: kind.into(),
        record: Some(record),
    }
}

/// Makes the record of a build that is going on.
fn begun(solve: &Solve) -> control::BuildHistoryRecord {
    let mut attributes = solve.request.frontend_attrs.clone();
    let mut room = ATTRIBUTES;
    attributes.retain(|key, value| {
        let left = room.checked_sub(key.len() + value.len());
        let kept = !key.starts_with("build-arg:") && left.is_some();
        room = left.filter(|_| kept).unwrap_or(room);
        kept
    });
    control::BuildHistoryRecord {
        r#ref: solve.request.r#ref.clone(),
        frontend: solve.request.frontend.chars().take(256).collect(),
        frontend_attrs: attributes,
        exporters: solve.request.exporters.iter().map(exporter).collect(),
        created_at: Some(solve.started.into()),
        ..Default::default()
    }
}

/// Gives an exporter with its name alone.
fn exporter(full: &control::Exporter) -> control::Exporter {
    let named = full
        .attrs
        .get_key_value("name")
        .filter(|(_, name)| name.len() < 4096);
    let attrs = named.map(|(key, name)| (key.clone(), name.clone()));
    control::Exporter {
        r#type: full.r#type.chars().take(64).collect(),
        attrs: attrs.into_iter().collect(),
    }
}

/// Makes the record of a build that ended.
fn complete(solve: &Solve, done: Result<Answers, String>) -> control::BuildHistoryRecord {
    let mut record = begun(solve);
    let (total, completed, cached) = solve.report.steps();
    record.num_total_steps = total;
    record.num_completed_steps = completed;
    record.num_cached_steps = cached;
    record.completed_at = Some(now().into());
    match done {
        Ok(answers) => record.exporter_response = answers.into_iter().collect(),
        Err(message) => {
            record.error = Some(wire::Status {
                code: Code::Unknown.into(),
                message,
                details: Vec::new(),
            });
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solve(id: &str) -> Arc<Solve> {
        let request = control::SolveRequest {
            r#ref: id.into(),
            frontend_attrs: [
                ("build-arg:KEY".to_owned(), "hunter2".to_owned()),
                ("label:large".to_owned(), "x".repeat(ATTRIBUTES)),
                ("target".to_owned(), "last".to_owned()),
            ]
            .into(),
            ..Default::default()
        };
        Solve::new(request, Default::default()).0
    }

    fn ended(history: &History, id: &str) {
        history.begin(&solve(id)).end(&Ok(Answers::new()));
    }

    fn ask(id: &str) -> control::BuildHistoryRequest {
        control::BuildHistoryRequest {
            r#ref: id.into(),
            early_exit: true,
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn records_are_bounded_and_hold_no_arguments() {
        let history = History::default();
        for n in 0..150 {
            ended(&history, &n.to_string());
        }
        let events: Vec<_> = history.listen(&ask("")).collect().await;
        assert_eq!(events.len(), MOST);
        let all = format!("{events:?}");
        assert!(!all.contains("hunter2") && !all.contains("xxxx"));
        assert!(all.contains("last"));
        let one: Vec<_> = history.listen(&ask("149")).collect().await;
        assert_eq!(one.len(), 1);
    }

    #[tokio::test]
    async fn a_record_can_be_taken_out_once() {
        let history = History::default();
        ended(&history, "a");
        let gone = control::UpdateBuildHistoryRequest {
            r#ref: "a".into(),
            delete: true,
            ..Default::default()
        };
        assert!(history.update(&gone).is_ok());
        assert!(history.update(&gone).is_err());
    }

    #[tokio::test]
    async fn who_waits_hears_of_a_build_that_is_dropped() {
        let history = History::default();
        let waits = control::BuildHistoryRequest::default();
        let mut events = Box::pin(history.listen(&waits));
        let open = history.begin(&solve("a"));
        let late: Vec<_> = history.listen(&ask("a")).collect().await;
        drop(open);
        let started = events.next().await.unwrap().unwrap();
        assert_eq!(started.r#type(), Told::Started);
        assert_eq!(
            late[0].as_ref().unwrap(),
            &started,
            "one that goes on is shown"
        );
        let complete = events.next().await.unwrap().unwrap();
        assert_eq!(complete.r#type(), Told::Complete);
        let error = complete.record.unwrap().error.unwrap();
        assert_eq!(error.message, "the build was cancelled");
    }
}
