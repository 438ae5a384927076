//! Which ports a network plugin says that it publishes, in what it tells of an endpoint.
//!
//! Shown to people and found by filters, nothing more; yet a plugin must not make a container look as if it had a port that nobody
//! asked for. So what was not asked for, and what is no port, is left out.

use std::net::{IpAddr, Ipv4Addr};

use hakone_base::{ExposedPort, Port, Protocol, PublishedPort};
use serde::Deserialize;
use serde_json::Value;

use crate::OperInfo;

/// Where a driver tells them.
pub const PUBLISHED: &str = "com.docker.network.portmap";
/// How many are believed.
const MOST: usize = 1 << 16;

/// A port as drivers tell it; the keys are those of the question.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Told {
    proto: u8,
    port: u16,
    #[serde(rename = "HostIP")]
    host_address: String,
    host_port: u16,
}

/// Gives the ports that a driver tells, of those that were asked for: `asked` says whether one is.
#[must_use]
pub fn judge_published(
    told: &OperInfo,
    asked: impl Fn(&PublishedPort) -> bool,
) -> Vec<PublishedPort> {
    let list = told.value.get(PUBLISHED).and_then(Value::as_array);
    let list = list.into_iter().flatten().take(MOST);
    let ports = list.filter_map(|value| Told::deserialize(value).ok()?.port());
    let mut ports: Vec<PublishedPort> = ports.filter(asked).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

impl Told {
    fn port(&self) -> Option<PublishedPort> {
        let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
        let mut protocols = protocols.into_iter();
        let host_address = match self.host_address.as_str() {
            "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            text => text.parse().ok()?,
        };
        Some(PublishedPort {
            host_address,
            host_port: Port::new(self.host_port)?,
            target: ExposedPort {
                port: Port::new(self.port)?,
                protocol: protocols.find(|one| one.number() == self.proto)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> OperInfo {
        serde_json::from_str(&format!(r#"{{"Value":{{"{PUBLISHED}":{text}}}}}"#)).unwrap()
    }

    #[test]
    fn ports_that_were_asked_for_are_believed_and_no_others() {
        let text = r#"[
            {"Proto":6,"IP":"10.1.0.2","Port":80,"HostIP":"","HostPort":8080,"HostPortEnd":8080},
            {"Proto":6,"Port":80,"HostPort":8080},
            {"Proto":17,"Port":53,"HostIP":"fd00::1","HostPort":53},
            {"Proto":6,"Port":22,"HostPort":22}
        ]"#;
        let ports = judge_published(&told(text), |port| port.target.port.get() != 22);
        let shown: Vec<String> = ports
            .iter()
            .map(|port| format!("{} {} {}", port.host_address, port.host_port, port.target))
            .collect();
        assert_eq!(shown, ["0.0.0.0 8080 80/tcp", "fd00::1 53 53/udp"]);
    }

    #[test]
    fn what_is_no_port_is_none() {
        for text in [
            "null",
            "7",
            r#"{"Proto":6}"#,
            r#"[null, 1, "x", []]"#,
            r#"[{"Proto":6,"Port":80,"HostPort":0}]"#,
            r#"[{"Proto":6,"Port":0,"HostPort":80}]"#,
            r#"[{"Proto":1,"Port":80,"HostPort":80}]"#,
            r#"[{"Proto":6,"Port":80,"HostPort":70000}]"#,
            r#"[{"Proto":6,"Port":80,"HostPort":80,"HostIP":"here"}]"#,
        ] {
            assert_eq!(judge_published(&told(text), |_| true), [], "{text}");
        }
        assert_eq!(judge_published(&OperInfo::default(), |_| true), []);
    }
}
