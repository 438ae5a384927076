//! The event stream: kept history, then live, filtered, until a time or the client's end.

use std::{io, time::SystemTime};

use bytes::Bytes;
use futures_util::{Stream, stream};
use hakone_base::{Event, EventKind, Timestamp};
use hakone_engine_api::{Filters, event::EventLine};
use hakone_events::Subscription;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

pub(crate) fn stream(services: &Services, call: &Call) -> Reply {
    let now = Timestamp::from(SystemTime::now());
    let filters = Filters::parse_any(call.text("filters").unwrap_or_default())?;
    let since = time(call, "since", now)?;
    let until = time(call, "until", now)?;
    if let (Some(from), Some(to)) = (since, until)
        && from > to
    {
        let text = |key| call.text(key).unwrap_or_default();
        return Err(Error::parameter(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            text("since"),
            text("until")
        )));
    }
    let Subscription { past, live } = services.events.subscribe();
    // Without `since` a client sees only what happens from now on.
    let past: Vec<Event> = past
        .into_iter()
        .filter(|event| since.is_some_and(|since| event.at >= since))
        .filter(|event| until.is_none_or(|until| event.at <= until))
        .collect();
    let follow = Follow {
        past: past.into_iter(),
        live,
        filters,
        until,
        deadline: deadline(until, now),
    };
    Ok(reply::stream("application/json", follow.lines()))
}

fn time(call: &Call, key: &str, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let parse = |text| Timestamp::parse_relative(text, now);
    call.text(key)
        .map(parse)
        .transpose()
        .map_err(|error| Error::parameter(error.to_string()))
}

fn deadline(until: Option<Timestamp>, now: Timestamp) -> Option<Instant> {
    until.map(|until| Instant::now() + until.since(now))
}

struct Follow {
    past: std::vec::IntoIter<Event>,
    live: Receiver<Event>,
    filters: Filters,
    until: Option<Timestamp>,
    deadline: Option<Instant>,
}

impl Follow {
    fn lines(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold(self, async |mut follow| {
            let event = follow.next().await?;
            let line = reply::line(&EventLine::from(&event)).map_err(io::Error::other);
            Some((line, follow))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            let event = match self.past.next() {
                Some(event) => event,
                None => self.next_live().await?,
            };
            if self.until.is_some_and(|until| event.at > until) {
                return None;
            }
            if matches(&self.filters, &event) {
                return Some(event);
            }
        }
    }

    async fn next_live(&mut self) -> Option<Event> {
        loop {
            let received = match self.deadline {
                None => self.live.recv().await,
                Some(deadline) => tokio::select! {
                    () = sleep_until(deadline) => return None,
                    received = self.live.recv() => received,
                },
            };
            match received {
                Ok(event) => return Some(event),
                // A reader that lags loses the oldest events, not its stream.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// Says whether an event passes: keys must all match, values of a key are alternatives.
fn matches(filters: &Filters, event: &Event) -> bool {
    let lookup = |key: &str| event.attributes.get(key).map(String::as_str);
    filters.any("type", |kind| kind == event.kind.as_str())
        && filters.any("event", |action| action_matches(action, &event.action))
        && filters.any("scope", |scope| scope == "local")
        && filters.labels(lookup)
        && names(filters, event, "container", EventKind::Container)
        && names(filters, event, "volume", EventKind::Volume)
        && names(filters, event, "network", EventKind::Network)
        && names(filters, event, "daemon", EventKind::Daemon)
        && image(filters, event)
        && ["config", "node", "plugin", "secret", "service"]
            .iter()
            .all(|key| !filters.has(key))
}

/// `health_status`, `exec_create` and `exec_start` carry detail after a colon and match by their prefix.
fn action_matches(wanted: &str, action: &str) -> bool {
    let detailed = ["health_status", "exec_create", "exec_start"];
    action == wanted
        || (detailed.contains(&wanted)
            && action
                .strip_prefix(wanted)
                .is_some_and(|rest| rest.starts_with(':')))
}

/// An object's filter matches its id, a prefix of it, or its name; network events also name their container.
fn names(filters: &Filters, event: &Event, key: &str, kind: EventKind) -> bool {
    let related = event.attributes.get(key).filter(|_| event.kind != kind);
    filters.any(key, |wanted| {
        let name = event.attributes.get("name").map(String::as_str);
        let own = event.kind == kind && (event.actor.starts_with(wanted) || name == Some(wanted));
        own || related.is_some_and(|id| id.starts_with(wanted))
    })
}

fn image(filters: &Filters, event: &Event) -> bool {
    filters.any("image", |wanted| {
        let named = match event.kind {
            EventKind::Image => Some(event.actor.as_str()),
            EventKind::Container => event.attributes.get("image").map(String::as_str),
            EventKind::Builder | EventKind::Daemon | EventKind::Network | EventKind::Volume => None,
        };
        let name = event
            .attributes
            .get("name")
            .map(String::as_str)
            .filter(|_| event.kind == EventKind::Image);
        [named, name].into_iter().flatten().any(|found| {
            found == wanted
                || found
                    .rsplit_once(':')
                    .is_some_and(|(repository, _)| repository == wanted)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn event(action: &str) -> Event {
        Event {
            kind: EventKind::Container,
            action: action.into(),
            actor: "0a".repeat(32),
            attributes: BTreeMap::from([
                ("name".into(), "web".into()),
                ("image".into(), "debian:bookworm".into()),
                ("tier".into(), "front".into()),
            ]),
            at: Timestamp::from_nanos(1),
        }
    }

    fn passes(filters: &str, action: &str) -> bool {
        matches(&Filters::parse_any(filters).unwrap(), &event(action))
    }

    #[test]
    fn a_container_filter_takes_id_prefix_and_name() {
        assert!(passes(r#"{"container":["web"]}"#, "start"));
        assert!(passes(r#"{"container":["0a0a"]}"#, "start"));
        assert!(!passes(r#"{"container":["we"]}"#, "start"));
    }

    #[test]
    fn exec_and_health_events_match_by_prefix_others_exactly() {
        assert!(passes(r#"{"event":["exec_start"]}"#, "exec_start: ls"));
        assert!(passes(
            r#"{"event":["health_status"]}"#,
            "health_status: healthy"
        ));
        assert!(!passes(r#"{"event":["st"]}"#, "start"));
    }

    #[test]
    fn labels_and_images_are_attributes() {
        assert!(passes(r#"{"label":["tier=front"]}"#, "start"));
        assert!(passes(r#"{"image":["debian"]}"#, "start"));
        assert!(!passes(r#"{"type":["network"]}"#, "start"));
    }
}
