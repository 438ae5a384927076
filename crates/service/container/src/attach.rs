//! Attaches clients to a container's process, before its start or while it runs.
//!
//! A client that attaches before the start is kept pending and connected between the making of the container and the
//! start of its program, so that no byte is lost. Input passes a task of its own that looks for the detach keys; a
//! client's half-close ends the input alone.

use std::{
    fmt, io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hakone_control::{Format, FrameReader, Link, OnExit};
use hakone_supervision::{FrameKind, MAX_CHUNK, Reply, Request, Streams, frame};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadBuf},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::oneshot,
};

use crate::{
    AttachOptions, AttachStream, Error, LogOptions,
    container::{Container, hold},
    detach_keys::{DetachKeys, Scanned, Scanner},
    error::lost,
    inner::Inner,
    state::State,
    stream::{Input, Output},
};

/// Bytes of output read at once.
const OUTPUT_BUFFER: usize = 32 * 1024;
/// Bytes of input on their way at most.
const INPUT_BUFFER: usize = 16 * 1024;

/// A client waiting for the container's start.
pub(crate) struct Pending {
    streams: Streams,
    connection: oneshot::Sender<UnixStream>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// What a client's streams need to know of the process behind.
pub(crate) struct Plan {
    /// Whether a terminal is behind.
    pub(crate) terminal: bool,
    /// Whether the client writes.
    pub(crate) stdin: bool,
    /// Whether the end of the client's input closes the process's.
    pub(crate) close_stdin: bool,
    /// Keys that leave a terminal.
    pub(crate) detach_keys: DetachKeys,
    /// Called when they were typed.
    pub(crate) on_detach: Box<dyn FnOnce() + Send + Sync>,
    /// Called when the process's exit code comes over the stream.
    pub(crate) on_exit: Option<OnExit>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("terminal", &self.terminal)
            .field("stdin", &self.stdin)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Attaches a client.
    pub(crate) async fn attach(
        self: &Arc<Self>,
        typed: &str,
        options: AttachOptions,
    ) -> Result<AttachStream, Error> {
        let container = self.table.lookup(typed)?;
        container.state().may_attach(typed)?;
        let detach_keys = DetachKeys::parse(options.detach_keys.as_deref())?;
        let history = match options.logs {
            true => Some(self.history(&container, &options)?),
            false => None,
        };
        let live = match options.stream {
            true => Some(self.live(&container, &options, detach_keys).await?),
            false => None,
        };
        self.announce(&container, "attach", &[]);
        let terminal = container.with(crate::record::Record::terminal);
        let (live, input) = match live {
            Some(live) => (live.output, live.input),
            None => (empty(), sink()),
        };
        Ok(AttachStream {
            terminal,
            output: match history {
                Some(history) => Box::new(history.chain(live)),
                None => live,
            },
            input,
        })
    }

    fn history(&self, container: &Container, options: &AttachOptions) -> Result<Output, Error> {
        let wanted = LogOptions {
            stdout: options.stdout,
            stderr: options.stderr,
            ..LogOptions::default()
        };
        Ok(self.logs(container.id.as_str(), wanted)?.output)
    }

