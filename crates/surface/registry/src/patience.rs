//! Watches that a client keeps up: one that takes or brings a byte a minute holds a connection that others could use (slow
//! loris). Time counts only while we wait for the client.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use hakone_registry_service::Body as Pieces;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, timeout},
};

/// Bytes that must move in each window of waiting (`limits.window`).
const LEAST: u64 = 16 * 1024;

/// Makes pieces of a request's body; an error when it comes too slowly or breaks off.
pub(crate) fn pieces(body: Incoming, window: Duration) -> Pieces {
    let begin = Coming {
        body,
        window,
        waited: Duration::ZERO,
        come: 0,
    };
    Box::pin(stream::unfold(Some(begin), |coming| async move {
        let mut coming = coming?;
        match coming.next().await.transpose()? {
            Ok(bytes) => Some((Ok(bytes), Some(coming))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

/// A body that is being read.
struct Coming {
    body: Incoming,
    window: Duration,
    waited: Duration,
    come: u64,
}

impl Coming {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let since = Instant::now();
            let frame = timeout(self.window, self.body.frame()).await;
            let Some(frame) = frame.map_err(io::Error::from)? else {
                return Ok(None);
            };
            if let Ok(bytes) = frame.map_err(io::Error::other)?.into_data() {
                self.judge(since.elapsed(), bytes.len() as u64)?;
                return Ok(Some(bytes));
            }
        }
    }

    fn judge(&mut self, waited: Duration, come: u64) -> io::Result<()> {
        (self.waited, self.come) = (self.waited + waited, self.come + come);
        if self.waited < self.window {
            return Ok(());
        }
        match std::mem::take(&mut self.come) {
            come if come < LEAST => Err(io::ErrorKind::TimedOut.into()),
            _ => {
                self.waited = Duration::ZERO;
                Ok(())
            }
        }
    }
}

/// Reads a body of at most `limit` bytes; nothing when it is longer.
pub(crate) async fn collect(
    body: Incoming,
    limit: usize,
    window: Duration,
) -> io::Result<Option<Bytes>> {
    use futures_util::StreamExt as _;
    let mut pieces = pieces(body, window);
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if whole.len() + piece.len() > limit {
            return Ok(None);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(Some(whole.into()))
}

/// A connection whose other end must keep reading.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    inner: S,
    window: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    gone: u64,
}

impl<S> Patient<S> {
    pub(crate) const fn new(inner: S, window: Duration) -> Self {
        Self {
            inner,
            window,
            waiting: None,
            gone: 0,
        }
    }

    /// Judges a write: one that waits starts the clock, and when that has run down enough must have gone.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.gone += *count as u64;
            if self.gone >= LEAST {
                (self.waiting, self.gone) = (None, 0);
            }
            return written;
        }
        if written.is_ready() {
            return written;
        }
        let window = self.window;
        let clock = self.waiting.get_or_insert_with(|| Box::pin(sleep(window)));
        ready!(clock.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn who_does_not_read_is_left_and_who_reads_slowly_is_not() {
        let (near, mut far) = duplex(1024);
        let window = Duration::from_secs(3);
        let mut patient = Patient::new(near, window);
        let writing = tokio::spawn(async move { patient.write_all(&vec![0; 1 << 20]).await });
        let mut block = vec![0; 1024];
        let begun = Instant::now();
        while begun.elapsed() < window * 3 / 2 {
            sleep(Duration::from_millis(10)).await;
            far.read_exact(&mut block).await.unwrap();
        }
        assert!(!writing.is_finished());
        let ended = writing.await.unwrap().unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }
}
