//! Hands a supervisor's frames on to a client: as they are, or without headers for a terminal.
//!
//! The headers of output frames are those of Docker's multiplexed streams, so nothing is parsed but lengths, and each
//! byte is copied once. Messages among the frames are the daemon's own and never reach the client.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hakone_supervision::{FrameKind, HEADER, Header, Notice};
use tokio::{
    io::{AsyncBufRead, AsyncRead, ReadBuf},
    sync::oneshot,
};

/// How frames are handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Header and payload.
    Multiplexed,
    /// Payloads alone, for terminals.
    Raw,
}

/// Called with the exit code when a command's stream brings one.
pub type OnExit = Box<dyn FnOnce(i32) + Send + Sync>;

/// Reads a process's output from a supervisor's frames.
pub struct FrameReader<R> {
    source: R,
    format: Format,
    step: Step,
    /// Told when the client typed the detach keys; `None` once its sender is gone without a word.
    cut: Option<oneshot::Receiver<()>>,
    on_exit: Option<OnExit>,
}

#[derive(Debug)]
enum Step {
    /// Collects a header.
    Header(Vec<u8>),
    /// Hands a header on, then its payload.
    Emit { bytes: Vec<u8>, payload: usize },
    /// Hands a payload on.
    Payload(usize),
    /// Collects a message of this length.
    Message { bytes: Vec<u8>, length: usize },
    /// Nothing more comes.
    End,
}

impl<R> fmt::Debug for FrameReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader")
            .field("format", &self.format)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl<R: AsyncBufRead + Unpin> FrameReader<R> {
    /// Reads from `source` until it ends or `cut` is told.
    pub fn new(
        source: R,
        format: Format,
        cut: oneshot::Receiver<()>,
        on_exit: Option<OnExit>,
    ) -> Self {
        Self {
            source,
            format,
            step: Step::Header(Vec::new()),
            cut: Some(cut),
            on_exit,
        }
    }

    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(cut) = &mut self.cut else {
            return false;
        };
        match Pin::new(cut).poll(cx) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => {
                self.cut = None;
                false
            }
            Poll::Pending => false,
        }
    }

    /// Goes one step on.
    fn advance(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.step {
            Step::Header(bytes) => {
                let wanted = HEADER - bytes.len();
                let count = ready!(take(&mut self.source, cx, wanted, |part| {
                    bytes.extend_from_slice(part);
                }))?;
                self.step = match count {
                    0 => Step::End,
                    _ => after_header(std::mem::take(bytes), self.format)?,
                };
                Poll::Ready(Ok(()))
            }
            Step::Emit { bytes, payload } => {
                let count = bytes.len().min(out.remaining());
                out.put_slice(bytes.drain(..count).as_slice());
                if bytes.is_empty() {
                    self.step = Step::Payload(*payload);
                }
                Poll::Ready(Ok(()))
            }
            Step::Payload(0) => {
                self.step = Step::Header(Vec::new());
                Poll::Ready(Ok(()))
            }
            Step::Payload(left) => {
                let wanted = (*left).min(out.remaining());
                let count = ready!(take(&mut self.source, cx, wanted, |part| {
                    out.put_slice(part);
                }))?;
                *left -= count;
                if count == 0 {
                    self.step = Step::End;
                }
                Poll::Ready(Ok(()))
            }
            Step::Message { bytes, length } => {
                let wanted = *length - bytes.len();
                let count = ready!(take(&mut self.source, cx, wanted, |part| {
                    bytes.extend_from_slice(part);
                }))?;
                if bytes.len() == *length {
                    tell(bytes, &mut self.on_exit);
                    self.step = Step::Header(Vec::new());
                } else if count == 0 {
                    self.step = Step::End;
                }
                Poll::Ready(Ok(()))
            }
            Step::End => Poll::Ready(Ok(())),
        }
    }
}

