//! Reads a child's streams until it ends, within a deadline and a limit.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read},
};

const CHUNK: usize = 16 * 1024;

/// What came from one stream.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) bytes: Vec<u8>,
    pub(crate) truncated: bool,
}

/// Reads both streams until `ended` (a pidfd) fires; nothing when the deadline comes first.
pub(crate) fn until_end(
    streams: [Option<OwnedFd>; 2],
    ended: &OwnedFd,
    (deadline, limit): (Instant, usize),
) -> io::Result<Option<[Captured; 2]>> {
    let mut sources = streams.map(|stream| (stream, Captured::default()));
    loop {
        let Some(left) = left(deadline) else {
            return Ok(None);
        };
        let [end, ready @ ..] = wait(&sources, ended, Some(&left))?;
        for ((stream, captured), ready) in sources.iter_mut().zip(ready) {
            if ready {
                take(stream, captured, limit)?;
            }
        }
        if end {
            drain(&mut sources, ended, limit)?;
            return Ok(Some(sources.map(|(_, captured)| captured)));
        }
    }
}

/// Waits until `ended` (a pidfd) fires; nothing when the deadline comes first.
pub(crate) fn wait_end(ended: &OwnedFd, deadline: Instant) -> io::Result<Option<()>> {
    loop {
        let Some(left) = left(deadline) else {
            return Ok(None);
        };
        let [end, ..] = wait(&[(None, ()), (None, ())], ended, Some(&left))?;
        if end {
            return Ok(Some(()));
        }
    }
}

/// Takes what is still in the pipes, though a descendant may hold them open.
fn drain(
    sources: &mut [(Option<OwnedFd>, Captured); 2],
    ended: &OwnedFd,
    limit: usize,
) -> io::Result<()> {
    loop {
        let [_, ready @ ..] = wait(sources, ended, Some(&Timespec::default()))?;
        if ready == [false; 2] {
            return Ok(());
        }
        for ((stream, captured), ready) in sources.iter_mut().zip(ready) {
            if ready {
                take(stream, captured, limit)?;
            }
        }
    }
}

/// Tells which of `ended` and the two streams have something; an interrupted wait has nothing.
fn wait<T>(
    sources: &[(Option<OwnedFd>, T); 2],
    ended: &OwnedFd,
    timeout: Option<&Timespec>,
) -> io::Result<[bool; 3]> {
    let [(a, _), (b, _)] = sources;
    // A closed stream asks for nothing; its place is kept by the pidfd without events.
    let place = |stream: &'_ Option<OwnedFd>| stream.is_some();
    let watch = |stream| PollFd::from_borrowed_fd(stream, PollFlags::IN);
    let mut polled = [
        watch(ended.as_fd()),
        watch(a.as_ref().unwrap_or(ended).as_fd()),
        watch(b.as_ref().unwrap_or(ended).as_fd()),
    ];
    match poll(&mut polled, timeout) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok([false; 3]),
        Err(error) => return Err(error.into()),
    }
    let [end, first, second] = polled.map(|each| !each.revents().is_empty());
    Ok([end, first && place(a), second && place(b)])
}

fn take(stream: &mut Option<OwnedFd>, captured: &mut Captured, limit: usize) -> io::Result<()> {
    let Some(source) = stream else {
        return Ok(());
    };
    let mut chunk = [0; CHUNK];
    let count = match read(source, &mut chunk) {
        Ok(count) => count,
        Err(Errno::INTR) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if count == 0 {
        *stream = None;
    }
    let room = limit.saturating_sub(captured.bytes.len()).min(count);
    captured.truncated |= room < count;
    captured
        .bytes
        .extend_from_slice(chunk.get(..room).unwrap_or_default());
    Ok(())
}

fn left(deadline: Instant) -> Option<Timespec> {
    let left = deadline.checked_duration_since(Instant::now())?;
    Timespec::try_from(left).ok()
}
