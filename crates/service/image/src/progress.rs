//! What a long operation says while it works: the JSON lines of the Engine API.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::Error;

/// Lines that may wait for a slow client; percentages beyond are dropped.
const BACKLOG: usize = 64;

/// The lines of an operation that runs by itself; dropping this does not stop it.
///
/// When the first item is an error, nothing was done and the reply may still be an HTTP error.
#[derive(Debug)]
pub struct Progress(mpsc::Receiver<Result<Value, Error>>);

/// The operation's end of it.
#[derive(Clone, Debug)]
pub(crate) struct Reporter(mpsc::Sender<Result<Value, Error>>);

impl Progress {
    /// Waits for the next line; nothing when the operation has ended. Cancellation safe.
    pub async fn next(&mut self) -> Option<Result<Value, Error>> {
        self.0.recv().await
    }

    /// Waits for the end and gives all lines.
    ///
    /// # Errors
    /// The operation's.
    pub async fn finish(mut self) -> Result<Vec<Value>, Error> {
        let mut lines = Vec::new();
        while let Some(line) = self.next().await {
            lines.push(line?);
        }
        Ok(lines)
    }
}

pub(crate) fn channel() -> (Reporter, Progress) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (Reporter(sender), Progress(receiver))
}

impl Reporter {
    /// Reports how far a layer is; lost when the client reads slowly.
    pub(crate) fn layer(&self, id: &str, current: u64, total: u64) {
        let line = json!({
            "status": "Loading layer",
            "progressDetail": {"current": current, "total": total},
            "id": id,
        });
        self.0.try_send(Ok(line)).ok();
    }

    /// Says a line of text, as `load` does.
    pub(crate) fn stream(&self, text: &str) {
        self.send(Ok(json!({"stream": format!("{text}\n")})));
    }

    /// Says a status, as `import` does.
    pub(crate) fn status(&self, text: &str) {
        self.send(Ok(json!({"status": text})));
    }

    /// Ends with a failure.
    pub(crate) fn fail(&self, error: Error) {
        self.send(Err(error));
    }

    /// Waits for a slow client; one that is gone is no reason to stop.
    fn send(&self, line: Result<Value, Error>) {
        self.0.blocking_send(line).ok();
    }
}
