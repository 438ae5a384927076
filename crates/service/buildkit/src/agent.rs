//! Lends a client's SSH agent to a build: a socket on the host whose connections are carried to the client.
//!
//! The socket lies in a folder that only root enters, and vanishes with the step that asked for it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use hakone_buildkit_model::wire::ssh;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::{Error, receive::Scratch, sessions::Session};

const CHECK: &str = "/moby.sshforward.v1.SSH/CheckAgent";
const FORWARD: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
/// Connections to one agent at once.
const CONNECTIONS: usize = 16;
/// How long to wait after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes of one message.
const CHUNK: usize = 32 << 10;

/// A socket that leads to a client's agent; it vanishes when this is dropped.
#[derive(Debug)]
pub struct Agent {
    /// Where the socket is.
    pub path: PathBuf,
    _folder: Scratch,
    _task: AbortOnDropHandle<()>,
}

/// Opens a socket for the agent that the client calls `id`; none when it has none.
pub(crate) async fn open(
    session: &Arc<Session>,
    id: &str,
    folder: Scratch,
) -> Result<Option<Agent>, Error> {
    if !session.offers(CHECK) {
        return Ok(None);
    }
    let question = ssh::CheckAgentRequest { id: id.to_owned() };
    let checked: Result<ssh::CheckAgentResponse, _> = session.channel.ask(CHECK, question).await;
    if checked.is_err() {
        return Ok(None);
    }
    let path = folder.path().join("agent.sock");
    let listener = UnixListener::bind(&path).map_err(Error::host("open a socket for an agent"))?;
    let task = tokio::spawn(accept(listener, Arc::clone(session), id.to_owned()));
    Ok(Some(Agent {
        path,
        _folder: folder,
        _task: AbortOnDropHandle::new(task),
    }))
}

async fn accept(listener: UnixListener, session: Arc<Session>, id: String) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = tokio::task::JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // No descriptors left, mostly: that passes, and the step still needs its agent.
            Err(error) => {
                debug!(%error, "an agent's socket accepts nothing for now");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (session, id) = (Arc::clone(&session), id.clone());
        while open.try_join_next().is_some() {}
        open.spawn(async move {
            if let Err(error) = carry(stream, &session, &id).await {
                debug!(%error, "an agent's connection ended");
            }
            drop(place);
        });
    }
}

async fn carry(stream: UnixStream, session: &Session, id: &str) -> Result<(), Error> {
    let (mut reader, mut writer) = stream.into_split();
    let (outgoing, messages) = mpsc::channel(4);
    let headers = [("buildkit.ssh.id".to_owned(), id.to_owned())];
    let stream = session
        .channel
        .stream(FORWARD, &headers, ReceiverStream::new(messages));
    let outward = async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            let data = buffer.get(..count).unwrap_or_default().to_vec();
            if outgoing.send(ssh::BytesMessage { data }).await.is_err() {
                return;
            }
        }
    };
    let outward = AbortOnDropHandle::new(tokio::spawn(outward));
    let mut incoming: tonic::Streaming<ssh::BytesMessage> = stream.await?;
    while let Some(message) = incoming.message().await? {
        writer
            .write_all(&message.data)
            .await
            .map_err(Error::host("write to an agent's socket"))?;
    }
    drop(outward);
    Ok(())
}
