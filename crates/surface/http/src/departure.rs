//! Notices that a client has left while nothing is written to it: a pull from a registry that says nothing would otherwise go
//! on for nobody, and each quiet stream of events would hold a descriptor until something happens.
//!
//! hyper does not look, because a client may close its writing half and still read (`half_close`). So a second descriptor of the
//! socket is watched: on a unix socket until the other end is gone altogether; over TCP, where a close looks like a half-close,
//! until it says that it sends no more, which ends a request at dockerd too. Used by `serve.rs` and by pull and push.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, SizeHint};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
    time::sleep,
};

use crate::reply::Body;

/// How often one is looked at that has closed one half. Waiting for what is urgent wakes for that and for a close alone, not for
/// each byte that hyper reads.
const LOOK: Duration = Duration::from_secs(1);

/// What tells when a client has left; clones watch the same one.
#[derive(Clone, Debug)]
pub(crate) struct Departure(Option<Arc<Socket>>);

#[derive(Debug)]
struct Socket {
    descriptor: OwnedFd,
    /// Whether a half that is closed means that all is.
    half_is_all: bool,
}

impl Departure {
    /// Watches nobody: whoever asked stays.
    pub(crate) const fn unknown() -> Self {
        Self(None)
    }

    /// Watches a unix socket.
    pub(crate) fn of_unix(stream: &impl AsFd) -> Self {
        Self::of(stream, false)
    }

    /// Watches a TCP connection.
    pub(crate) fn of_tcp(stream: &impl AsFd) -> Self {
        Self::of(stream, true)
    }

    /// Without a descriptor to spare nobody is seen leaving, which is not worth refusing them for.
    fn of(stream: &impl AsFd, half_is_all: bool) -> Self {
        let copied = stream.as_fd().try_clone_to_owned().ok();
        Self(copied.map(|descriptor| {
            Arc::new(Socket {
                descriptor,
                half_is_all,
            })
        }))
    }

    /// Waits until the client has left. Cancellation safe.
    pub(crate) async fn wait(self) {
        match &self.0 {
            Some(socket) if socket.gone().await.is_ok() => {}
            _ => std::future::pending().await,
        }
    }
}

impl Socket {
    async fn gone(&self) -> io::Result<()> {
        // A copy of its own for each who waits: a descriptor is registered once.
        let copy = self.descriptor.try_clone()?;
        match self.half_is_all {
            true => {
                let watched = TcpStream::from_std(copy.into())?;
                while !watched.ready(Interest::PRIORITY).await?.is_read_closed() {
                    sleep(LOOK).await;
                }
            }
            false => {
                let watched = UnixStream::from_std(copy.into())?;
                watched.ready(Interest::PRIORITY).await?;
                while !self.hung_up() {
                    sleep(LOOK).await;
                }
            }
        }
        Ok(())
    }

    fn hung_up(&self) -> bool {
        let mut asked = [PollFd::new(&self.descriptor, PollFlags::HUP)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut asked, Some(&now)).is_ok()
            && asked
                .iter()
                .any(|one| one.revents().contains(PollFlags::HUP))
    }
}

/// A streamed body that ends with its reader.
struct Attended {
    body: Body,
    gone: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Makes a body that comes in pieces end when its client has left.
pub(crate) fn attended(body: Body, departure: Departure) -> Body {
    if body.is_end_stream() || body.size_hint().exact().is_some() {
        return body;
    }
    let gone = Box::pin(departure.wait());
    Attended { body, gone }.boxed_unsync()
}

impl hyper::body::Body for Attended {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            return frame;
        }
        let gone = self.gone.as_mut().poll(context);
        gone.map(|()| Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::unix::net::UnixStream as Pair};

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(60);
    const NOT_YET: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn who_closes_a_unix_socket_has_left_and_who_closes_half_of_it_has_not() {
        let (near, far) = Pair::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let departure = Departure::of_unix(&near);
        assert!(timeout(NOT_YET, departure.clone().wait()).await.is_err());
        far.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(timeout(NOT_YET, departure.clone().wait()).await.is_err());
        drop(far);
        assert!(timeout(SOON, departure.wait()).await.is_ok());
    }

    #[tokio::test]
    async fn bytes_that_nobody_has_read_hide_nobody_s_leaving() {
        let (near, mut far) = Pair::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let waiting = tokio::spawn(Departure::of_unix(&near).wait());
        io::Write::write_all(&mut far, b"a second request").unwrap();
        tokio::time::sleep(NOT_YET).await;
        assert!(!waiting.is_finished());
        drop(far);
        assert!(timeout(SOON, waiting).await.is_ok());
    }

    #[tokio::test]
    async fn over_tcp_the_end_of_sending_is_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        let departure = Departure::of_tcp(&near);
        assert!(timeout(NOT_YET, departure.clone().wait()).await.is_err());
        drop(far);
        assert!(timeout(SOON, departure.wait()).await.is_ok());
    }
}