impl<R: AsyncBufRead + Unpin> AsyncRead for FrameReader<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_cut(cx) {
            this.step = Step::End;
        }
        // A header goes out with its payload, and small frames together: some clients take the first bytes for all.
        let before = out.filled().len();
        while out.remaining() > 0 && !matches!(this.step, Step::End) {
            match this.advance(cx, out) {
                Poll::Ready(Ok(())) => (),
                Poll::Ready(Err(error)) => {
                    this.step = Step::End;
                    return Poll::Ready(Err(error));
                }
                Poll::Pending if out.filled().len() > before => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Passes at most `wanted` bytes to `sink`; gives how many, 0 at the end.
fn take<R: AsyncBufRead + Unpin>(
    source: &mut R,
    cx: &mut Context<'_>,
    wanted: usize,
    sink: impl FnOnce(&[u8]),
) -> Poll<io::Result<usize>> {
    let mut source = Pin::new(source);
    let bytes = ready!(source.as_mut().poll_fill_buf(cx))?;
    let part = bytes.get(..wanted).unwrap_or(bytes);
    sink(part);
    let count = part.len();
    source.consume(count);
    Poll::Ready(Ok(count))
}

fn after_header(bytes: Vec<u8>, format: Format) -> io::Result<Step> {
    let Ok(whole) = <[u8; HEADER]>::try_from(bytes.as_slice()) else {
        return Ok(Step::Header(bytes));
    };
    let Header { kind, length } =
        Header::parse(whole).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(match (kind, format) {
        (FrameKind::Stdout | FrameKind::Stderr, Format::Multiplexed) => Step::Emit {
            bytes,
            payload: length,
        },
        (FrameKind::Stdout | FrameKind::Stderr, Format::Raw) => Step::Payload(length),
        (
            FrameKind::Stdin
            | FrameKind::Request
            | FrameKind::Reply
            | FrameKind::Notice
            | FrameKind::CloseStdin,
            _,
        ) => Step::Message {
            bytes: Vec::new(),
            length,
        },
    })
}

fn tell(bytes: &[u8], on_exit: &mut Option<OnExit>) {
    let notice = serde_json::from_slice::<Notice>(bytes);
    if let (Ok(Notice::ExecExited { code, .. }), Some(tell)) = (notice, on_exit.take()) {
        tell(code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hakone_base::ExecId;
    use hakone_supervision::{encode, frame};
    use std::sync::{Arc, Mutex};
    use tokio::io::AsyncReadExt as _;

    fn bytes() -> Vec<u8> {
        let id = ExecId::from_bytes([1; 32]);
        [
            frame(FrameKind::Stdout, b"out").unwrap(),
            frame(FrameKind::Stderr, b"error").unwrap(),
            encode(&Notice::ExecExited { id, code: 3 }).unwrap(),
        ]
        .concat()
    }

    async fn read(format: Format) -> Vec<u8> {
        let (_keep, cut) = oneshot::channel();
        let input = bytes();
        let mut reader = FrameReader::new(&input[..], format, cut, None);
        let mut all = Vec::new();
        // One byte at a time finds every seam.
        let mut byte = [0; 1];
        while reader.read(&mut byte).await.unwrap() > 0 {
            all.push(byte[0]);
        }
        all
    }

    #[tokio::test(flavor = "current_thread")]
    async fn multiplexed_frames_pass_as_they_are_and_messages_do_not() {
        let out = read(Format::Multiplexed).await;
        assert_eq!(out, b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x05error");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn one_read_takes_a_header_with_its_payload_and_all_that_is_there() {
        let (_keep, cut) = oneshot::channel();
        let input = bytes();
        let mut reader = FrameReader::new(&input[..], Format::Multiplexed, cut, None);
        let mut first = [0; 64];
        assert_eq!(reader.read(&mut first).await.unwrap(), 8 + 3 + 8 + 5);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_terminal_gets_payloads_alone() {
        assert_eq!(read(Format::Raw).await, b"outerror");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_exit_code_is_told_before_the_end_is_seen() {
        let told = Arc::new(Mutex::new(None));
        let (input, (_keep, cut), sink) = (bytes(), oneshot::channel(), Arc::clone(&told));
        let on_exit: OnExit = Box::new(move |code| *sink.lock().unwrap() = Some(code));
        let mut reader = FrameReader::new(&input[..], Format::Raw, cut, Some(on_exit));
        reader.read_to_end(&mut Vec::new()).await.unwrap();
        assert_eq!(*told.lock().unwrap(), Some(3));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn detaching_ends_the_output_while_the_process_is_silent() {
        let (detach, cut) = oneshot::channel();
        let (_keep, silent) = tokio::io::duplex(8);
        let source = tokio::io::BufReader::new(silent);
        let mut reader = FrameReader::new(source, Format::Raw, cut, None);
        let read = tokio::spawn(async move { reader.read(&mut [0; 4]).await });
        detach.send(()).unwrap();
        assert_eq!(read.await.unwrap().unwrap(), 0);
    }
}
