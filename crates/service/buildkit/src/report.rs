//! What a build tells while it works, kept so that a client that looks late sees it from the beginning.
//!
//! Bounded: the output of one step is cut at a limit, and a build that says too much is not heard any more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::{Stream, stream};
use hakone_buildkit_model::{
    Made, Moment, clip, vertex_digest,
    wire::{Timestamp, control, pb},
};
use prost::Message as _;
use tokio::sync::watch;
use tonic::Status;

use crate::neighbour::{Dockerfile, range};

/// Messages that one build may send; those that say how a vertex ends still pass, up to twice as many.
const MESSAGES: usize = 200_000;
/// Warnings of one build, and the bytes of Dockerfiles that stand in them: each carries the whole text for clients to show.
const INPUTS: usize = 1024;
const WARNINGS: usize = 500;
const QUOTED: usize = 4 << 20;
/// Bytes of output that are kept of one build.
const OUTPUT: usize = 32 << 20;
/// Messages that go out at once, and about how many bytes: clients take no message above 16 MB.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1 << 20;

/// The story of one build.
#[derive(Clone, Debug)]
pub struct Report(Arc<Story>);

#[derive(Debug)]
struct Story {
    build: String,
    told: Mutex<Told>,
    changed: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct Told {
    messages: Vec<control::StatusResponse>,
    vertices: HashMap<String, control::Vertex>,
    shown: HashMap<String, usize>,
    output: usize,
    warnings: usize,
    quoted: usize,
}

/// How far the story is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    messages: usize,
    ended: bool,
}

/// A counter that proceeds.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// What proceeds.
    pub id: String,
    /// How far it is.
    pub current: u64,
    /// How far it goes; 0 when nobody knows.
    pub total: u64,
    /// When it began.
    pub started: Option<Moment>,
    /// When it ended.
    pub completed: Option<Moment>,
}

/// Something that the user should know.
#[derive(Clone, Debug, Default)]
pub struct Warning {
    /// One sentence.
    pub message: String,
    /// More of it.
    pub detail: Vec<String>,
    /// A page about it.
    pub url: String,
    /// The Dockerfile, and the first and last line, from 1.
    pub place: Option<(Arc<Dockerfile>, usize, usize)>,
}

