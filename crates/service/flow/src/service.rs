//! The service: one thread that hears, and readers that listen.

use std::{
    collections::VecDeque,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::SystemTime,
};

use hakone_base::Timestamp;
use hakone_flow_model::{Event, Owner, Owners, Record};
use hakone_nft::Witness;
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::broadcast;

use crate::{Config, Error, hearing};

/// Lines kept for readers that ask for the past.
const HISTORY: usize = 8192;
/// Lines that a slow reader may lag behind before it loses the oldest.
const BACKLOG: usize = 8192;

/// The flow log; clones share it. Without settings it is off.
#[derive(Clone, Debug, Default)]
pub struct Service {
    inner: Option<Arc<Inner>>,
}

/// What the thread and the readers share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) owners: Mutex<Owners>,
    history: Mutex<VecDeque<Arc<Record>>>,
    live: broadcast::Sender<Arc<Record>>,
    pub(crate) stop: OwnedFd,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What a reader gets: the past that is kept, then everything to come, without gap or repetition.
#[derive(Debug)]
pub struct Subscription {
    /// The kept lines, oldest first.
    pub past: Vec<Arc<Record>>,
    /// The lines from now on.
    pub live: broadcast::Receiver<Arc<Record>>,
}

impl Service {
    /// Begins to listen in the calling thread's network namespace.
    ///
    /// # Errors
    /// When the lines have nowhere to go, or the kernel tells nothing.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let sink = config.open().map_err(Error::Sink)?;
        let witness = Witness::open()?;
        hearing::account();
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let inner = Arc::new(Inner {
            owners: Mutex::default(),
            history: Mutex::default(),
            live: broadcast::Sender::new(BACKLOG),
            stop: stop.map_err(|errno| Error::Thread(errno.into()))?,
            thread: Mutex::default(),
        });
        inner.publish(Record::new(now(), Event::Open));
        let hearing = hearing::Hearing::new(Arc::clone(&inner), witness, sink, config);
        let thread = std::thread::Builder::new()
            .name("flow log".to_owned())
            .spawn(move || hearing.run())
            .map_err(Error::Thread)?;
        *lock(&inner.thread) = Some(thread);
        Ok(Self { inner: Some(inner) })
    }

    /// Takes who is on which network now, whole. Called before their first packet and after their last.
    pub fn observe(&self, owners: Vec<Owner>) {
        if let Some(inner) = &self.inner {
            lock(&inner.owners).observe(owners, now());
        }
    }

    /// Starts listening.
    ///
    /// # Errors
    /// When the log is off.
    pub fn subscribe(&self) -> Result<Subscription, Error> {
        let inner = self.inner()?;
        let history = lock(&inner.history);
        Ok(Subscription {
            past: history.iter().cloned().collect(),
            live: inner.live.subscribe(),
        })
    }

    pub(crate) fn inner(&self) -> Result<&Arc<Inner>, Error> {
        self.inner.as_ref().ok_or(Error::Off)
    }

    /// Ends the log after what was heard is written. Blocks for as long as that takes.
    pub fn close(&self) {
        let Some(inner) = &self.inner else {
            return;
        };
        if let Err(error) = rustix::io::write(&inner.stop, &1_u64.to_ne_bytes()) {
            tracing::warn!(%error, "the flow log was not asked to end");
            return;
        }
        if let Some(thread) = lock(&inner.thread).take() {
            drop(thread.join());
        }
    }
}

impl Inner {
    /// Shows a line to readers; none of them is waited for.
    pub(crate) fn publish(&self, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        let mut history = lock(&self.history);
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(Arc::clone(&record));
        // Under the lock, so that a subscription sees each line in exactly one of its halves.
        self.live.send(Arc::clone(&record)).ok();
        record
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
