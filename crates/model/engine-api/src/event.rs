//! Events on the wire: the new shape and, beside it, the three deprecated fields that clients before 1.52 read.

use hakone_base::{Event, EventKind};
use serde::Serialize;
use std::collections::BTreeMap;

/// One line of the event stream.
#[derive(Debug, Serialize)]
pub struct EventLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "Action")]
    action: &'a str,
    #[serde(rename = "Actor")]
    actor: Actor<'a>,
    scope: &'static str,
    time: i64,
    #[serde(rename = "timeNano")]
    time_nano: i64,
}

#[derive(Debug, Serialize)]
struct Actor<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Attributes")]
    attributes: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a Event> for EventLine<'a> {
    fn from(event: &'a Event) -> Self {
        let historic = matches!(event.kind, EventKind::Container | EventKind::Image);
        let from = event.attributes.get("image").map(String::as_str);
        Self {
            status: historic.then_some(event.action.as_str()),
            id: historic.then_some(event.actor.as_str()),
            from: from.filter(|_| event.kind == EventKind::Container),
            kind: event.kind.as_str(),
            action: &event.action,
            actor: Actor {
                id: &event.actor,
                attributes: &event.attributes,
            },
            scope: "local",
            time: event.at.seconds(),
            time_nano: event.at.nanos(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hakone_base::Timestamp;

    #[test]
    fn a_container_event_carries_the_deprecated_trio() {
        let event = Event {
            kind: EventKind::Container,
            action: "start".into(),
            actor: "ab".into(),
            attributes: BTreeMap::from([("image".into(), "busybox".into())]),
            at: Timestamp::from_nanos(1_500_000_000),
        };
        let json = serde_json::to_string(&EventLine::from(&event)).unwrap();
        assert_eq!(
            json,
            r#"{"status":"start","id":"ab","from":"busybox","Type":"container","Action":"start","Actor":{"ID":"ab","Attributes":{"image":"busybox"}},"scope":"local","time":1,"timeNano":1500000000}"#
        );
    }
}
