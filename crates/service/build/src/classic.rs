//! The classic builder's text, as `docker build` without BuildKit shows it: JSON lines made of a build's events.
//!
//! The events of stages that run side by side mix; the text has the steps in their order. So what a later step says waits,
//! up to a bound beyond which its output is cut.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use hakone_base::Digest;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{BoxFuture, Built, Error, Event, Progress, Stream, Vertex};

/// Events that may wait for a slow client.
const BACKLOG: usize = 64;
/// Bytes of output that a step may have before its turn.
const EARLY: usize = 2 << 20;

/// The end that the build speaks to.
#[derive(Debug)]
pub struct Classic(mpsc::Sender<Event>);

/// The end that the client's lines come from.
#[derive(Debug)]
pub struct Lines {
    events: mpsc::Receiver<Event>,
    ready: VecDeque<Value>,
    /// The steps by their vertices.
    numbers: HashMap<Digest, usize>,
    steps: BTreeMap<usize, Step>,
    /// The step whose turn it is.
    turn: usize,
}

/// What a step said, until its turn has come and gone.
#[derive(Debug, Default)]
struct Step {
    head: Vec<Value>,
    output: VecDeque<Value>,
    bytes: usize,
    cut: bool,
    tail: Vec<u8>,
    image: Option<(Option<Digest>, bool)>,
    done: Option<bool>,
    /// Whether it is a global argument, which gives no image.
    argument: bool,
}

impl Progress for Classic {
    fn tell(&self, event: Event) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Nobody reads any more: the build is about to be dropped.
            self.0.send(event).await.ok();
        })
    }
}

impl Classic {
    /// Makes both ends.
    #[must_use]
    pub fn new() -> (Arc<Self>, Lines) {
        let (sender, events) = mpsc::channel(BACKLOG);
        let lines = Lines {
            events,
            ready: VecDeque::new(),
            numbers: HashMap::new(),
            steps: BTreeMap::new(),
            turn: 1,
        };
        (Arc::new(Self(sender)), lines)
    }
}

