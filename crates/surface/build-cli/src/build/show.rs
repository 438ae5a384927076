//! Shows what the builder says: its text as it comes, transfers as bars, the image's id to whoever asked for it.
//!
//! The text of a step may come in parts of lines, so it is passed on as it is. Steps are marked where a person reads; on a
//! pipe the colours that the daemon puts around standard error are taken off.

use std::str::FromStr;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use hakone_client::{Console, Error, output::progress};
use serde::Deserialize;

const BOLD: &str = "\u{1b}[1m";
const PLAIN: &str = "\u{1b}[0m";
const RED: &str = "\u{1b}[91m";

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    /// For whoever is there.
    #[default]
    Auto,
    /// Text alone.
    Plain,
    /// For a person.
    Tty,
    /// The daemon's lines.
    RawJson,
}

impl FromStr for Style {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "plain" => Ok(Self::Plain),
            "tty" => Ok(Self::Tty),
            "rawjson" => Ok(Self::RawJson),
            _ => Err("must be one of auto, plain, tty, rawjson".to_owned()),
        }
    }
}

/// Why there is no image.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// The exit code of the step's program.
    pub(super) code: Option<i64>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, code: None }
    }
}

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
    progress: Option<Transfer>,
    aux: Option<Aux>,
}

#[derive(Debug, Deserialize)]
struct Detail {
    message: String,
    code: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Transfer {
    current: Option<u64>,
    total: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Aux {
    #[serde(rename = "ID")]
    id: Option<String>,
}

/// Shows all lines; gives the id of the image.
pub(super) async fn show(
    console: &Console,
    stream: impl Stream<Item = Result<Bytes, Error>>,
    (style, quiet): (Style, bool),
) -> Result<Option<String>, Failure> {
    let terminal = console.terminal();
    let mut screen = Screen {
        console,
        raw: style == Style::RawJson,
        marked: style == Style::Tty || (style == Style::Auto && terminal.stdout),
        bar: (terminal.stderr && !quiet && matches!(style, Style::Auto | Style::Tty))
            .then(progress::bar),
        quiet: quiet.then(String::new),
        image: None,
    };
    let mut stream = std::pin::pin!(stream);
    let mut rest = Vec::new();
    while let Some(chunk) = stream.next().await {
        rest.extend_from_slice(&chunk?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            screen.line(&line)?;
        }
    }
    screen.line(&rest)?;
    screen.end()
}

struct Screen<'a> {
    console: &'a Console,
    raw: bool,
    marked: bool,
    bar: Option<indicatif::ProgressBar>,
    /// What was said while nothing was to be shown.
    quiet: Option<String>,
    image: Option<String>,
}

impl Screen<'_> {
    fn line(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Ok(line) = serde_json::from_slice::<Line>(bytes) else {
            return Ok(());
        };
        if self.raw {
            self.console.bytes(bytes)?;
        }
        if let Some(detail) = line.detail {
            return self.failed(detail.message, detail.code);
        }
        if let Some(message) = line.error {
            return self.failed(message, None);
        }
        if let Some(id) = line.aux.and_then(|aux| aux.id) {
            self.image = Some(id);
        }
        if self.raw {
            return Ok(());
        }
        match (line.progress, line.status.is_empty()) {
            (Some(transfer), _) => self.transfer(&line.id, &line.status, &transfer),
            (None, false) if self.quiet.is_none() => self.console.note(&line.status),
            (None, true | false) => {}
        }
        self.text(&line.stream)
    }

    fn text(&mut self, text: &str) -> Result<(), Failure> {
        if let Some(said) = &mut self.quiet {
            said.push_str(text);
            return Ok(());
        }
        if text.is_empty() {
            return Ok(());
        }
        if let Some(bar) = &self.bar {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        let text = match self.marked {
            true if text.starts_with("Step ") => format!("{BOLD}{text}{PLAIN}"),
            true => text.to_owned(),
            false => bare(text).to_owned(),
        };
        Ok(self.console.bytes(text.as_bytes())?)
    }

    /// Shown in place; on a pipe nobody wants each step.
    fn transfer(&self, id: &str, status: &str, transfer: &Transfer) {
        if let (Some(bar), Some(current)) = (&self.bar, transfer.current) {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr_with_hz(10));
            bar.set_length(transfer.total.unwrap_or(current));
            bar.set_position(current);
            bar.set_message(format!("{id} {status}"));
        }
    }

