//! One line of the list of containers in the API's shape.

use hakone_base::{ExposedPort, Timestamp};
use hakone_container_model::status::status;
use serde_json::{Value, json};

use crate::{
    Record,
    inspect::{self, Networks, network_mode},
};

/// Shows a container as lists do, at this moment.
#[must_use]
pub fn entry(record: &Record, networks: Networks<'_>, now: Timestamp) -> Value {
    let health = record.health.as_ref().map(|health| health.status);
    let networks = inspect::endpoints(record, networks);
    json!({
        "Id": record.id.as_str(),
        "Names": [format!("/{}", record.name)],
        "Image": record.image_reference,
        "ImageID": record.image.as_str(),
        "Command": command(&record.command),
        "Created": record.created.seconds(),
        "Ports": ports(record),
        "Labels": record.config.labels.clone().unwrap_or_default(),
        "State": record.state.as_str(),
        "Status": status(record.state, &record.run, health, now),
        "HostConfig": {"NetworkMode": network_mode(record)},
        "NetworkSettings": {"Networks": networks},
        "Mounts": inspect::mounts(record),
    })
}

/// Prints path and arguments in one line; an argument with a space stands in single quotes.
fn command(words: &[String]) -> String {
    let quote = |(n, word): (usize, &String)| match n > 0 && word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    };
    let quoted: Vec<String> = words.iter().enumerate().map(quote).collect();
    quoted.join(" ")
}

/// Prints published ports, then those that are only exposed; nothing while the container does not run.
fn ports(record: &Record) -> Vec<Value> {
    let Some(sandbox) = &record.sandbox else {
        return Vec::new();
    };
    let mut shown: Vec<Value> = Vec::new();
    for port in &sandbox.published {
        shown.push(json!({
            "IP": port.host_address.to_string(),
            "PrivatePort": port.target.port,
            "PublicPort": port.host_port,
            "Type": port.target.protocol.as_str(),
        }));
    }
    let exposed = record.config.exposed_ports.iter().flatten();
    let exposed = exposed.filter_map(|port| port.parse::<ExposedPort>().ok());
    let published = |port: &ExposedPort| sandbox.published.iter().any(|p| p.target == *port);
    for port in exposed.filter(|port| !published(port)) {
        shown.push(json!({"PrivatePort": port.port, "Type": port.protocol.as_str()}));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_with_spaces_are_quoted() {
        let words = ["sh", "-c", "echo one"].map(str::to_owned);
        assert_eq!(command(&words), "sh -c 'echo one'");
        assert_eq!(command(&["my prog".to_owned()]), "my prog");
    }
}