impl Lines {
    /// Waits for the next line; none when the build is over. Cancellation safe.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            let event = self.events.recv().await?;
            self.take(event);
        }
    }

    /// Gives the next line if it is there.
    pub fn ready(&mut self) -> Option<Value> {
        while self.ready.is_empty() {
            let event = self.events.try_recv().ok()?;
            self.take(event);
        }
        self.ready.pop_front()
    }

    /// Gives what a failure leaves unsaid: the output of the step that failed before its turn.
    pub fn rest(&mut self) -> Vec<Value> {
        while let Ok(event) = self.events.try_recv() {
            self.take(event);
        }
        let failed = self.steps.values_mut().find(|step| step.done.is_some());
        let late = failed.map(|step| step.head.drain(..).chain(step.output.drain(..)).collect());
        let late: Vec<Value> = late.unwrap_or_default();
        self.ready.drain(..).chain(late).collect()
    }

    /// Gives the last lines of a build that went well.
    #[must_use]
    pub fn success(built: &Built) -> Vec<Value> {
        let short: String = built.image.hex().chars().take(12).collect();
        let first = stream(&format!("Successfully built {short}\n"));
        let names = built.names.iter();
        let tagged = names.map(|name| stream(&format!("Successfully tagged {name}\n")));
        std::iter::once(first).chain(tagged).collect()
    }

    /// Gives the line of a failure.
    #[must_use]
    pub fn failure(error: &Error) -> Value {
        let message = error.to_string();
        let detail = match error.code() {
            Some(code) => json!({ "code": code, "message": message }),
            None => json!({ "message": message }),
        };
        json!({ "errorDetail": detail, "error": message })
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Vertex(vertex) => self.begin(vertex),
            Event::Log {
                vertex,
                stream,
                bytes,
                ..
            } => self.log(&vertex, stream, &bytes),
            Event::Status {
                vertex,
                id,
                current,
                total,
                ..
            } => self.status(&vertex, &id, current, total),
            Event::Warning {
                vertex, message, ..
            } => {
                self.say(&vertex, stream(&format!("[Warning] {message}\n")));
            }
            Event::Running { vertex, container } => {
                let text = format!(" ---> Running in {}\n", container.short());
                self.say(&vertex, stream(&text));
            }
            Event::Removed { vertex, container } => {
                let text = format!(
                    " ---> Removed intermediate container {}\n",
                    container.short()
                );
                self.say(&vertex, stream(&text));
            }
            Event::Image {
                vertex,
                image,
                last,
            } => {
                if let Some(step) = self.step(&vertex) {
                    step.image = Some((image, last));
                }
            }
            Event::Completed { vertex, cached, .. } => {
                if let Some(step) = self.step(&vertex) {
                    step.done = Some(cached);
                }
            }
            Event::Started { .. } | Event::Reads { .. } => {}
        }
        self.advance();
    }

    fn begin(&mut self, vertex: Vertex) {
        let Some(number) = vertex.step else {
            return;
        };
        let text = format!("Step {}/{} : {}", number.number, number.count, number.text);
        self.numbers.insert(vertex.id, number.number);
        let step = self.steps.entry(number.number).or_default();
        step.argument = number.stage.is_none();
        step.head.extend([stream(&text), stream("\n")]);
    }

    fn step(&mut self, vertex: &Digest) -> Option<&mut Step> {
        let number = self.numbers.get(vertex)?;
        self.steps.get_mut(number)
    }

    fn say(&mut self, vertex: &Digest, line: Value) {
        if let Some(step) = self.step(vertex) {
            step.output.push_back(line);
        }
    }

    fn log(&mut self, vertex: &Digest, from: Stream, bytes: &Bytes) {
        let current = self.numbers.get(vertex) == Some(&self.turn);
        let Some(step) = self.step(vertex) else {
            return;
        };
        step.bytes += bytes.len();
        if !current && step.bytes > EARLY {
            if !step.cut {
                step.output.push_back(stream("[output cut]\n"));
            }
            step.cut = true;
            return;
        }
        let text = step.text(bytes);
        let line = match from {
            Stream::Output => stream(&text),
            Stream::Error => stream(&format!("\u{1b}[91m{text}\u{1b}[0m")),
        };
        step.output.push_back(line);
    }

    fn status(&mut self, vertex: &Digest, id: &str, current: u64, total: u64) {
        let word = match total > 0 && current >= total {
            true => "Complete",
            false => "Downloading",
        };
        let detail = match total {
            0 => json!({}),
            total => json!({ "current": current, "total": total }),
        };
        let line = json!({ "status": word, "progressDetail": detail, "id": id });
        if let Some(step) = self.step(vertex)
            && step.output.len() < BACKLOG
        {
            step.output.push_back(line);
        }
    }

    /// Says what may be said now.
    fn advance(&mut self) {
        while let Some(step) = self.steps.get_mut(&self.turn) {
            self.ready.extend(step.head.drain(..));
            self.ready.extend(step.output.drain(..));
            let Some(cached) = step.done else {
                return;
            };
            match step.image.take() {
                Some(image) => self.ready.extend(image_lines(&image, cached)),
                // A step without an image failed, and nothing comes after it; a global argument has none.
                None if !step.argument => return,
                None => {}
            }
            self.steps.remove(&self.turn);
            self.turn += 1;
        }
    }
}

impl Step {
    /// Joins bytes to text; a letter that is cut in two waits for its rest.
    fn text(&mut self, bytes: &[u8]) -> String {
        self.tail.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.tail) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.tail.len(),
        };
        let rest = self.tail.split_off(whole);
        let whole = std::mem::replace(&mut self.tail, rest);
        String::from_utf8_lossy(&whole).into_owned()
    }
}

