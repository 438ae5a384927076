//! Counts of a container's network interfaces, as its own `/proc/net/dev` tells them.

use std::fs;

use serde_json::{Map, Value, json};

/// Reads the counts of a process's network namespace; none for a container without interfaces.
pub(crate) fn read(pid: i32) -> Option<Value> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    let counts = parse(&text);
    (!counts.is_empty()).then_some(Value::Object(counts))
}

fn parse(text: &str) -> Map<String, Value> {
    let lines = text.lines().skip(2);
    lines
        .filter_map(interface)
        .filter(|(name, _)| name != "lo")
        .collect()
}

fn interface(line: &str) -> Option<(String, Value)> {
    let (name, counts) = line.split_once(':')?;
    let counts: Vec<u64> = counts
        .split_whitespace()
        .filter_map(|count| count.parse().ok())
        .collect();
    let at = |place: usize| counts.get(place).copied();
    let value = json!({
        "rx_bytes": at(0)?, "rx_packets": at(1)?, "rx_errors": at(2)?, "rx_dropped": at(3)?,
        "tx_bytes": at(8)?, "tx_packets": at(9)?, "tx_errors": at(10)?, "tx_dropped": at(11)?,
    });
    Some((name.trim().to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_not_counted() {
        let text = "Inter-| Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 12 3 0 4 0 0 0 0 5 6 0 7 0 0 0 0\n";
        let counts = parse(text);
        assert_eq!(counts.len(), 1);
        assert_eq!(counts["eth0"]["rx_dropped"], 4);
        assert_eq!(counts["eth0"]["tx_bytes"], 5);
    }
}
