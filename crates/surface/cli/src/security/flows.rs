//! `hakone flows`.

use std::collections::BTreeMap;

use clap::Args;
use futures_util::StreamExt;
use hakone_client::{Error, Request, Session};
use hakone_flow_model::{End, Event, Record};

use crate::container::logs::moment;

/// Show the flow log: connections that begin and end, packets that are dropped
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Follow the log
    #[arg(short, long)]
    follow: bool,
    /// Show lines since a timestamp or a duration ago
    #[arg(long, value_name = "string")]
    since: Option<String>,
    /// Only of this container (name or id), repeatable
    #[arg(long, value_name = "container")]
    container: Vec<String>,
    /// Only of this network (name or id), repeatable
    #[arg(long, value_name = "network")]
    network: Vec<String>,
    /// Only with this verdict: allowed or dropped
    #[arg(long, value_name = "verdict")]
    verdict: Vec<String>,
    /// Only these events: begin, end, drop or audit, repeatable
    #[arg(long, value_name = "event")]
    event: Vec<String>,
    /// Only in this direction: internal, outbound, inbound, to-host or from-host
    #[arg(long, value_name = "direction")]
    direction: Vec<String>,
    /// Only with this port at either end, repeatable
    #[arg(long, value_name = "port")]
    port: Vec<String>,
    /// Only with this protocol, repeatable
    #[arg(long, value_name = "protocol")]
    protocol: Vec<String>,
    /// Form of the lines: text, json, ocsf or cef
    #[arg(long, value_name = "form", default_value = "text")]
    format: String,
}

/// Prints lines as they come.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let form = match arguments.format.as_str() {
        "text" => "json",
        form => form,
    };
    let request = Request::get("/hakone/flows")
        .flag("follow", arguments.follow)
        .maybe("since", arguments.since.as_deref().map(moment).transpose()?)
        .query("filters", filters(arguments))
        .query("format", form);
    let stream = session.client().await?.stream(request).await?;
    let mut stream = std::pin::pin!(stream);
    let mut rest = Vec::new();
    while let Some(bytes) = stream.next().await {
        rest.extend_from_slice(&bytes?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            session.console.line(&shown(&line, &arguments.format))?;
        }
    }
    Ok(())
}

fn filters(arguments: &Arguments) -> String {
    let keys = [
        ("container", &arguments.container),
        ("network", &arguments.network),
        ("verdict", &arguments.verdict),
        ("event", &arguments.event),
        ("direction", &arguments.direction),
        ("port", &arguments.port),
        ("protocol", &arguments.protocol),
    ];
    let asked: BTreeMap<_, _> = keys
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .collect();
    serde_json::to_string(&asked).unwrap_or_default()
}

fn shown(line: &[u8], format: &str) -> String {
    let text = String::from_utf8_lossy(line).trim_end().to_owned();
    match serde_json::from_str::<Record>(&text) {
        Ok(record) if format == "text" => sentence(&record),
        Ok(_) | Err(_) => text,
    }
}

/// `TIME EVENT PROTOCOL FROM -> TO (RULE) BYTES`. Names are whatever people chose: control characters do not reach the terminal.
fn sentence(record: &Record) -> String {
    let mut words = vec![record.time.to_string(), record.event.as_str().to_owned()];
    if let Some(lost) = &record.lost {
        let count = lost
            .count
            .map_or("some".to_owned(), |count| count.to_string());
        words.push(format!("{count} lines: {}", lost.reason));
    }
    words.extend(record.protocol.clone());
    if let (Some(source), Some(destination)) = (&record.source, &record.destination) {
        words.push(format!("{} -> {}", end(source), end(destination)));
    }
    if let Some(published) = &record.published {
        words.push(format!("by {}", end(published)));
    }
    words.extend(record.rule.as_ref().map(|rule| format!("({rule})")));
    if let (Event::End, Some(sent), Some(received)) = (record.event, record.sent, record.received) {
        words.push(format!(
            "sent {} B, received {} B",
            sent.bytes, received.bytes
        ));
    }
    words.join(" ").replace(|c: char| c.is_control(), " ")
}

/// `web@red 172.18.0.2:80`
fn end(end: &End) -> String {
    let address = match (end.address, end.port) {
        (Some(address), Some(port)) => std::net::SocketAddr::new(address, port).to_string(),
        (Some(address), None) => address.to_string(),
        (None, _) => end.mac.map_or("?".to_owned(), |mac| mac.to_string()),
    };
    match (&end.container, &end.network) {
        (Some(container), Some(network)) => {
            format!("{}@{} {address}", container.name, network.name)
        }
        (Some(container), None) => format!("{} {address}", container.name),
        (None, _) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_is_one_sentence() {
        let line = r#"{"time":"2026-01-02T03:04:05Z","event":"drop","verdict":"dropped","rule":"entering: between networks","protocol":"tcp",
            "source":{"address":"172.18.0.2","port":4000,"container":{"id":"ab","name":"web"},"network":{"id":"cd","name":"red"}},
            "destination":{"address":"172.19.0.2","port":80}}"#;
        let line = line.replace('\n', "");
        assert_eq!(
            shown(line.as_bytes(), "text"),
            "2026-01-02T03:04:05Z drop tcp web@red 172.18.0.2:4000 -> 172.19.0.2:80 (entering: between networks)"
        );
        assert_eq!(shown(line.as_bytes(), "json"), line);
    }

    #[test]
    fn a_name_sends_nothing_to_the_terminal() {
        let line = "{\"time\":\"2026-01-02T03:04:05Z\",\"event\":\"lost\",\"lost\":{\"count\":3,\"reason\":\"\\u001b[2J\"}}";
        assert!(!shown(line.as_bytes(), "text").contains('\u{1b}'));
    }
}