fn image_lines((image, last): &(Option<Digest>, bool), cached: bool) -> Vec<Value> {
    let short = |id: &Digest| -> String { id.hex().chars().take(12).collect() };
    let short = image.as_ref().map(short).unwrap_or_default();
    let mut lines = Vec::new();
    if cached {
        lines.push(stream(" ---> Using cache\n"));
    }
    lines.push(stream(&format!(" ---> {short}\n")));
    if let (Some(id), true) = (image, *last) {
        lines.push(json!({ "aux": { "ID": id.to_string() } }));
    }
    lines
}

fn stream(text: &str) -> Value {
    json!({ "stream": text })
}

#[cfg(test)]
mod tests {
    use hakone_base::{ContainerId, Timestamp};

    use super::*;
    use crate::StepNumber;

    fn vertex(number: u8) -> Event {
        Event::Vertex(Vertex {
            id: Digest::of(&[number]),
            name: String::new(),
            inputs: Vec::new(),
            step: Some(StepNumber {
                stage: Some(0),
                number: number.into(),
                count: 2,
                text: format!("RUN {number}"),
            }),
        })
    }

    fn done(number: u8, cached: bool) -> [Event; 2] {
        let vertex = Digest::of(&[number]);
        [
            Event::Image {
                vertex: vertex.clone(),
                image: Some(Digest::of(b"image")),
                last: number == 2,
            },
            Event::Completed {
                vertex,
                at: Timestamp::NEVER,
                cached,
                error: None,
            },
        ]
    }

    fn log(number: u8, bytes: &[u8]) -> Event {
        Event::Log {
            vertex: Digest::of(&[number]),
            stream: Stream::Output,
            bytes: Bytes::copy_from_slice(bytes),
            at: Timestamp::NEVER,
        }
    }

    fn text(events: Vec<Event>) -> String {
        let (_, mut lines) = Classic::new();
        for event in events {
            lines.take(event);
        }
        let parts = lines.ready.iter().map(|line| match line.get("aux") {
            Some(aux) => format!("{aux}\n"),
            None => line["stream"].as_str().unwrap().to_owned(),
        });
        parts.collect()
    }

    #[test]
    fn steps_are_told_in_order_whoever_is_first() {
        let short: String = Digest::of(b"image").hex().chars().take(12).collect();
        let mut events = vec![vertex(2), log(2, b"two\n"), vertex(1), log(1, b"one\n")];
        events.extend(done(2, false));
        events.extend(done(1, true));
        assert_eq!(
            text(events),
            format!(
                "Step 1/2 : RUN 1\none\n ---> Using cache\n ---> {short}\nStep 2/2 : RUN 2\ntwo\n ---> {short}\n{}\n",
                json!({"ID": Digest::of(b"image").to_string()})
            )
        );
    }

    #[test]
    fn a_letter_cut_in_two_stays_one() {
        let events = vec![vertex(1), log(1, &[b'a', 0xc3]), log(1, &[0xa9, 0xff])];
        assert_eq!(text(events), "Step 1/2 : RUN 1\naé\u{fffd}");
    }

    #[test]
    fn containers_are_told_by_twelve_digits() {
        let container = ContainerId::from_bytes([0xab; 32]);
        let vertex_id = Digest::of(&[1]);
        let events = vec![
            vertex(1),
            Event::Running {
                vertex: vertex_id.clone(),
                container: container.clone(),
            },
            Event::Removed {
                vertex: vertex_id,
                container,
            },
        ];
        assert_eq!(
            text(events),
            "Step 1/2 : RUN 1\n ---> Running in abababababab\n ---> Removed intermediate container abababababab\n"
        );
    }

    #[test]
    fn a_failure_has_the_code_of_the_program() {
        let error = Error::Command {
            command: "/bin/sh -c false".to_owned(),
            code: 1,
        };
        let line = Lines::failure(&error);
        assert_eq!(line["errorDetail"]["code"], 1);
        assert_eq!(
            line["error"],
            "The command '/bin/sh -c false' returned a non-zero code: 1"
        );
    }
}
