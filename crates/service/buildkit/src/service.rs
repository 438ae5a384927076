//! The service: answers the calls of build clients, and holds their sessions.
//!
//! Two ways in: a connection on which the client calls us (`calls`), and one on which we call the client (`session`). Both end with
//! their connection, and everything that belongs to them ends then too.

use std::{path::PathBuf, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use crate::{
    Error,
    contexts::Contexts,
    direct::Cancels,
    frontend::Bench,
    grpc,
    history::History,
    neighbour::Builder,
    sessions::{Offer, Sessions},
    solve::Solves,
};

/// What this engine says of itself to build clients.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// A stable id.
    pub id: String,
    /// The host's name.
    pub host_name: String,
    /// The address under which containers reach the host.
    pub gateway: String,
    /// The platforms whose programs run here, `linux/amd64`.
    pub platforms: Vec<String>,
}

/// Build clients and their builds.
#[derive(Clone)]
pub struct Service(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) builder: Arc<dyn Builder>,
    pub(crate) facts: Facts,
    pub(crate) sessions: Sessions,
    pub(crate) solves: Arc<Solves>,
    pub(crate) history: History,
    pub(crate) contexts: Contexts,
    pub(crate) direct: Cancels,
    scratch: PathBuf,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("sessions", &self.0.sessions)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Opens the service; `scratch` is a folder of its own, and what an earlier daemon left in it is removed.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(builder: Arc<dyn Builder>, facts: Facts, scratch: PathBuf) -> Result<Self, Error> {
        use std::os::unix::fs::DirBuilderExt as _;
        match std::fs::remove_dir_all(&scratch) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                debug!(%error, "could not remove the folders of earlier builds");
            }
            Ok(()) | Err(_) => {}
        }
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&scratch);
        made.map_err(Error::host("make the folder of builds"))?;
        Ok(Self(Arc::new(Inner {
            builder,
            facts,
            sessions: Sessions::default(),
            solves: Arc::default(),
            history: History::default(),
            contexts: Contexts::default(),
            direct: Cancels::default(),
            scratch,
        })))
    }

    /// Answers the calls of a client until its connection ends.
    ///
    /// Cancellation safe: dropping it ends the connection and what it asked for.
    pub async fn calls<I>(&self, io: I)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let answer = |request| {
            let service = self.clone();
            async move { service.route(request).await }
        };
        if let Err(error) = grpc::serve(io, answer).await {
            debug!(%error, "a build client's connection ended early");
        }
    }

    /// Reports whether a session could be opened now.
    ///
    /// # Errors
    /// When its id is none or is taken.
    pub fn admit(&self, offer: &Offer) -> Result<(), Error> {
        match offer.id.is_empty() || offer.id.len() > 256 || self.0.sessions.is_open(&offer.id) {
            true => Err(Error::SessionTaken(offer.id.chars().take(256).collect())),
            false => Ok(()),
        }
    }

    /// Holds a session until its connection ends.
    ///
    /// Cancellation safe: dropping it ends the session.
    pub async fn session<I>(&self, offer: Offer, io: I)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        if let Err(error) = self.0.sessions.run(offer, io).await {
            debug!(%error, "a build session ended early");
        }
    }

    /// Forgets the contexts that are kept for the next build, and gives how many bytes they had.
    #[must_use]
    pub fn forget_contexts(&self) -> u64 {
        let gone = self.0.contexts.forget();
        gone.iter().map(|one| one.size).sum()
    }

    pub(crate) fn bench(&self) -> Bench {
        Bench {
            builder: Arc::clone(&self.0.builder),
            sessions: self.0.sessions.clone(),
            scratch: self.0.scratch.clone(),
            contexts: self.0.contexts.clone(),
            platform: self.0.facts.platforms.first().cloned().unwrap_or_default(),
        }
    }
}
