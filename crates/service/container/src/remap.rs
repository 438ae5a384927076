//! `--userns-remap`: which ids of the host stand for a container's (subuid(5)). Pure but for reading the files.

use std::fs;

use hakone_spec::IdMapping;

use crate::Error;

/// Maps of users and groups.
pub(crate) type Mappings = (Vec<IdMapping>, Vec<IdMapping>);

/// The user that `default` stands for, as in Docker.
const DEFAULT: &str = "dockremap";

/// The range of `default` where that user has none: above all that systemd and the tools of subuid(5) hand out.
const UNCLAIMED: IdMapping = IdMapping {
    container: 0,
    host: 0x7000_0000,
    size: 65536,
};

/// Reads the maps of `USER[:GROUP]`.
pub(crate) fn read(remap: &str) -> Result<Mappings, Error> {
    let (user, group) = remap.split_once(':').unwrap_or((remap, remap));
    Ok((map("/etc/subuid", user)?, map("/etc/subgid", group)?))
}

fn map(file: &str, name: &str) -> Result<Vec<IdMapping>, Error> {
    let name = match name {
        "default" => DEFAULT,
        name => name,
    };
    // Not every host has the files; one without holds no ranges.
    let text = fs::read_to_string(file).unwrap_or_default();
    match parse(&text, name) {
        ranges if !ranges.is_empty() => Ok(ranges),
        _ if name == DEFAULT => Ok(vec![UNCLAIMED]),
        _ => Err(Error::Invalid(format!(
            "no subordinate ids of {name:?} in {file}"
        ))),
    }
}

/// Lays the ranges of a name one after the other, from 0 on.
fn parse(text: &str, name: &str) -> Vec<IdMapping> {
    let mut container = 0;
    let mut ranges = Vec::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (owner, host, size) = (fields.next(), fields.next(), fields.next());
        let numbers = (
            host.and_then(|n| n.trim().parse::<u32>().ok()),
            size.and_then(|n| n.trim().parse::<u32>().ok()),
        );
        if let (true, (Some(host), Some(size))) = (owner == Some(name), numbers) {
            ranges.push(IdMapping {
                container,
                host,
                size,
            });
            container = container.saturating_add(size);
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_one_name_follow_each_other_from_zero() {
        let text = "other:1:2\ndockremap:100000:65536\nbroken\ndockremap:300000:10\n";
        let ranges = parse(text, "dockremap");
        let starts: Vec<_> = ranges
            .iter()
            .map(|r| (r.container, r.host, r.size))
            .collect();
        assert_eq!(starts, [(0, 100_000, 65536), (65536, 300_000, 10)]);
        assert!(parse(text, "nobody").is_empty());
    }
}
