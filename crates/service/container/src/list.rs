//! The list of containers in the API's shape.

use std::sync::Arc;

use hakone_base::ExposedPort;
use serde_json::{Value, json};

use crate::{
    Error, ListOptions,
    container::Container,
    filter::Prepared,
    inner::{Inner, now},
    inspect::{self, network_mode},
    record::Record,
    size,
    status::status,
};

impl Inner {
    /// Lists containers, newest first.
    pub(crate) async fn list(&self, options: &ListOptions) -> Result<Vec<Value>, Error> {
        let mut shown = Vec::new();
        for container in self.choose(options)? {
            let record = container.record();
            let mut entry = self.entry(&record);
            if options.size
                && let Some(entry) = entry.as_object_mut()
            {
                let written = size::writable(&container).await;
                let image = self.image_size(&record).await;
                entry.insert("SizeRw".to_owned(), json!(written));
                entry.insert("SizeRootFs".to_owned(), json!(written + image));
            }
            shown.push(entry);
        }
        Ok(shown)
    }

    fn choose(&self, options: &ListOptions) -> Result<Vec<Arc<Container>>, Error> {
        let created = |typed: &str| Ok(self.table.lookup(typed)?.with(|record| record.created));
        let images = self.neighbours.images.as_ref();
        let filters = Prepared::new(&options.filters, images, &created)?;
        let all = options.all || options.limit > 0 || filters.asks_for_stopped();
        let mut chosen = self.table.all();
        chosen.retain(|container| {
            container.with(|record| (all || record.state.is_running()) && filters.passes(record))
        });
        chosen.sort_by_key(|container| std::cmp::Reverse(container.with(|record| record.created)));
        if options.limit > 0 {
            chosen.truncate(options.limit);
        }
        Ok(chosen)
    }

    fn entry(&self, record: &Record) -> Value {
        let health = record.health.as_ref().map(|health| health.status);
        let networks = inspect::endpoints(record, self.neighbours.networks.as_ref());
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
            "Status": status(record.state, &record.run, health, now()),
            "HostConfig": {"NetworkMode": network_mode(record)},
            "NetworkSettings": {"Networks": networks},
            "Mounts": inspect::mounts(record),
        })
    }
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