    async fn live(
        self: &Arc<Self>,
        container: &Arc<Container>,
        options: &AttachOptions,
        detach_keys: DetachKeys,
    ) -> Result<AttachStream, Error> {
        let streams = Streams {
            stdin: options.stdin && container.with(|r| r.config.open_stdin.unwrap_or(false)),
            stdout: options.stdout,
            stderr: options.stderr,
        };
        let connection = connect_or_wait(container, streams).await?;
        let (terminal, once) =
            container.with(|r| (r.terminal(), r.config.stdin_once.unwrap_or(false)));
        let (inner, of) = (Arc::clone(self), Arc::clone(container));
        Ok(open(
            connection,
            Plan {
                terminal,
                stdin: streams.stdin,
                close_stdin: once && !terminal,
                detach_keys,
                on_detach: Box::new(move || inner.announce(&of, "detach", &[])),
                on_exit: None,
            },
        ))
    }
}

/// Connects to a running container at once; for another one waits in the background.
async fn connect_or_wait(
    container: &Container,
    streams: Streams,
) -> Result<oneshot::Receiver<UnixStream>, Error> {
    let (connection, receiver) = oneshot::channel();
    let pending = Pending {
        streams,
        connection,
    };
    // Under the operation lock a start either has connected all pending clients or will connect this one.
    let _operation = container.operation.lock().await;
    match container.state() {
        State::Running | State::Paused => pending.connect(&container.run_folder).await?,
        State::Created | State::Restarting | State::Removing | State::Exited | State::Dead => {
            hold(&container.pending).push(pending);
        }
    }
    Ok(receiver)
}

impl Pending {
    /// Connects the client to the supervisor; a client that is gone meanwhile is no error.
    pub(crate) async fn connect(self, run_folder: &Path) -> Result<(), Error> {
        if self.connection.is_closed() {
            return Ok(());
        }
        let mut link = Link::connect(run_folder).await.map_err(lost)?;
        match link.request(&Request::Attach(self.streams)).await {
            Ok(Reply::Failed { message, .. }) => Err(Error::Supervisor(message)),
            Ok(
                Reply::Ok | Reply::Started { .. } | Reply::ExecStarted { .. } | Reply::Held { .. },
            ) => {
                self.connection.send(link.into_stream()).ok();
                Ok(())
            }
            Err(error) => Err(lost(error)),
        }
    }
}

/// Makes a client's streams of a connection that is there or will come.
pub(crate) fn open(connection: oneshot::Receiver<UnixStream>, plan: Plan) -> AttachStream {
    let (cut, is_cut) = oneshot::channel();
    let format = match plan.terminal {
        true => Format::Raw,
        false => Format::Multiplexed,
    };
    let terminal = plan.terminal;
    let (writer, late_writer) = oneshot::channel();
    let input: Input = match plan.stdin {
        true => {
            let (client, ours) = tokio::io::duplex(INPUT_BUFFER);
            tokio::spawn(pump(
                ours,
                late_writer,
                plan.close_stdin,
                plan.terminal.then(|| Scanner::new(plan.detach_keys)),
                Leaving {
                    cut,
                    on_detach: plan.on_detach,
                },
            ));
            Box::new(client)
        }
        false => sink(),
    };
    let output = LateOutput::Waiting {
        connection,
        parts: Some(Parts {
            writer,
            format,
            cut: is_cut,
            on_exit: plan.on_exit,
        }),
    };
    AttachStream {
        terminal,
        output: Box::new(output),
        input,
    }
}

fn empty() -> Output {
    Box::new(tokio::io::empty())
}

fn sink() -> Input {
    Box::new(tokio::io::sink())
}

struct Parts {
    writer: oneshot::Sender<OwnedWriteHalf>,
    format: Format,
    cut: oneshot::Receiver<()>,
    on_exit: Option<OnExit>,
}

/// Output of a process that may not have started yet.
enum LateOutput {
    Waiting {
        connection: oneshot::Receiver<UnixStream>,
        parts: Option<Parts>,
    },
    Open {
        reader: FrameReader<BufReader<OwnedReadHalf>>,
        /// Kept when nobody writes: the supervisor must not take our silence for a farewell.
        _writer: Option<OwnedWriteHalf>,
    },
    Ended,
}

impl AsyncRead for LateOutput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match &mut *self {
                Self::Waiting { connection, parts } => {
                    let came = ready!(Pin::new(connection).poll(cx));
                    *self = match (came, parts.take()) {
                        (Ok(stream), Some(parts)) => parts.open(stream),
                        // The container was removed before it ever ran.
                        (Err(_), _) | (Ok(_), None) => Self::Ended,
                    };
                }
                Self::Open { reader, .. } => return Pin::new(reader).poll_read(cx, out),
                Self::Ended => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl Parts {
    fn open(self, stream: UnixStream) -> LateOutput {
        let (reader, writer) = stream.into_split();
        let source = BufReader::with_capacity(OUTPUT_BUFFER, reader);
        LateOutput::Open {
            reader: FrameReader::new(source, self.format, self.cut, self.on_exit),
            _writer: self.writer.send(writer).err(),
        }
    }
}

/// What happens when a client types the detach keys.
struct Leaving {
    cut: oneshot::Sender<()>,
    on_detach: Box<dyn FnOnce() + Send + Sync>,
}

/// Carries a client's input to the process until the client ends it, leaves, or the process is gone.
async fn pump(
    mut client: DuplexStream,
    writer: oneshot::Receiver<OwnedWriteHalf>,
    close_stdin: bool,
    mut scanner: Option<Scanner>,
    leaving: Leaving,
) {
    let Ok(mut writer) = writer.await else {
        return;
    };
    let mut bytes = vec![0; INPUT_BUFFER];
    loop {
        let count = client.read(&mut bytes).await.unwrap_or(0);
        let piece = bytes.get(..count).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        let scanned = match &mut scanner {
            Some(scanner) => scanner.scan(piece),
            None => Scanned::Pass(piece.to_vec()),
        };
        let (passed, detached) = match scanned {
            Scanned::Pass(passed) => (passed, false),
            Scanned::Detach(passed) => (passed, true),
        };
        if write(&mut writer, &passed).await.is_err() {
            return;
        }
        if detached {
            (leaving.on_detach)();
            leaving.cut.send(()).ok();
            return;
        }
    }
    // Dropping the writer half-closes the socket, which ends the input alone.
    finish(&mut writer, scanner, close_stdin).await.ok();
}

async fn finish(
    writer: &mut OwnedWriteHalf,
    scanner: Option<Scanner>,
    close_stdin: bool,
) -> io::Result<()> {
    if let Some(mut scanner) = scanner {
        write(writer, &scanner.finish()).await?;
    }
    match close_stdin {
        true => {
            writer
                .write_all(&to_frame(FrameKind::CloseStdin, &[])?)
                .await
        }
        false => Ok(()),
    }
}

async fn write(writer: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
    for chunk in bytes.chunks(MAX_CHUNK) {
        writer
            .write_all(&to_frame(FrameKind::Stdin, chunk)?)
            .await?;
    }
    Ok(())
}

fn to_frame(kind: FrameKind, bytes: &[u8]) -> io::Result<Vec<u8>> {
    frame(kind, bytes).map_err(io::Error::other)
}
