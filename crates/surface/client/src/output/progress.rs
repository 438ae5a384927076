//! Long work shown as it goes: the daemon's lines of JSON, and bars for bytes that we move ourselves.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;

use crate::{Console, Error};

/// Where the daemon's lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The lines are the result.
    Stdout,
    /// The result is something else.
    Stderr,
}

/// A line of a progress stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    stream: String,
    status: String,
    id: String,
    error: Option<String>,
    #[serde(rename = "errorDetail")]
    detail: Option<Detail>,
    #[serde(rename = "progressDetail")]
    progress: Option<Progress>,
}

#[derive(Debug, Deserialize)]
struct Detail {
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Progress {
    current: Option<u64>,
    total: Option<u64>,
}

/// Shows a stream of progress; an error in it is an error of the whole.
pub async fn show(
    console: &Console,
    stream: impl Stream<Item = Result<Bytes, Error>>,
    quiet: bool,
    to: To,
) -> Result<(), Error> {
    let mut stream = std::pin::pin!(stream);
    let mut rest = Vec::new();
    let bar = (console.terminal().stderr && !quiet).then(bar);
    while let Some(chunk) = stream.next().await {
        rest.extend_from_slice(&chunk?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            step(console, &line, bar.as_ref(), (quiet, to))?;
        }
    }
    step(console, &rest, bar.as_ref(), (quiet, to))
}

fn step(
    console: &Console,
    line: &[u8],
    bar: Option<&ProgressBar>,
    (quiet, to): (bool, To),
) -> Result<(), Error> {
    let Ok(line) = serde_json::from_slice::<Line>(line) else {
        return Ok(());
    };
    if let Some(message) = line.detail.map(|detail| detail.message).or(line.error) {
        return Err(Error::Progress(message));
    }
    if let Some(Progress {
        current: Some(current),
        total,
    }) = line.progress
    {
        // Shown in place; on a pipe nobody wants each step.
        if let Some(bar) = bar {
            bar.set_length(total.unwrap_or(current));
            bar.set_position(current);
            bar.set_message(format!("{} {}", line.id, line.status));
        }
        return Ok(());
    }
    let text = match (
        line.stream.trim_end_matches('\n'),
        line.id.as_str(),
        line.status.as_str(),
    ) {
        ("", "", status) => status.to_owned(),
        ("", id, status) => format!("{id}: {status}"),
        (stream, _, _) => stream.to_owned(),
    };
    match (text.is_empty() || quiet && to == To::Stderr, to) {
        (true, _) => Ok(()),
        (false, To::Stdout) => console.line(&text),
        (false, To::Stderr) => {
            console.note(&text);
            Ok(())
        }
    }
}

/// A bar for bytes, on standard error, gone when finished.
pub fn bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}");
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A count of bytes whose sum nobody knows, on standard error, gone when finished.
#[must_use]
pub fn count(message: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10))
        .with_message(message);
    match ProgressStyle::with_template("{msg} {bytes} {bytes_per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A turning wheel for work of unknown length.
pub fn wheel(console: &Console, message: &'static str) -> Option<ProgressBar> {
    console.terminal().stderr.then(|| {
        let wheel = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10))
            .with_message(message);
        wheel.enable_steady_tick(std::time::Duration::from_millis(120));
        wheel
    })
}
