//! The clients that offer files, secrets and passwords, by the id of their session.
//!
//! A session is a connection: it is here as long as that lives. Whoever wants one may come before it and waits a little.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{Error, channel::Channel};

/// Sessions at once.
const MOST: usize = 512;
/// How long a build waits for its session.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client says of its session when it opens it.
#[derive(Clone, Default)]
pub struct Offer {
    /// Its id, which builds name.
    pub id: String,
    /// The methods that may be called.
    pub methods: Vec<String>,
    /// What the client alone knows, the same for all builds of one folder; empty for none.
    pub key: String,
}

impl fmt::Debug for Offer {
    /// Without the key, which opens its contexts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// One client.
pub(crate) struct Session {
    pub(crate) channel: Channel,
    methods: HashSet<String>,
    /// By which its contexts are kept; empty for a client whose contexts are not.
    pub(crate) key: String,
    /// Cancelled when the client is gone.
    pub(crate) gone: CancellationToken,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Reports whether the client answers a method.
    pub(crate) fn offers(&self, method: &str) -> bool {
        self.methods.contains(&method.to_lowercase())
    }
}

/// All clients.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    open: Arc<Mutex<HashMap<String, Arc<Session>>>>,
    changed: watch::Sender<()>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            open: Arc::default(),
            changed: watch::channel(()).0,
        }
    }
}

impl Sessions {
    /// Holds a session for as long as its connection lives.
    pub(crate) async fn run<I>(&self, offer: Offer, io: I) -> Result<(), Error>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (channel, driver) = Channel::open(io).await.map_err(Error::connection)?;
        let gone = CancellationToken::new();
        let session = Session {
            channel,
            methods: offer
                .methods
                .iter()
                .map(|method| method.to_lowercase())
                .collect(),
            key: offer.key,
            gone: gone.clone(),
        };
        let _place = self.enter(offer.id, session)?;
        let _gone = gone.drop_guard();
        driver.await.map_err(Error::connection)
    }

    fn enter(&self, id: String, session: Session) -> Result<Place, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST {
            return Err(Error::TooMany("sessions"));
        }
        if open.contains_key(&id) {
            return Err(Error::SessionTaken(id));
        }
        debug!(session = id, "a build session opened");
        open.insert(id.clone(), Arc::new(session));
        drop(open);
        self.changed.send_replace(());
        Ok(Place {
            id,
            sessions: self.clone(),
        })
    }

    fn lookup(&self, id: &str) -> Option<Arc<Session>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(id).cloned()
    }

    /// Reports whether a session is open, for those who may not wait.
    pub(crate) fn is_open(&self, id: &str) -> bool {
        self.lookup(id).is_some()
    }

    /// Gives a session, waiting for it when it is not there yet.
    pub(crate) async fn wait(&self, id: &str) -> Result<Arc<Session>, Error> {
        let found = tokio::time::timeout(PATIENCE, self.until(id)).await;
        let found = found.ok().flatten();
        found.ok_or_else(|| Error::NoSession(id.to_owned()))
    }
}

impl Sessions {
    async fn until(&self, id: &str) -> Option<Arc<Session>> {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(session) = self.lookup(id) {
                return Some(session);
            }
            changed.changed().await.ok()?;
        }
    }
}

/// Takes the session out when its connection ends, however it ends.
struct Place {
    id: String,
    sessions: Sessions,
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = &self.sessions.open;
        open.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
        debug!(session = self.id, "a build session ended");
    }
}
