//! Publishes events to all who listen and keeps the last ones.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use hakone_base::{Event, EventKind, Timestamp};
use tokio::sync::broadcast;

/// Events kept for `since`; Docker keeps as many.
const HISTORY: usize = 256;
/// Events that a slow reader may lag behind before it loses the oldest.
const BACKLOG: usize = 4096;

/// A handle on the bus; clones share it.
#[derive(Clone, Debug)]
pub struct Bus {
    history: Arc<Mutex<VecDeque<Event>>>,
    live: broadcast::Sender<Event>,
    published: Arc<AtomicU64>,
}

/// What a reader gets: the past that is still kept, then everything to come, without gap or repetition.
#[derive(Debug)]
pub struct Subscription {
    /// The kept events, oldest first.
    pub past: Vec<Event>,
    /// The events from now on.
    pub live: broadcast::Receiver<Event>,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            history: Arc::default(),
            live: broadcast::Sender::new(BACKLOG),
            published: Arc::default(),
        }
    }
}

impl Bus {
    /// Announces that `action` happened to `actor` now.
    pub fn publish(
        &self,
        kind: EventKind,
        action: impl Into<String>,
        actor: impl Into<String>,
        attributes: BTreeMap<String, String>,
    ) {
        let at = Timestamp::from(SystemTime::now());
        let event = Event {
            kind,
            action: action.into(),
            actor: actor.into(),
            attributes,
            at,
        };
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(event.clone());
        self.published.fetch_add(1, Ordering::Relaxed);
        // Sent under the lock, so that a subscription sees each event in exactly one of its halves.
        self.live.send(event).ok();
    }

    /// Starts listening.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        Subscription {
            past: history.iter().cloned().collect(),
            live: self.live.subscribe(),
        }
    }

    /// Counts the events since the daemon's start.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Counts the present listeners, as `info` reports them.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.live.receiver_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_gets_past_and_future_once_each() {
        let bus = Bus::default();
        bus.publish(EventKind::Volume, "create", "v1", BTreeMap::new());
        let mut subscription = bus.subscribe();
        bus.publish(EventKind::Volume, "destroy", "v1", BTreeMap::new());
        assert_eq!(subscription.past.len(), 1);
        assert_eq!(subscription.live.try_recv().unwrap().action, "destroy");
        assert!(subscription.live.try_recv().is_err());
    }

    #[test]
    fn history_is_bounded() {
        let bus = Bus::default();
        for _ in 0..HISTORY + 10 {
            bus.publish(EventKind::Daemon, "reload", "d", BTreeMap::new());
        }
        assert_eq!(bus.subscribe().past.len(), HISTORY);
        assert_eq!(bus.published(), HISTORY as u64 + 10);
    }
}
