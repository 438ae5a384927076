//! OCSF 1.3: network activity (class 4001), with the security-control profile for what rules decided.

use serde_json::{Map, Value, json};

use crate::{Direction, End, Event, Record, Verdict};

/// The version of the schema.
const SCHEMA: &str = "1.3.0";
const CLASS: i64 = 4001;
/// Informational, low, medium.
const SEVERITIES: [(i64, &str); 3] = [(1, "Informational"), (2, "Low"), (3, "Medium")];

/// Makes the event.
pub(super) fn event(record: &Record) -> Value {
    let (activity, activity_name) = activity(record.event);
    let (severity_id, severity) = severity(record.event);
    let mut event = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            event.insert(key.to_owned(), value);
        }
    };
    put("activity_id", json!(activity));
    put("activity_name", json!(activity_name));
    put("category_uid", json!(4));
    put("category_name", json!("Network Activity"));
    put("class_uid", json!(CLASS));
    put("class_name", json!("Network Activity"));
    put("type_uid", json!(CLASS * 100 + activity));
    put(
        "type_name",
        json!(format!("Network Activity: {activity_name}")),
    );
    put("time", json!(record.time.nanos() / 1_000_000));
    put("severity_id", json!(severity_id));
    put("severity", json!(severity));
    put("metadata", metadata());
    put(
        "src_endpoint",
        endpoint(record.source.as_ref(), record.interface.as_deref()),
    );
    put("dst_endpoint", endpoint(record.destination.as_ref(), None));
    put("connection_info", connection(record));
    put("traffic", traffic(record));
    put(
        "start_time",
        json!(record.began.map(|began| began.nanos() / 1_000_000)),
    );
    let ended = record
        .began
        .map(|began| record.time.since(began).as_millis());
    put(
        "end_time",
        json!(ended.map(|_| record.time.nanos() / 1_000_000)),
    );
    put(
        "duration",
        json!(ended.and_then(|millis| u64::try_from(millis).ok())),
    );
    decision(record, &mut put);
    put(
        "count",
        json!(record.lost.as_ref().and_then(|lost| lost.count)),
    );
    put(
        "message",
        json!(record.lost.as_ref().map(|lost| &lost.reason)),
    );
    put("unmapped", unmapped(record));
    Value::Object(event)
}

const fn activity(event: Event) -> (i64, &'static str) {
    match event {
        Event::Begin => (1, "Open"),
        Event::End => (2, "Close"),
        Event::Drop => (5, "Refuse"),
        Event::Audit => (6, "Traffic"),
        Event::Open | Event::Lost => (99, "Other"),
    }
}

const fn severity(event: Event) -> (i64, &'static str) {
    let [informational, low, medium] = SEVERITIES;
    match event {
        Event::Open | Event::Begin | Event::End => informational,
        Event::Drop | Event::Audit => low,
        Event::Lost => medium,
    }
}

fn metadata() -> Value {
    json!({
        "version": SCHEMA,
        "profiles": ["security_control"],
        "product": {
            "name": "Hakone",
            "vendor_name": "Hakone",
            "version": env!("CARGO_PKG_VERSION"),
        },
    })
}

fn endpoint(end: Option<&End>, interface: Option<&str>) -> Value {
    let Some(end) = end else {
        return Value::Null;
    };
    let mut endpoint = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            endpoint.insert(key.to_owned(), value);
        }
    };
    put("ip", json!(end.address));
    put("port", json!(end.port));
    put("mac", json!(end.mac.map(|mac| mac.to_string())));
    put(
        "name",
        json!(end.container.as_ref().map(|party| &party.name)),
    );
    put("uid", json!(end.container.as_ref().map(|party| &party.id)));
    put(
        "subnet_uid",
        json!(end.network.as_ref().map(|party| &party.id)),
    );
    put("interface_name", json!(interface));
    Value::Object(endpoint)
}

fn connection(record: &Record) -> Value {
    let Some(protocol) = &record.protocol else {
        return Value::Null;
    };
    let (direction_id, direction) = match record.direction {
        Some(Direction::Inbound | Direction::FromHost) => (1, "Inbound"),
        Some(Direction::Outbound | Direction::ToHost) => (2, "Outbound"),
        Some(Direction::Internal) => (3, "Lateral"),
        None => (0, "Unknown"),
    };
    let mut info = json!({
        "direction_id": direction_id,
        "direction": direction,
        "protocol_name": protocol,
    });
    if let (Some(info), Some(flow)) = (info.as_object_mut(), record.flow) {
        info.insert("uid".into(), json!(flow.to_string()));
    }
    info
}

fn traffic(record: &Record) -> Value {
    let Some(sent) = record.sent else {
        return Value::Null;
    };
    let received = record.received.unwrap_or_default();
    json!({
        "bytes": sent.bytes.saturating_add(received.bytes),
        "bytes_in": received.bytes,
        "bytes_out": sent.bytes,
        "packets": sent.packets.saturating_add(received.packets),
        "packets_in": received.packets,
        "packets_out": sent.packets,
    })
}

fn decision(record: &Record, put: &mut impl FnMut(&str, Value)) {
    let (id, action, disposition) = match record.verdict {
        None => return,
        Some(Verdict::Allowed) => (1, "Allowed", "Allowed"),
        Some(Verdict::Dropped) => (2, "Denied", "Blocked"),
    };
    put("action_id", json!(id));
    put("action", json!(action));
    put("disposition_id", json!(id));
    put("disposition", json!(disposition));
    put(
        "firewall_rule",
        json!(record.rule.as_ref().map(|rule| json!({ "name": rule }))),
    );
}

/// What the class has no field for.
fn unmapped(record: &Record) -> Value {
    let name = |end: &Option<End>| {
        let network = end.as_ref()?.network.as_ref()?;
        Some(network.name.clone())
    };
    let named = [
        ("src_network", name(&record.source)),
        ("dst_network", name(&record.destination)),
    ];
    let mut rest: Map<String, Value> = named
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), json!(value?))))
        .collect();
    if let Some(published) = &record.published {
        let endpoint = endpoint(Some(published), None);
        rest.insert("published".into(), endpoint);
    }
    match rest.is_empty() {
        true => Value::Null,
        false => Value::Object(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::record;
    use hakone_base::Timestamp;

    #[test]
    fn a_connection_that_ended_is_network_activity_close() {
        let event = event(&record("web"));
        assert_eq!(event["class_uid"], 4001);
        assert_eq!(event["type_uid"], 400_102);
        assert_eq!(event["time"], 3500);
        assert_eq!(event["duration"], 2500);
        assert_eq!(event["dst_endpoint"]["name"], "web");
        assert_eq!(event["traffic"]["bytes"], 2300);
        assert_eq!(event["connection_info"]["direction_id"], 1);
        assert_eq!(event["firewall_rule"]["name"], "entering: published");
        assert_eq!(event["unmapped"]["published"]["port"], 8080);
    }

    #[test]
    fn required_fields_are_in_every_event() {
        let lost = Record::lost(Timestamp::from_nanos(1), Some(7), "too many");
        for record in [
            record("web"),
            Record::new(Timestamp::from_nanos(1), Event::Open),
            lost,
        ] {
            let event = event(&record);
            for key in [
                "activity_id",
                "category_uid",
                "class_uid",
                "metadata",
                "severity_id",
                "time",
                "type_uid",
            ] {
                assert!(!event[key].is_null(), "{key} of {event}");
            }
        }
    }
}
