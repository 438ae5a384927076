//! What a long operation says while it works: the JSON lines of the Engine API.

use hakone_base::Digest;
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

/// A layer on its way from or to a registry.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    reporter: Reporter,
    id: String,
    total: u64,
}

impl Step {
    /// Says what becomes of the layer.
    pub(crate) async fn say(&self, status: &str) {
        self.reporter.layer_line(&self.id, status).await;
    }

    /// Says how far it is; lost when the client reads slowly.
    pub(crate) fn at(&self, status: &str, current: u64) {
        let line = json!({
            "status": status,
            "progressDetail": {"current": current, "total": self.total},
            "progress": bar(current, self.total),
            "id": self.id,
        });
        self.reporter.0.try_send(Ok(line)).ok();
    }

    pub(crate) const fn total(&self) -> u64 {
        self.total
    }
}

/// Draws Docker's bar, for clients that show the text as it is.
fn bar(current: u64, total: u64) -> String {
    const WIDTH: u64 = 50;
    let done = match total {
        0 => WIDTH,
        total => (current.saturating_mul(100) / total / 2).min(WIDTH),
    };
    let repeat = |text: &str, count: u64| text.repeat(usize::try_from(count).unwrap_or(0));
    let (done, rest) = (repeat("=", done), repeat(" ", WIDTH - done));
    format!("[{done}>{rest}] {:>8}/{}", size(current), size(total))
}

/// Four digits and a decimal unit, as Docker prints sizes.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut scale = 1_u64;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    while bytes / scale >= 1000 {
        let Some(next) = units.next() else {
            break;
        };
        (scale, unit) = (scale * 1000, next);
    }
    let whole = bytes / scale;
    let decimals = match whole {
        _ if scale == 1 => 0,
        0..10 => 3,
        10..100 => 2,
        _ => 1,
    };
    let parts = 10_u64.pow(decimals);
    let fraction = bytes % scale * parts / scale;
    let width = usize::try_from(decimals).unwrap_or(0);
    let text = match decimals {
        0 => format!("{whole}"),
        _ => format!("{whole}.{fraction:0>width$}"),
    };
    let short = if decimals > 0 {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{short}{unit}")
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

    /// Says a status, from async work.
    pub(crate) async fn tell(&self, text: String) {
        self.line(json!({ "status": text })).await;
    }

    /// Says a status about something that has an id.
    pub(crate) async fn layer_status(&self, id: &str, status: &str) {
        self.line(json!({"status": status, "id": id})).await;
    }

    async fn layer_line(&self, id: &str, status: &str) {
        self.line(json!({"status": status, "progressDetail": {}, "id": id}))
            .await;
    }

    /// Says a line of any shape.
    pub(crate) async fn line(&self, line: Value) {
        self.0.send(Ok(line)).await.ok();
    }

    /// Speaks for a layer, under the first twelve digits of its digest.
    pub(crate) fn of_layer(&self, digest: &Digest, total: u64) -> Step {
        Step {
            reporter: self.clone(),
            id: digest.hex().chars().take(12).collect(),
            total,
        }
    }

    /// Waits until nobody listens any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }

    /// Ends with a failure, from async work.
    pub(crate) async fn refuse(&self, error: Error) {
        self.0.send(Err(error)).await.ok();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_bars_are_dockers() {
        assert_eq!(size(999), "999B");
        assert_eq!(size(1_049_000), "1.049MB");
        assert_eq!(size(52_430_000), "52.43MB");
        assert_eq!(size(3_500_000), "3.5MB");
        assert_eq!(
            bar(50, 100),
            format!("[{}>{}]      50B/100B", "=".repeat(25), " ".repeat(25))
        );
        assert!(bar(200, 100).starts_with(&format!("[{}>]", "=".repeat(50))));
    }
}