/// Tells the time.
#[must_use]
pub fn now() -> Moment {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl Report {
    /// Begins a story.
    pub(crate) fn new(build: &str) -> Self {
        Self(Arc::new(Story {
            build: build.to_owned(),
            told: Mutex::default(),
            changed: watch::channel(State::default()).0,
        }))
    }

    /// Names a vertex of this build by what it is called.
    #[must_use]
    pub fn digest(&self, name: &str) -> String {
        vertex_digest(&self.0.build, name)
    }

    /// Tells of a vertex that will be worked on.
    pub fn vertex(&self, digest: &str, name: &str, inputs: Vec<String>) {
        self.change(digest, |vertex| {
            name.clone_into(&mut vertex.name);
            vertex.inputs = inputs;
        });
    }

    /// Tells that a vertex reads what another one gives.
    pub fn reads(&self, digest: &str, input: String) {
        self.change(digest, |vertex| {
            if vertex.inputs.len() < INPUTS && !vertex.inputs.contains(&input) {
                vertex.inputs.push(input);
            }
        });
    }

    /// Tells that work on a vertex began.
    pub fn started(&self, digest: &str, at: Moment) {
        self.change(digest, |vertex| vertex.started = Some(Timestamp::from(at)));
    }

    /// Tells that work on a vertex ended.
    pub fn completed(&self, digest: &str, at: Moment, cached: bool, error: Option<&str>) {
        self.change(digest, |vertex| {
            vertex.started.get_or_insert(Timestamp::from(at));
            vertex.completed = Some(Timestamp::from(at));
            vertex.cached = cached;
            vertex.error = error.unwrap_or_default().to_owned();
        });
    }

    /// Passes a program's output on.
    pub fn log(&self, digest: &str, stream: i64, bytes: &[u8], at: Moment) {
        let mut told = self.told();
        let shown = told.shown.entry(digest.to_owned()).or_default();
        let msg = clip(*shown, bytes);
        *shown = shown.saturating_add(bytes.len().max(msg.len()));
        told.output = told.output.saturating_add(msg.len());
        if msg.is_empty() || told.output > OUTPUT {
            return;
        }
        let log = control::VertexLog {
            vertex: digest.to_owned(),
            timestamp: Some(at.into()),
            stream,
            msg,
        };
        let message = control::StatusResponse {
            logs: vec![log],
            ..Default::default()
        };
        self.tell(&mut told, message);
    }

    /// Tells how far something is.
    pub fn count(&self, digest: &str, count: Count) {
        let bounded = |number| i64::try_from(number).unwrap_or(i64::MAX);
        let status = control::VertexStatus {
            id: count.id.clone(),
            vertex: digest.to_owned(),
            name: count.id,
            current: bounded(count.current),
            total: bounded(count.total),
            timestamp: Some(now().into()),
            started: count.started.map(Into::into),
            completed: count.completed.map(Into::into),
        };
        let message = control::StatusResponse {
            statuses: vec![status],
            ..Default::default()
        };
        self.tell(&mut self.told(), message);
    }

    /// Tells of something that the user should know; beyond a limit nobody reads it.
    pub fn warn(&self, digest: &str, warning: Warning) {
        let mut told = self.told();
        told.warnings += 1;
        if told.warnings > WARNINGS {
            return;
        }
        let size = |(dockerfile, ..): &(Arc<Dockerfile>, usize, usize)| dockerfile.text.len();
        let quoted = told
            .quoted
            .saturating_add(warning.place.as_ref().map_or(0, size));
        let place = warning.place.filter(|_| quoted <= QUOTED);
        if place.is_some() {
            told.quoted = quoted;
        }
        let warning = control::VertexWarning {
            vertex: digest.to_owned(),
            level: 1,
            short: warning.message.into_bytes(),
            detail: warning.detail.into_iter().map(String::into_bytes).collect(),
            url: warning.url,
            info: place.as_ref().map(|(dockerfile, ..)| info(dockerfile)),
            ranges: place
                .map(|(_, first, last)| range(first, last))
                .into_iter()
                .collect(),
        };
        let message = control::StatusResponse {
            warnings: vec![warning],
            ..Default::default()
        };
        self.tell(&mut told, message);
    }

    /// Works on one vertex: tells that it began, and how it ended.
    pub(crate) async fn during<T, E: std::fmt::Display>(
        &self,
        name: &str,
        work: impl AsyncFnOnce(&str) -> Result<T, E>,
    ) -> Result<T, E> {
        let digest = self.digest(name);
        self.vertex(&digest, name, Vec::new());
        self.started(&digest, now());
        let done = work(&digest).await;
        let error = done.as_ref().err().map(ToString::to_string);
        self.completed(&digest, now(), false, error.as_deref());
        done
    }

    /// Ends the story.
    pub(crate) fn end(&self) {
        self.0.changed.send_modify(|state| state.ended = true);
    }

    /// Counts the steps: all, completed, cached.
    pub(crate) fn steps(&self) -> (i32, i32, i32) {
        let told = self.told();
        let count = |fits: &dyn Fn(&control::Vertex) -> bool| {
            let steps = told
                .vertices
                .values()
                .filter(|vertex| !vertex.name.starts_with("[internal]"));
            i32::try_from(steps.filter(|vertex| fits(vertex)).count()).unwrap_or(i32::MAX)
        };
        (
            count(&|_| true),
            count(&|vertex| vertex.completed.is_some()),
            count(&|vertex| vertex.cached),
        )
    }

    /// Lists the steps that are done, in the order in which they began, for an account of the build.
    pub(crate) fn made(&self) -> Vec<Made> {
        let told = self.told();
        let is_step = |vertex: &&control::Vertex| {
            vertex.completed.is_some() && !vertex.name.starts_with("exporting ")
        };
        let mut steps: Vec<&control::Vertex> = told.vertices.values().filter(is_step).collect();
        let begun = |vertex: &control::Vertex| vertex.started.map(|at| (at.seconds, at.nanos));
        steps.sort_by_key(|vertex| (begun(vertex), vertex.name.clone()));
        let places: HashMap<&str, usize> = steps
            .iter()
            .enumerate()
            .map(|(at, vertex)| (vertex.digest.as_str(), at))
            .collect();
        let needs = |vertex: &control::Vertex| {
            let inputs = vertex.inputs.iter();
            inputs
                .filter_map(|digest| places.get(digest.as_str()).copied())
                .collect()
        };
        let made = |vertex: &&control::Vertex| Made {
            name: vertex.name.clone(),
            needs: needs(vertex),
        };
        steps.iter().map(made).collect()
    }

    /// Tells the story from its beginning to its end.
    pub(crate) fn listen(
        &self,
    ) -> impl Stream<Item = Result<control::StatusResponse, Status>> + use<> {
        let state = (Self(Arc::clone(&self.0)), self.0.changed.subscribe(), 0);
        stream::unfold(state, async |(report, mut changed, from)| {
            let now = changed
                .wait_for(|state| state.messages > from || state.ended)
                .await;
            let to = now.ok()?.messages.min(from + BATCH);
            if to <= from {
                return None;
            }
            let (message, to) = report.merged(from, to);
            Some((Ok(message), (report, changed, to)))
        })
    }

    /// Joins messages to one that clients take, and says at which it stopped.
    fn merged(&self, from: usize, to: usize) -> (control::StatusResponse, usize) {
        let told = self.told();
        let mut all = control::StatusResponse::default();
        let (mut bytes, mut at) = (0, from);
        for one in told.messages.get(from..to).unwrap_or_default() {
            bytes += one.encoded_len();
            if at > from && bytes > BATCH_BYTES {
                break;
            }
            at += 1;
            all.vertexes.extend(one.vertexes.iter().cloned());
            all.statuses.extend(one.statuses.iter().cloned());
            all.logs.extend(one.logs.iter().cloned());
            all.warnings.extend(one.warnings.iter().cloned());
        }
        (all, at)
    }

    /// Counts the bytes of output that are held.
    pub(crate) fn held(&self) -> usize {
        let told = self.told();
        told.output.min(OUTPUT) + told.quoted
    }

    fn change(&self, digest: &str, change: impl FnOnce(&mut control::Vertex)) {
        let mut told = self.told();
        let vertex = told.vertices.entry(digest.to_owned()).or_default();
        digest.clone_into(&mut vertex.digest);
        change(vertex);
        let vertexes = vec![vertex.clone()];
        let message = control::StatusResponse {
            vertexes,
            ..Default::default()
        };
        self.tell(&mut told, message);
    }

    fn tell(&self, told: &mut Told, message: control::StatusResponse) {
        let most = if message.vertexes.is_empty() {
            MESSAGES
        } else {
            2 * MESSAGES
        };
        if told.messages.len() >= most {
            return;
        }
        told.messages.push(message);
        let messages = told.messages.len();
        self.0
            .changed
            .send_modify(|state| state.messages = messages);
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a Dockerfile as warnings quote it.
fn info(dockerfile: &Dockerfile) -> pb::SourceInfo {
    pb::SourceInfo {
        filename: dockerfile.name.clone(),
        data: dockerfile.text.clone(),
        language: "Dockerfile".into(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn who_comes_late_hears_all_and_then_the_end() {
        let report = Report::new("b");
        report
            .during("[1/1] FROM x", async |_| Ok::<_, Status>(()))
            .await
            .unwrap();
        report.log(&report.digest("[1/1] FROM x"), 1, b"hello", now());
        report.end();
        let heard: Vec<_> = report.listen().collect().await;
        let all = heard[0].as_ref().unwrap();
        assert_eq!((heard.len(), all.vertexes.len(), all.logs.len()), (1, 3, 1));
        assert!(all.vertexes[2].completed.is_some());
    }

    #[tokio::test]
    async fn a_failure_stands_at_its_vertex() {
        let report = Report::new("b");
        let failed = report
            .during("x", async |_| Err::<(), _>(Status::unknown("no")))
            .await;
        assert!(failed.is_err());
        assert!(
            report
                .told()
                .vertices
                .values()
                .all(|vertex| !vertex.error.is_empty())
        );
    }

    #[test]
    fn a_build_that_says_too_much_is_cut() {
        let report = Report::new("b");
        for _ in 0..100 {
            report.log("v", 1, &[b'x'; 100_000], now());
        }
        let told = report.told();
        let logs = told.messages.iter().flat_map(|message| &message.logs);
        let bytes: usize = logs.map(|log| log.msg.len()).sum();
        assert!(bytes < 3 << 20, "{bytes}");
    }

    #[tokio::test]
    async fn a_large_dockerfile_of_many_findings_is_not_held_once_for_each() {
        let report = Report::new("b");
        let dockerfile = Arc::new(Dockerfile {
            name: "Dockerfile".into(),
            text: vec![b'x'; 1 << 20],
        });
        for _ in 0..10_000 {
            let place = Some((Arc::clone(&dockerfile), 1, 1));
            let warning = Warning {
                place,
                ..Warning::default()
            };
            report.warn("v", warning);
        }
        report.end();
        assert!(report.held() <= QUOTED);
        let heard: Vec<_> = report.listen().collect().await;
        let warnings = heard
            .iter()
            .map(|message| message.as_ref().unwrap().warnings.len());
        assert_eq!(warnings.sum::<usize>(), WARNINGS);
        let largest = heard
            .iter()
            .map(|message| message.as_ref().unwrap().encoded_len());
        assert!(largest.max().unwrap() < 4 << 20);
    }

    #[test]
    fn a_vertex_ends_even_for_a_build_that_said_too_much() {
        let report = Report::new("b");
        for _ in 0..MESSAGES + 10 {
            report.count("v", Count::default());
        }
        report.completed("v", now(), false, None);
        let told = report.told();
        assert_eq!(told.messages.len(), MESSAGES + 1);
        assert!(told.messages[MESSAGES].vertexes[0].completed.is_some());
    }
}
