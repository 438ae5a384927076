//! Joins async streams to blocking work by bounded queues of chunks, or by two buffers that take turns.
//!
//! An error travels as an item, so that a broken upload is never taken for the end of an archive, nor a failed save for a
//! complete one.

use std::{
    future::poll_fn,
    io::{self, Read, Write},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, ReadBuf},
    sync::mpsc,
};

use crate::basin::{Filled, Taker, basin};

/// Bytes of a chunk.
const CHUNK: usize = 256 * 1024;
/// Chunks that may wait.
const QUEUE: usize = 8;
/// The most that is read of an upload that failed.
const SWALLOWED: u64 = 1 << 30;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(30);

type Item = io::Result<Bytes>;

/// Reads what blocking work writes.
#[derive(Debug)]
pub struct ChunkReader {
    queue: mpsc::Receiver<Item>,
    rest: Bytes,
}

/// Blocking end that writes for a [`ChunkReader`].
#[derive(Debug)]
pub struct ChunkWriter {
    queue: mpsc::Sender<Item>,
    buffer: BytesMut,
}

/// Blocking end that reads what an async stream brings.
#[derive(Debug)]
pub struct BlockingReader(Source);

/// Where the bytes come from.
#[derive(Debug)]
enum Source {
    /// Somebody sends chunks.
    Queue {
        queue: mpsc::Receiver<Item>,
        rest: Bytes,
    },
    /// A task reads ahead.
    Basin(Taker),
}

/// Makes a pipe from blocking work to an async reader.
pub fn outward() -> (ChunkWriter, ChunkReader) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let writer = ChunkWriter {
        queue: sender,
        buffer: BytesMut::with_capacity(CHUNK),
    };
    let rest = Bytes::new();
    (writer, ChunkReader { queue, rest })
}

/// Makes a pipe for chunks that somebody else brings; to drop the sender without an error ends the stream.
pub fn chunks() -> (mpsc::Sender<io::Result<Bytes>>, BlockingReader) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let rest = Bytes::new();
    (sender, BlockingReader(Source::Queue { queue, rest }))
}

/// Makes a pipe from an async reader to blocking work; a task of its own reads ahead.
pub fn inward(source: impl AsyncRead + Send + Unpin + 'static) -> BlockingReader {
    let (reading, reader) = attended(source);
    tokio::spawn(reading);
    reader
}

/// As [`inward`], but whoever calls does the reading, by waiting for the future: a request's body is handed over piece by piece,
/// and two tasks would wake each other for each. Dropped before its end, the stream is broken for the reader.
pub fn attended(
    mut source: impl AsyncRead + Send + Unpin + 'static,
) -> (impl Future<Output = ()> + Send, BlockingReader) {
    let (filler, taker) = basin();
    let reading = async move {
        if filler.fill(&mut source).await == Filled::Left {
            // The answer need not wait for it.
            tokio::spawn(swallow(source));
        }
    };
    (reading, BlockingReader(Source::Basin(taker)))
}

/// Waits for `work` and does the reading for it meanwhile. The end of the work waits for nobody: a client that still sends is heard
/// out by a task.
pub async fn beside<T>(
    reading: impl Future<Output = ()> + Send + 'static,
    work: impl Future<Output = T>,
) -> T {
    let (mut reading, mut work) = (Some(Box::pin(reading)), pin!(work));
    let done = poll_fn(|context| {
        if reading
            .as_mut()
            .is_some_and(|one| one.as_mut().poll(context).is_ready())
        {
            reading = None;
        }
        work.as_mut().poll(context)
    })
    .await;
    reading.map(tokio::spawn);
    done
}

/// Takes the rest of an upload that nobody reads: a client that is cut off while it sends never looks at the answer.
async fn swallow(source: impl AsyncRead + Unpin) {
    let mut rest = source.take(SWALLOWED);
    let mut nowhere = tokio::io::sink();
    tokio::time::timeout(PATIENCE, tokio::io::copy(&mut rest, &mut nowhere))
        .await
        .ok();
}

impl Read for BlockingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (queue, rest) = match &mut self.0 {
            Source::Basin(taker) => return taker.read(buffer),
            Source::Queue { queue, rest } => (queue, rest),
        };
        if rest.is_empty() {
            match queue.blocking_recv() {
                Some(item) => *rest = item?,
                None => return Ok(0),
            }
        }
        let count = rest.len().min(buffer.len());
        rest.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}

impl ChunkWriter {
    /// Sends what is left and ends the stream.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()
    }

    /// Breaks the stream off, so that the reader does not take it for complete.
    pub fn fail(self, error: io::Error) {
        self.queue.blocking_send(Err(error)).ok();
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(CHUNK));
        let sent = self.queue.blocking_send(Ok(chunk.freeze()));
        sent.ok().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl AsyncRead for ChunkReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.queue.poll_recv(context)) {
                Some(item) => self.rest = item?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest.split_to(count));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_does_not_wait_for_a_client_that_says_no_more() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"no archive").await.unwrap();
        let (reading, mut source) = attended(server);
        let work = tokio::task::spawn_blocking(move || {
            let mut first = [0; 2];
            source.read_exact(&mut first).map(|()| first)
        });
        let answer = tokio::time::timeout(PATIENCE, beside(reading, work)).await;
        assert_eq!(&answer.unwrap().unwrap().unwrap(), b"no");
        // And it is heard out, if it goes on.
        client.write_all(&[0; 10_000]).await.unwrap();
    }
}
