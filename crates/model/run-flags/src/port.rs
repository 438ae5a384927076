//! `-p` and `--expose`: single ports, ranges, host addresses, IPv6 in brackets, and the long form with names.

use std::{collections::HashMap, net::IpAddr};

use hakone_engine_api::wire::{PortBinding, PortMap};

use crate::Error;

/// What `-p` and `--expose` come to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ports {
    /// `80/tcp`, in order of appearance.
    pub(crate) exposed: Vec<String>,
    /// Where they are reached from outside.
    pub(crate) bindings: PortMap,
}

/// Parses all flags.
pub(crate) fn parse(publish: &[String], expose: &[String]) -> Result<Ports, Error> {
    let mut ports = Ports::default();
    for text in publish {
        for (port, binding) in published(&plain(text)?)? {
            ports.expose(&port);
            ports
                .bindings
                .entry(port)
                .or_default()
                .get_or_insert_default()
                .push(binding);
        }
    }
    for text in expose {
        for port in exposed(text)? {
            ports.expose(&port);
        }
    }
    Ok(ports)
}

impl Ports {
    fn expose(&mut self, port: &str) {
        if !self.exposed.iter().any(|known| known == port) {
            self.exposed.push(port.to_owned());
        }
    }
}

/// Turns `target=80,published=8080,protocol=udp` into `8080:80/udp`.
fn plain(text: &str) -> Result<String, Error> {
    if !text.contains('=') {
        return Ok(text.to_owned());
    }
    let mut fields = HashMap::from([("protocol", "tcp")]);
    for part in text.split(',') {
        let (key, value) = part
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| {
                Error::usage(format!(
                    "invalid publish opts format (should be name=value but got '{part}')"
                ))
            })?;
        fields.insert(key, value);
    }
    let get = |key| fields.get(key).copied().unwrap_or_default();
    Ok(format!(
        "{}:{}/{}",
        get("published"),
        get("target"),
        get("protocol")
    ))
}

fn published(text: &str) -> Result<Vec<(String, PortBinding)>, Error> {
    let (address, host, container) = split(text);
    let (container, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
    let protocol = protocol.to_lowercase();
    let refuse = |text: String| Err(Error::usage(text));
    let address = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    if !address.is_empty() && address.parse::<IpAddr>().is_err() {
        return refuse(format!("invalid IP address: {address}"));
    }
    if container.is_empty() {
        return refuse(format!("no port specified: {text}<empty>"));
    }
    let Some((first, last)) = range(container) else {
        return refuse(format!("invalid containerPort: {container}"));
    };
    let hosts = match host {
        "" => None,
        host => match range(host) {
            Some(hosts) => Some(hosts),
            None => return refuse(format!("invalid hostPort: {host}")),
        },
    };
    if let Some((from, to)) = hosts
        && last - first != to - from
        && first != last
    {
        return refuse(format!(
            "invalid ranges specified for container and host Ports: {container} and {host}"
        ));
    }
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return refuse(format!("invalid proto: {protocol}"));
    }
    let one = |port: u16| {
        let host_port = match hosts {
            None => String::new(),
            // One container port, several of the host: the daemon picks a free one.
            Some((from, to)) if first == last && from != to => format!("{from}-{to}"),
            Some((from, _)) => (u32::from(from) + u32::from(port - first)).to_string(),
        };
        (
            format!("{port}/{protocol}"),
            PortBinding {
                host_ip: Some(address.to_owned()),
                host_port: Some(host_port),
            },
        )
    };
    Ok((first..=last).map(one).collect())
}

/// Splits `[address:][host:]container`; all colons further left belong to the address.
fn split(text: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = text.rsplit_once(':') else {
        return ("", "", text);
    };
    match rest.rsplit_once(':') {
        Some((address, host)) => (address, host, container),
        None => ("", rest, container),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to).then_some((from, to))
}

fn exposed(text: &str) -> Result<Vec<String>, Error> {
    if text.contains(':') {
        return Err(Error::usage(format!(
            "invalid port format for --expose: {text}"
        )));
    }
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range(ports).ok_or_else(|| {
        Error::usage(format!("invalid range format for --expose: {text}, error: strconv.ParseUint: parsing {ports:?}: invalid syntax"))
    })?;
    Ok((first..=last)
        .map(|port| format!("{port}/{}", protocol.to_lowercase()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match published(text) {
            Ok(ports) => ports
                .iter()
                .map(|(port, b)| {
                    format!(
                        "{}|{}>{port}",
                        b.host_ip.clone().unwrap_or_default(),
                        b.host_port.clone().unwrap_or_default()
                    )
                })
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn all_shapes_of_publish_are_read() {
        let table = [
            ("80", "|>80/tcp"),
            ("8080:80", "|8080>80/tcp"),
            ("127.0.0.1:8080:81/udp", "127.0.0.1|8080>81/udp"),
            ("127.0.0.1::80", "127.0.0.1|>80/tcp"),
            ("[::1]:9000:90", "::1|9000>90/tcp"),
            ("::1:9000:90", "::1|9000>90/tcp"),
            ("5000-5001:6000-6001", "|5000>6000/tcp |5001>6001/tcp"),
            ("8000-9000:80", "|8000-9000>80/tcp"),
            ("53:53/SCTP", "|53>53/sctp"),
        ];
        for (text, wanted) in table {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }

    #[test]
    fn refusals_are_dockers() {
        let table = [
            ("abc", "invalid containerPort: abc"),
            ("x:80", "invalid hostPort: x"),
            ("80:80:80:80", "invalid IP address: 80:80"),
            ("80:", "no port specified: 80:<empty>"),
            ("80/foo", "invalid proto: foo"),
            (
                "1-3:5-6",
                "invalid ranges specified for container and host Ports: 5-6 and 1-3",
            ),
            ("70000", "invalid containerPort: 70000"),
        ];
        for (text, wanted) in table {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_highest_port_ends_a_range() {
        assert_eq!(
            shown("65534-65535:65534-65535"),
            "|65534>65534/tcp |65535>65535/tcp"
        );
    }
}
