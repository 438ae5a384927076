//! The builds that ended lately, for `docker buildx history`. In memory alone: a record is no secret keeper.
//!
//! Values of build arguments are left out of records: people pass passwords in them, though they should not.

use std::sync::{Mutex, PoisonError};

use futures_util::{Stream, StreamExt as _, stream};
use hakone_buildkit_model::{
    Moment,
    wire::{self, control},
};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Code, Status};

use crate::{Error, export::Answers, report::now, solve::Solve};

/// Records kept.
const MOST: usize = 100;
/// Events that a slow listener may lag behind.
const QUEUE: usize = 64;

type Event = control::BuildHistoryEvent;

/// The records.
#[derive(Debug)]
pub(crate) struct History {
    records: Mutex<Vec<control::BuildHistoryRecord>>,
    events: broadcast::Sender<Event>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            records: Mutex::default(),
            events: broadcast::channel(QUEUE).0,
        }
    }
}

impl History {
    /// Keeps a record of a build that ended.
    pub(crate) fn add(&self, solve: &Solve, started: Moment, ended: &Result<Answers, Error>) {
        if solve.request.internal {
            return;
        }
        let mut record = begun(solve, started);
        let (total, completed, cached) = solve.report.steps();
        record.num_total_steps = total;
        record.num_completed_steps = completed;
        record.num_cached_steps = cached;
        record.completed_at = Some(now().into());
        match ended {
            Ok(answers) => record.exporter_response = answers.clone().into_iter().collect(),
            Err(error) => {
                record.error = Some(wire::Status {
                    code: Code::Unknown.into(),
                    message: error.to_string(),
                    details: Vec::new(),
                });
            }
        }
        self.tell(control::BuildHistoryEventType::Complete, record.clone());
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(record);
        if records.len() > MOST {
            let oldest = records
                .iter()
                .position(|record| !record.pinned)
                .unwrap_or(0);
            records.remove(oldest);
        }
    }

    /// Gives the records that a client asks for, and those of later builds when it waits for them.
    pub(crate) fn listen(
        &self,
        request: &control::BuildHistoryRequest,
        open: Vec<control::BuildHistoryRecord>,
    ) -> impl Stream<Item = Result<Event, Status>> + use<> {
        let later = BroadcastStream::new(self.events.subscribe());
        let records = self
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let old = match request.active_only {
            true => Vec::new(),
            false => records,
        };
        let reference = request.r#ref.clone();
        let fits = move |event: &Event| {
            reference.is_empty()
                || event
                    .record
                    .as_ref()
                    .is_some_and(|record| record.r#ref == reference)
        };
        let complete = old
            .into_iter()
            .map(|record| event(control::BuildHistoryEventType::Complete, record));
        let running = open
            .into_iter()
            .map(|record| event(control::BuildHistoryEventType::Started, record));
        let now: Vec<_> = complete.chain(running).filter(&fits).map(Ok).collect();
        let early = request.early_exit;
        let later = later
            .filter_map(async |event| event.ok())
            .filter(move |event| std::future::ready(fits(event)))
            .map(Ok)
            .take_while(move |_| std::future::ready(!early));
        let later = match early {
            true => stream::empty().left_stream(),
            false => later.right_stream(),
        };
        stream::iter(now).chain(later)
    }

    /// Pins a record or takes it out.
    pub(crate) fn update(&self, request: &control::UpdateBuildHistoryRequest) -> Result<(), Error> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let at = records
            .iter()
            .position(|record| record.r#ref == request.r#ref);
        let at = at.ok_or_else(|| Error::NoBuild(request.r#ref.chars().take(256).collect()))?;
        if request.delete {
            let record = records.remove(at);
            drop(records);
            self.tell(control::BuildHistoryEventType::Deleted, record);
        } else if let Some(record) = records.get_mut(at).filter(|_| !request.finalize) {
            record.pinned = request.pinned;
        }
        Ok(())
    }

    fn tell(&self, kind: control::BuildHistoryEventType, record: control::BuildHistoryRecord) {
        // Nobody may be listening.
        self.events.send(event(kind, record)).ok();
    }
}

fn event(kind: control::BuildHistoryEventType, record: control::BuildHistoryRecord) -> Event {
    Event {
        r#type: kind.into(),
        record: Some(record),
    }
}

/// Makes the record of a build that is going on.
pub(crate) fn begun(solve: &Solve, started: Moment) -> control::BuildHistoryRecord {
    let mut attributes = solve.request.frontend_attrs.clone();
    attributes.retain(|key, _| !key.starts_with("build-arg:"));
    control::BuildHistoryRecord {
        r#ref: solve.request.r#ref.clone(),
        frontend: solve.request.frontend.clone(),
        frontend_attrs: attributes,
        exporters: solve.request.exporters.clone(),
        created_at: Some(started.into()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(history: &History, id: &str) {
        let request = control::SolveRequest {
            r#ref: id.into(),
            frontend_attrs: [("build-arg:KEY".to_owned(), "hunter2".to_owned())].into(),
            ..Default::default()
        };
        let (solve, _returned) = Solve::new(request, Vec::new());
        history.add(&solve, now(), &Ok(Answers::new()));
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
        let events: Vec<_> = history.listen(&ask(""), Vec::new()).collect().await;
        assert_eq!(events.len(), MOST);
        assert!(!format!("{events:?}").contains("hunter2"));
        let one: Vec<_> = history.listen(&ask("149"), Vec::new()).collect().await;
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
}
