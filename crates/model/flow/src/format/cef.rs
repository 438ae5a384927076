//! CEF, version 0: a header between bars, then pairs. Names of containers and networks are whatever people chose, so
//! every value is escaped; control characters, for which CEF has no word, become blanks.

use std::fmt::{Display, Write as _};

use crate::{Direction, End, Event, Record, Verdict, Volume};

/// Makes the event.
pub(super) fn event(record: &Record) -> String {
    let (id, name, severity) = kind(record);
    let mut text = format!(
        "CEF:0|Hakone|Hakone|{}|{id}|{}|{severity}|",
        env!("CARGO_PKG_VERSION"),
        in_header(name)
    );
    let mut pairs = Pairs(&mut text);
    pairs.put("rt", Some(record.time.nanos() / 1_000_000));
    pairs.put("start", record.began.map(|began| began.nanos() / 1_000_000));
    pairs.put("act", record.verdict.map(Verdict::as_str));
    pairs.put("proto", record.protocol.as_deref());
    pairs.put("deviceDirection", record.direction.map(device_direction));
    pairs.put("deviceInboundInterface", record.interface.as_deref());
    pairs.put("externalId", record.flow);
    if let Some(source) = &record.source {
        pairs.end(
            source,
            ["src", "spt", "smac", "suid", "shost"],
            ("c6a2", "Source IPv6 Address"),
        );
        pairs.labelled(
            "cs2",
            "sourceNetwork",
            source.network.as_ref().map(|one| &one.name),
        );
    }
    if let Some(destination) = &record.destination {
        let keys = ["dst", "dpt", "dmac", "duid", "dhost"];
        pairs.end(destination, keys, ("c6a3", "Destination IPv6 Address"));
        let network = destination.network.as_ref().map(|one| &one.name);
        pairs.labelled("cs3", "destinationNetwork", network);
    }
    pairs.labelled("cs1", "rule", record.rule.as_deref());
    pairs.labelled("cs4", "direction", record.direction.map(Direction::as_str));
    pairs.labelled(
        "cs5",
        "published",
        record.published.as_ref().and_then(socket),
    );
    pairs.volume("out", "cn1", "packetsOut", record.sent);
    pairs.volume("in", "cn2", "packetsIn", record.received);
    let lost = record.lost.as_ref();
    pairs.put("cnt", lost.and_then(|lost| lost.count));
    pairs.put("msg", lost.map(|lost| lost.reason.as_str()));
    text.truncate(text.trim_end_matches(' ').len());
    text
}

/// Signature, name and severity.
const fn kind(record: &Record) -> (&'static str, &'static str, u8) {
    match record.event {
        Event::Open => ("open", "flow log opened", 1),
        Event::Begin => ("begin", "connection began", 1),
        Event::End => ("end", "connection ended", 1),
        Event::Drop => ("drop", "packet dropped", 4),
        Event::Audit => ("audit", "packet passed an audited policy", 3),
        Event::Lost => ("lost", "lines left out", 6),
    }
}

/// CEF knows in and out, as seen from what is protected.
const fn device_direction(direction: Direction) -> u8 {
    match direction {
        Direction::Inbound | Direction::FromHost => 0,
        Direction::Internal | Direction::Outbound | Direction::ToHost => 1,
    }
}

fn socket(end: &End) -> Option<String> {
    let address = end.address?;
    Some(match end.port {
        Some(port) => std::net::SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    })
}

struct Pairs<'a>(&'a mut String);

impl Pairs<'_> {
    fn put(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            let value = in_extension(&value.to_string());
            // Writing to a string does not fail.
            write!(self.0, "{key}={value} ").ok();
        }
    }

    fn labelled(&mut self, key: &str, label: &str, value: Option<impl Display>) {
        if value.is_some() {
            self.put(&format!("{key}Label"), Some(label));
            self.put(key, value);
        }
    }

    fn end(&mut self, end: &End, [ip, port, mac, uid, host]: [&str; 5], (v6, label): (&str, &str)) {
        match end.address {
            Some(address) if address.is_ipv6() => self.labelled(v6, label, Some(address)),
            address => self.put(ip, address),
        }
        self.put(port, end.port);
        self.put(mac, end.mac);
        self.put(uid, end.container.as_ref().map(|party| &party.id));
        self.put(host, end.container.as_ref().map(|party| &party.name));
    }

    fn volume(&mut self, bytes: &str, packets: &str, label: &str, volume: Option<Volume>) {
        self.put(bytes, volume.map(|volume| volume.bytes));
        self.labelled(packets, label, volume.map(|volume| volume.packets));
    }
}

/// In the header, bars and backslashes are escaped.
fn in_header(text: &str) -> String {
    plain(&text.replace('\\', "\\\\").replace('|', "\\|"))
}

/// In the pairs, equal signs, backslashes and line ends are.
fn in_extension(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('=', "\\=");
    plain(&text.replace('\n', "\\n").replace('\r', "\\r"))
}

fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::record;

    #[test]
    fn a_connection_that_ended() {
        let text = event(&record("web"));
        assert!(text.starts_with("CEF:0|Hakone|Hakone|"), "{text}");
        assert!(
            text.contains("|end|connection ended|1|rt=3500 start=1000 act=allowed proto=tcp "),
            "{text}"
        );
        for pair in [
            "src=198.51.100.7",
            "spt=4000",
            "dst=172.17.0.2",
            "dpt=80",
            "dhost=web",
            "out=300",
            "in=2000",
        ] {
            assert!(
                text.contains(&format!("{pair} ")) || text.ends_with(pair),
                "{pair}: {text}"
            );
        }
        assert!(
            text.contains("cs5Label=published cs5=192.0.2.1:8080"),
            "{text}"
        );
    }

    #[test]
    fn a_hostile_name_adds_no_pair_and_no_line() {
        let text = event(&record("x act=blocked|\\\nCEF:0|fake"));
        assert!(
            text.contains(r"dhost=x act\=blocked|\\\nCEF:0|fake"),
            "{text}"
        );
        assert!(!text.contains('\n'));
        assert_eq!(
            text.matches(" act=").count() + text.matches("|act=").count(),
            1,
            "{text}"
        );
    }

    #[test]
    fn addresses_of_ipv6_stand_in_their_own_fields() {
        let mut record = record("web");
        record.source.as_mut().unwrap().address = "2001:db8::7".parse().ok();
        let text = event(&record);
        assert!(
            text.contains("c6a2Label=Source IPv6 Address c6a2=2001:db8::7"),
            "{text}"
        );
        assert!(!text.contains(" src="), "{text}");
    }
}
