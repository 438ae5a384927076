//! Reads containers' logs: Docker's json-file format, rotated files included, in bounded memory.
//!
//! Entries come from a hostile container by way of the supervisor's writer, and a crash may tear the last one: a line
//! that does not parse, or is too long to be one, is skipped and the reading goes on.

use std::{
    fmt,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
};

use hakone_base::ContainerId;
use hakone_container_model::log_entry::{Entry, LogOptions, Verdict};
use hakone_log::{Lines, Position, position};
use tokio::{
    fs::File,
    io::{self, AsyncRead, AsyncSeekExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf},
    task::AbortHandle,
};

use crate::follow::{self, Bell, End};

/// Bytes on their way to a client at most.
const PIPE: usize = 64 * 1024;

/// A log to be read.
pub struct Reading {
    /// Whose it is.
    pub container: ContainerId,
    /// Its newest file.
    pub path: PathBuf,
    /// What of it.
    pub options: LogOptions,
    /// Whether a terminal wrote it.
    pub terminal: bool,
    /// The container's end, if it runs: nothing is followed without.
    pub ended: Option<End>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("container", &self.container)
            .finish_non_exhaustive()
    }
}

/// Reads a log in a task of its own; the reading ends with the stream given back.
#[must_use]
pub fn read(reading: Reading) -> impl AsyncRead + Send + Unpin + use<> {
    let (ours, client) = tokio::io::duplex(PIPE);
    let Reading {
        container, ended, ..
    } = reading;
    let reader = Reader {
        path: reading.path,
        options: reading.options,
        terminal: reading.terminal,
        out: ours,
    };
    let task = tokio::spawn(async move {
        if let Err(error) = reader.run(ended).await
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            tracing::warn!(container.id = %container, error = %error, "a log could not be read");
        }
    });
    Output {
        client,
        task: task.abort_handle(),
    }
}

/// The client's end; the reading stops when it is dropped.
struct Output {
    client: DuplexStream,
    task: AbortHandle,
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.client).poll_read(cx, out)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Reader {
    path: PathBuf,
    options: LogOptions,
    terminal: bool,
    out: DuplexStream,
}

impl Reader {
    async fn run(mut self, ended: Option<End>) -> io::Result<()> {
        let ended = ended.filter(|_| self.options.follow);
        let mut bell = ended.map(|ended| Bell::new(&self.path, ended));
        let files = hakone_log::files(&self.path);
        let start = match self.options.tail {
            Some(count) => {
                let files = files.clone();
                let found = move || position(&files, count);
                tokio::task::spawn_blocking(found).await??
            }
            None => Position::default(),
        };
        let mut last = None;
        for (index, path) in files.iter().enumerate().skip(start.file) {
            let Ok(mut file) = open(path.clone()).await else {
                continue;
            };
            if index == start.file {
                file.seek(io::SeekFrom::Start(start.offset)).await?;
            }
            let mut lines = Lines::new(file);
            if !self.pass(&mut lines).await? {
                return Ok(());
            }
            last = Some(lines);
        }
        match &mut bell {
            Some(bell) => self.follow(bell, last.map(Lines::waiting)).await,
            None => Ok(()),
        }
    }

    /// Goes on with what is written until the container ends.
    async fn follow(&mut self, bell: &mut Bell, mut last: Option<Lines<File>>) -> io::Result<()> {
        loop {
            let goes_on = bell.wait().await;
            if let Some(lines) = &mut last
                && !self.pass(lines).await?
            {
                return Ok(());
            }
            let same = match &last {
                Some(lines) => follow::is_same(lines.get_ref(), &self.path).await,
                None => false,
            };
            let fresh = match same {
                true => None,
                false => File::open(&self.path).await.ok().map(Lines::new),
            };
            let over = match fresh {
                Some(lines) => !self.pass(last.insert(lines)).await?,
                None => false,
            };
            if over || !goes_on {
                return Ok(());
            }
        }
    }

    /// Passes on what a file has; `false` when nothing later is wanted.
    async fn pass(&mut self, lines: &mut Lines<File>) -> io::Result<bool> {
        while let Some(line) = lines.next().await? {
            let Some(entry) = Entry::parse(line) else {
                continue;
            };
            match entry.judge(&self.options) {
                Verdict::Pass => {
                    let bytes = entry.print(&self.options, self.terminal);
                    self.out.write_all(&bytes).await?;
                }
                Verdict::Skip => (),
                Verdict::Over => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// Opens a file of the log, which may have to be laid out first.
async fn open(path: PathBuf) -> io::Result<File> {
    let opened = tokio::task::spawn_blocking(move || hakone_log::open(&path));
    Ok(File::from_std(opened.await??))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    fn line(text: &str, second: u32) -> String {
        format!(
            "{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-21T10:00:{second:02}.5Z\"}}\n"
        )
    }

    async fn read(files: &[(&str, String)], options: LogOptions) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for (suffix, text) in files {
            let name = format!("log{suffix}");
            hakone_store::write_atomic(
                &folder.path().join(name),
                text.as_bytes(),
                hakone_store::Durability::Process,
            )
            .unwrap();
        }
        let (ours, mut client) = tokio::io::duplex(16);
        let reader = Reader {
            path,
            options,
            terminal: true,
            out: ours,
        };
        let task = tokio::spawn(reader.run(None));
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        task.await.unwrap().unwrap();
        text
    }

    const BOTH: LogOptions = LogOptions {
        follow: false,
        stdout: true,
        stderr: true,
        since: None,
        until: None,
        timestamps: false,
        tail: None,
        details: false,
    };

    #[tokio::test]
    async fn rotated_files_are_read_oldest_first_and_torn_lines_skipped() {
        let files = [
            (".2", line("a", 1)),
            (".1", format!("{}{{\"log\":\"torn", line("b", 2))),
            ("", format!("garbage\n{}", line("c", 3))),
        ];
        assert_eq!(read(&files, BOTH).await, "a\nb\nc\n");
    }

    #[tokio::test]
    async fn a_tail_reaches_back_over_rotated_files() {
        let files = [(".1", line("a", 1) + &line("b", 2)), ("", line("c", 3))];
        let tail = |count| LogOptions {
            tail: Some(count),
            ..BOTH
        };
        assert_eq!(read(&files, tail(2)).await, "b\nc\n");
        assert_eq!(read(&files, tail(0)).await, "");
        assert_eq!(read(&files, tail(9)).await, "a\nb\nc\n");
    }

    #[tokio::test]
    async fn since_and_until_cut_both_ends() {
        let files = [("", line("a", 1) + &line("b", 2) + &line("c", 3))];
        let between = LogOptions {
            since: Some("2026-11-21T10:00:02Z".parse().unwrap()),
            until: Some("2026-11-21T10:00:03Z".parse().unwrap()),
            ..BOTH
        };
        assert_eq!(read(&files, between).await, "b\n");
    }
}
