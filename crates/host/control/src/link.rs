//! Speaks with a supervisor over its control socket: one connection for one purpose.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use hakone_supervision::{
    Decoder, Frame, FrameError, FrameKind, HEADER, MAX_HELD_PER_MESSAGE, Notice, Reply, Request,
    encode,
};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, Interest},
    net::UnixStream,
    time::timeout,
};

/// Time a supervisor may take to answer a question that needs no work of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time that making a container may take, copying an image's files into empty volumes included.
const MAKING: Duration = Duration::from_secs(300);

/// Why a supervisor did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket failed.
    #[error("the container's supervisor cannot be reached: {0}")]
    Io(#[from] io::Error),
    /// What came is no message.
    #[error("the container's supervisor sent nonsense: {0}")]
    Frame(#[from] FrameError),
    /// It did not answer in time.
    #[error("the container's supervisor does not answer")]
    Silent,
    /// It went away.
    #[error("the container's supervisor went away")]
    Gone,
}

/// A connection to a supervisor.
#[derive(Debug)]
pub struct Link {
    stream: UnixStream,
    decoder: Decoder,
}

impl Link {
    /// Connects to the supervisor of a run folder.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(run_folder: &Path) -> Result<Self, LinkError> {
        let stream = crate::socket::connect(run_folder).await?;
        Ok(Self {
            stream,
            decoder: Decoder::default(),
        })
    }

    /// Asks one question on a connection of its own.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn ask(run_folder: &Path, request: &Request) -> Result<Reply, LinkError> {
        Self::connect(run_folder).await?.request(request).await
    }

    /// Sends a request and waits for its reply; the connection may be a stream afterwards.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn request(&mut self, request: &Request) -> Result<Reply, LinkError> {
        self.send(request).await?;
        let patience = match request {
            Request::Start | Request::Exec(_) => MAKING,
            Request::Abort
            | Request::Watch
            | Request::Attach(_)
            | Request::Signal { .. }
            | Request::Resize(_)
            | Request::ExecResize { .. }
            | Request::ExecKill { .. }
            | Request::Hold
            | Request::Held
            | Request::Release => PATIENCE,
        };
        match timeout(patience, self.reply()).await {
            Ok(reply) => reply,
            Err(_) => Err(LinkError::Silent),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn send(&mut self, request: &Request) -> Result<(), LinkError> {
        Ok(self.stream.write_all(&encode(request)?).await?)
    }

    /// Reads the next reply.
    ///
    /// # Errors
    /// When the socket fails or closes, or what comes is no reply.
    pub async fn reply(&mut self) -> Result<Reply, LinkError> {
        match self.frame().await? {
            Some(frame) => Ok(frame.message()?),
            None => Err(LinkError::Gone),
        }
    }

    /// Reads the next notice; nothing when the supervisor is gone.
    ///
    /// # Errors
    /// When the socket fails, or what comes is no notice.
    pub async fn notice(&mut self) -> Result<Option<Notice>, LinkError> {
        loop {
            match self.frame().await? {
                // The watch itself may be acknowledged first.
                Some(frame) if frame.kind == FrameKind::Reply => (),
                Some(frame) => return Ok(Some(frame.message()?)),
                None => return Ok(None),
            }
        }
    }

    /// Gives the socket for streaming. Never more than a frame was read ahead: nothing is lost.
    #[must_use]
    pub fn into_stream(self) -> UnixStream {
        self.stream
    }

    /// Hands descriptors to the supervisor to keep.
    ///
    /// # Errors
    /// When the supervisor does not take them.
    pub async fn hold(&mut self, descriptors: &[OwnedFd]) -> Result<(), LinkError> {
        for part in descriptors.chunks(MAX_HELD_PER_MESSAGE) {
            let borrowed: Vec<_> = part.iter().map(|descriptor| descriptor.as_fd()).collect();
            let bytes = encode(&Request::Hold)?;
            let stream = &self.stream;
            let sent = stream
                .async_io(Interest::WRITABLE, || {
                    send_with(stream.as_fd(), &bytes, &borrowed)
                })
                .await?;
            self.stream
                .write_all(bytes.get(sent..).unwrap_or_default())
                .await?;
            self.reply().await?;
        }
        Ok(())
    }

    /// Asks for duplicates of the descriptors that the supervisor keeps.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn held(&mut self) -> Result<Vec<OwnedFd>, LinkError> {
        self.send(&Request::Held).await?;
        let mut all = Vec::new();
        loop {
            let (reply, mut descriptors) = self.reply_with().await?;
            all.append(&mut descriptors);
            match reply {
                Reply::Held { count } if count == MAX_HELD_PER_MESSAGE => (),
                Reply::Held { .. }
                | Reply::Ok
                | Reply::Started { .. }
                | Reply::ExecStarted { .. }
                | Reply::Failed { .. } => return Ok(all),
            }
        }
    }

    async fn reply_with(&mut self) -> Result<(Reply, Vec<OwnedFd>), LinkError> {
        let mut descriptors = Vec::new();
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok((frame.message()?, descriptors));
            }
            let mut bytes = [0; 256];
            let stream = &self.stream;
            let received = stream.async_io(Interest::READABLE, || {
                receive_with(stream.as_fd(), &mut bytes)
            });
            let (count, mut came) = timeout(PATIENCE, received).await.map_err(silent)??;
            if count == 0 {
                return Err(LinkError::Gone);
            }
            descriptors.append(&mut came);
            self.decoder.push(bytes.get(..count).unwrap_or_default());
        }
    }

    async fn frame(&mut self) -> Result<Option<Frame>, LinkError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            let Some(bytes) = self.piece().await? else {
                return Ok(None);
            };
            self.decoder.push(&bytes);
        }
    }

    /// Reads exactly one frame's bytes, so that a stream that follows stays in the socket.
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        let mut header = [0; HEADER];
        match self.stream.read_exact(&mut header).await {
            Ok(_) => (),
            Err(error) if is_end(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let length = hakone_supervision::Header::parse(header)?.length;
        let mut bytes = header.to_vec();
        bytes.resize(HEADER + length, 0);
        let payload = bytes.get_mut(HEADER..).unwrap_or_default();
        match self.stream.read_exact(payload).await {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if is_end(&error) => Err(LinkError::Gone),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn silent(_: tokio::time::error::Elapsed) -> LinkError {
    LinkError::Silent
}

fn send_with(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space =
        vec![MaybeUninit::uninit(); SendAncillaryMessage::ScmRights(descriptors).size()];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(rustix::net::sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut ancillary,
        flags,
    )?)
}

fn receive_with(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space =
        vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HELD_PER_MESSAGE))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received =
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    Ok((received.bytes, descriptors))
}