    /// What was held back helps to see why.
    fn failed(&mut self, message: String, code: Option<i64>) -> Result<(), Failure> {
        if let Some(said) = self.quiet.take() {
            self.console.error_bytes(said.as_bytes())?;
        }
        Err(Failure {
            error: Error::Progress(message),
            code,
        })
    }

    /// A quiet build says nothing but the id.
    fn end(mut self) -> Result<Option<String>, Failure> {
        let Some(said) = self.quiet.take() else {
            return Ok(self.image);
        };
        let id = said.trim().to_owned();
        if !self.raw {
            self.console.line(&id)?;
        }
        Ok(Some(id).filter(|id| !id.is_empty()))
    }
}

/// Takes the colours of standard error off.
fn bare(text: &str) -> &str {
    let inner = text.strip_prefix(RED);
    inner
        .and_then(|inner| inner.strip_suffix(PLAIN))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use futures_util::stream;
    use hakone_client::Terminal;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Shows lines cut into pieces of five bytes; gives what was printed, on both streams, and the outcome.
    async fn shown(
        lines: &str,
        style: Style,
        quiet: bool,
    ) -> (String, String, Result<Option<String>, Failure>) {
        let (out, err) = (Paper::default(), Paper::default());
        let console = Console::new(
            Box::new(out.clone()),
            Box::new(err.clone()),
            Terminal::default(),
        );
        let pieces = lines
            .as_bytes()
            .chunks(5)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)));
        let pieces: Vec<_> = pieces.collect();
        let done = show(&console, stream::iter(pieces), (style, quiet)).await;
        let text = |paper: Paper| String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        (text(out), text(err), done)
    }

    const LINES: &str = "{\"stream\":\"Step 1/1 : RUN x\"}\n{\"stream\":\"\\n\"}\n\n{\"stream\":\"half \"}\n{\"stream\":\"\\u001b[91mloud\\n\\u001b[0m\"}\n\
        {\"status\":\"Downloading\",\"progressDetail\":{\"current\":1,\"total\":2},\"id\":\"a\"}\n{\"aux\":{\"ID\":\"sha256:1\"}}\n";

    #[tokio::test]
    async fn text_comes_as_it_is_said_and_the_id_is_kept() {
        let (out, _, done) = shown(LINES, Style::Plain, false).await;
        assert_eq!(out, "Step 1/1 : RUN x\nhalf loud\n");
        assert_eq!(done.unwrap().as_deref(), Some("sha256:1"));
        let (out, ..) = shown(LINES, Style::Tty, false).await;
        assert!(
            out.starts_with("\u{1b}[1mStep 1/1 : RUN x\u{1b}[0m\n")
                && out.contains("\u{1b}[91mloud")
        );
        let (out, ..) = shown(LINES, Style::RawJson, false).await;
        assert_eq!(out, LINES.replace("\n\n", "\n"));
    }

    #[tokio::test]
    async fn a_failure_has_the_code_of_its_step() {
        let lines = "{\"stream\":\"said\"}\n{\"errorDetail\":{\"code\":7,\"message\":\"no\"},\"error\":\"no\"}\n";
        let (out, _, done) = shown(lines, Style::Auto, false).await;
        let failure = done.unwrap_err();
        assert_eq!(
            (
                out.as_str(),
                failure.error.to_string().as_str(),
                failure.code
            ),
            ("said", "no", Some(7))
        );
    }

    #[tokio::test]
    async fn a_quiet_build_prints_its_id_and_only_a_failure_prints_the_rest() {
        let (out, _, done) = shown("{\"stream\":\"sha256:2\\n\"}\n", Style::Auto, true).await;
        assert_eq!(
            (out.as_str(), done.unwrap().as_deref()),
            ("sha256:2\n", Some("sha256:2"))
        );
        let (out, err, done) = shown(
            "{\"stream\":\"why\\n\"}\n{\"error\":\"no\"}\n",
            Style::Auto,
            true,
        )
        .await;
        assert_eq!(
            (out.as_str(), err.as_str(), done.is_err()),
            ("", "why\n", true)
        );
    }
}
