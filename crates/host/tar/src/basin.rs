//! Bytes that gather between a task that brings them and a thread that takes them.
//!
//! A client's archive comes in pieces of half a kilobyte. A queue of pieces puts both sides to sleep and wakes them for each;
//! here the thread takes all that has gathered while it worked, and gives its emptied buffer back for it: two buffers, whatever
//! the length of the stream. Under [`crate::BlockingReader`].

use std::{
    future::poll_fn,
    io,
    pin::pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::Notify,
};

/// Bytes that gather at most, and as many are being taken.
const ROOM: usize = 512 * 1024;

/// The end of the task.
#[derive(Debug)]
pub(crate) struct Filler(Arc<Basin>);

/// The end of the thread.
#[derive(Debug)]
pub(crate) struct Taker {
    basin: Arc<Basin>,
    taken: Vec<u8>,
    /// How much of it was read.
    at: usize,
}

#[derive(Debug, Default)]
struct Basin {
    level: Mutex<Level>,
    filled: Condvar,
    drained: Notify,
}

#[derive(Debug, Default)]
struct Level {
    bytes: Vec<u8>,
    inflow: Inflow,
    /// Whether the thread waits: to rouse nobody is a system call, too.
    waits: bool,
    /// Whether the thread has gone.
    left: bool,
}

/// What becomes of the stream.
#[derive(Debug, Default)]
enum Inflow {
    #[default]
    Open,
    Ended,
    Failed(io::Error),
}

/// What filling came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// The stream ended or broke.
    Whole,
    /// Nobody takes any more of it.
    Left,
}

/// Makes both ends.
pub(crate) fn basin() -> (Filler, Taker) {
    let basin = Arc::new(Basin::default());
    let taker = Taker {
        basin: Arc::clone(&basin),
        taken: Vec::new(),
        at: 0,
    };
    (Filler(basin), taker)
}

impl Basin {
    fn level(&self) -> MutexGuard<'_, Level> {
        // Nothing panics while it is held; bytes are whole at any moment.
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the thread, if it waits, that there is something to take.
    fn rouse(&self, mut level: MutexGuard<'_, Level>) {
        let waits = std::mem::take(&mut level.waits);
        drop(level);
        if waits {
            self.filled.notify_one();
        }
    }
}

impl Filler {
    /// Fills until the stream ends or nobody takes.
    pub(crate) async fn fill(self, source: &mut (impl AsyncRead + Unpin)) -> Filled {
        loop {
            // Asked for before the look at the level: a drain in between is not missed.
            let drained = self.0.drained.notified();
            match poll_fn(|context| self.step(source, context)).await {
                Step::More => {}
                Step::Full => drained.await,
                Step::Done(filled) => return filled,
            }
        }
    }

    /// Reads once, straight to where it is taken from.
    fn step(&self, source: &mut (impl AsyncRead + Unpin), context: &mut Context<'_>) -> Poll<Step> {
        let mut level = self.0.level();
        if level.left {
            return Poll::Ready(Step::Done(Filled::Left));
        }
        if level.bytes.len() >= ROOM {
            return Poll::Ready(Step::Full);
        }
        let missing = ROOM.saturating_sub(level.bytes.len());
        level.bytes.reserve_exact(missing);
        let read = pin!(source.read_buf(&mut level.bytes)).poll(context);
        let step = match std::task::ready!(read) {
            Ok(0) => Step::end(&mut level, Inflow::Ended),
            Ok(_) => Step::More,
            Err(error) => Step::end(&mut level, Inflow::Failed(error)),
        };
        self.0.rouse(level);
        Poll::Ready(step)
    }
}

/// What one read came to.
enum Step {
    More,
    Full,
    Done(Filled),
}

impl Step {
    fn end(level: &mut Level, inflow: Inflow) -> Self {
        level.inflow = inflow;
        Self::Done(Filled::Whole)
    }
}

impl Drop for Filler {
    /// A task that was stopped has not read to the end: that is not for the thread to believe.
    fn drop(&mut self) {
        let mut level = self.0.level();
        if matches!(level.inflow, Inflow::Open) {
            level.inflow = Inflow::Failed(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.rouse(level);
    }
}

impl io::Read for Taker {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.taken.len() && !self.take()? {
            return Ok(0);
        }
        let rest = self.taken.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

impl Taker {
    /// Takes all that has gathered, and waits where nothing has; tells whether there was anything.
    fn take(&mut self) -> io::Result<bool> {
        let mut level = self.basin.level();
        while level.bytes.is_empty() {
            match std::mem::take(&mut level.inflow) {
                Inflow::Open => {
                    level.waits = true;
                    let woken = self.basin.filled.wait(level);
                    level = woken.unwrap_or_else(PoisonError::into_inner);
                }
                Inflow::Ended => {
                    level.inflow = Inflow::Ended;
                    return Ok(false);
                }
                // Told once; what is asked after it is told the end of nothing.
                Inflow::Failed(error) => {
                    level.inflow = Inflow::Failed(error.kind().into());
                    return Err(error);
                }
            }
        }
        self.taken.clear();
        self.at = 0;
        std::mem::swap(&mut self.taken, &mut level.bytes);
        drop(level);
        self.basin.drained.notify_one();
        Ok(true)
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.basin.level().left = true;
        self.basin.drained.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().build().unwrap()
    }

    #[test]
    fn all_bytes_come_in_their_order_through_two_buffers() {
        let runtime = runtime();
        let (mut sender, mut receiver) = tokio::io::duplex(700);
        let (filler, mut taker) = basin();
        let sent: Vec<u8> = (0..=250).cycle().take(5 * ROOM).collect();
        let bytes = sent.clone();
        runtime.spawn(async move { sender.write_all(&bytes).await.unwrap() });
        let filled = runtime.spawn(async move { filler.fill(&mut receiver).await });
        let mut received = Vec::new();
        taker.read_to_end(&mut received).unwrap();
        assert!(received == sent);
        assert!(taker.taken.capacity() <= ROOM);
        assert_eq!(runtime.block_on(filled).unwrap(), Filled::Whole);
        assert_eq!(taker.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn who_takes_nothing_lets_no_more_gather_than_there_is_room() {
        let runtime = runtime();
        let (filler, taker) = basin();
        let basin = Arc::clone(&taker.basin);
        let filled = runtime.spawn(async move { filler.fill(&mut tokio::io::repeat(7)).await });
        while basin.level().bytes.len() < ROOM {
            std::thread::yield_now();
        }
        assert_eq!(basin.level().bytes.capacity(), ROOM);
        drop(taker);
        assert_eq!(runtime.block_on(filled).unwrap(), Filled::Left);
    }

    #[test]
    fn a_stream_that_breaks_or_is_dropped_is_never_taken_for_whole() {
        struct Broken;
        impl AsyncRead for Broken {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                _context: &mut Context<'_>,
                _buffer: &mut tokio::io::ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
        }
        let (filler, mut taker) = basin();
        let mut broken = tokio::io::AsyncReadExt::chain(&b"begun"[..], Broken);
        runtime().block_on(filler.fill(&mut broken));
        let mut received = Vec::new();
        let error = taker.read_to_end(&mut received).unwrap_err();
        assert_eq!(
            (&received[..], error.kind()),
            (&b"begun"[..], io::ErrorKind::ConnectionReset)
        );
        assert!(taker.read(&mut [0]).is_err());
        let (filler, mut taker) = basin();
        drop(filler);
        assert!(taker.read(&mut [0]).is_err());
    }
}
