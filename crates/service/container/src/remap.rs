//! Which ids of the host stand for a container's: those of `--userns-remap` (subuid(5)) for all, or a range for each alone.
//!
//! What a container writes is stored with its own ids, and shown to it through id-mapped mounts. So a range is a matter of one
//! run: chosen at the start, read from the kernel afterwards, free again at the end.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, PoisonError},
};

use hakone_base::ContainerId;
use hakone_runtime_spec::{IdMapping, Mappings};

use crate::Error;

/// The user that `default` stands for, as in Docker.
const DEFAULT: &str = "dockremap";

/// Ids of a range.
const SIZE: u32 = 65536;

/// The first id that no tool hands out: above all of systemd and of subuid(5). The range of `default` where that user has none.
const UNCLAIMED: IdMapping = IdMapping {
    container: 0,
    host: 0x7000_0000,
    size: SIZE,
};

/// Ranges for containers of their own, from the one after [`UNCLAIMED`] to the last that is no negative number to anybody.
const RANGES: u32 = 4095;

/// The ranges in use.
#[derive(Debug)]
pub(crate) struct Ranges {
    /// That of `--userns-remap`, which is everybody's.
    shared: Option<Mappings>,
    own: Mutex<BTreeMap<ContainerId, u32>>,
}

impl Ranges {
    /// Reads the maps of `--userns-remap`, if it is given.
    pub(crate) fn read(remap: Option<&str>) -> Result<Self, Error> {
        Ok(Self {
            shared: remap.map(read).transpose()?,
            own: Mutex::default(),
        })
    }

    /// Gives the maps for a container's run; the same again until they are given back. Who shares processes or memory with
    /// `other` has its range.
    pub(crate) fn take(
        &self,
        container: &ContainerId,
        other: Option<&ContainerId>,
    ) -> Result<Mappings, Error> {
        if let Some(shared) = &self.shared {
            return Ok(shared.clone());
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let known = other.and_then(|other| own.get(other));
        let number = match known.or_else(|| own.get(container)) {
            Some(number) => *number,
            None => free(container, &own)
                .ok_or_else(|| Error::Conflict(format!("all {RANGES} ranges of ids are in use")))?,
        };
        own.insert(container.clone(), number);
        Ok(maps(number))
    }

    /// Notes the range of a container that an earlier daemon started.
    pub(crate) fn adopt(&self, container: &ContainerId, pid: i32) {
        let found =
            of_process(pid).and_then(|maps| (0..RANGES).find(|number| self::maps(*number) == maps));
        if let Some(number) = found {
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            own.insert(container.clone(), number);
        }
    }

    /// Ends a container's use of its range.
    pub(crate) fn give_back(&self, container: &ContainerId) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.remove(container);
    }
}

/// Finds a range that nobody has. It follows from the container's id, so that a container mostly gets the one that it had, and
/// another one not soon: what it left in folders of the host stays its own.
fn free(container: &ContainerId, taken: &BTreeMap<ContainerId, u32>) -> Option<u32> {
    let digits = container.as_str().get(..8).unwrap_or_default();
    let first = u32::from_str_radix(digits, 16).unwrap_or_default() % RANGES;
    let mut all = (first..RANGES).chain(0..first);
    all.find(|number| taken.values().all(|other| other != number))
}

fn maps(number: u32) -> Mappings {
    let map = IdMapping {
        host: UNCLAIMED.host + (number + 1) * SIZE,
        ..UNCLAIMED
    };
    (vec![map], vec![map])
}

/// Gives whom the container's root is outside.
pub(crate) fn root((users, groups): &Mappings) -> Option<(u32, u32)> {
    let root = |map: &[IdMapping]| map.iter().find(|line| line.container == 0).map(|l| l.host);
    Some((root(users)?, root(groups)?))
}

/// Gives the maps of a process; none when its ids are the host's, or it is gone.
pub(crate) fn of_process(pid: i32) -> Option<Mappings> {
    let map = |file: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        lines(&text)
    };
    let (users, groups) = (map("uid_map")?, map("gid_map")?);
    match [&users, &groups].map(Vec::as_slice) {
        [[all], _] if all.size == u32::MAX => None,
        _ => Some((users, groups)),
    }
}

/// Reads a map as the kernel shows it: inside, outside, length.
fn lines(text: &str) -> Option<Vec<IdMapping>> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(IdMapping {
            container: next()?,
            host: next()?,
            size: next()?,
        })
    };
    text.lines().map(line).collect()
}

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

    #[test]
    fn running_containers_have_ranges_of_their_own() {
        let ranges = Ranges::read(None).unwrap();
        let id = |byte| ContainerId::from_bytes([byte; 32]);
        let (a, b) = (id(1), id(2));
        let first = ranges.take(&a, None).unwrap();
        assert_eq!(ranges.take(&a, None).unwrap(), first, "while it runs");
        let second = ranges.take(&b, None).unwrap();
        assert_ne!(first, second);
        ranges.give_back(&b);
        assert_eq!(
            ranges.take(&b, None).unwrap(),
            second,
            "and at its next run"
        );
        ranges.give_back(&b);
        assert_eq!(
            ranges.take(&b, Some(&a)).unwrap(),
            first,
            "who shares processes"
        );
        let taken: BTreeMap<_, _> = [(a, 0), (b, 2)].into();
        let zero = id(0);
        assert_eq!(free(&zero, &taken), Some(1));
        let many = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            (ContainerId::from_bytes(bytes), number)
        };
        let all: BTreeMap<_, _> = (0..RANGES).map(many).collect();
        assert_eq!(free(&zero, &all), None);
    }

    #[test]
    fn ranges_neither_overlap_nor_leave_what_is_unclaimed() {
        let starts = (0..RANGES).map(|number| u64::from(maps(number).0[0].host));
        let starts: Vec<u64> = starts.collect();
        let size = u64::from(SIZE);
        assert!(starts.windows(2).all(|pair| pair[1] == pair[0] + size));
        assert_eq!(starts[0], u64::from(UNCLAIMED.host) + size);
        assert_eq!(starts.last().map(|last| last + size), Some(1 << 31));
    }

    #[test]
    fn the_kernels_maps_are_read() {
        let maps = lines("         0 1879048192      65536\n     65536     300000         10\n");
        let starts = maps.map(|maps| {
            maps.iter()
                .map(|map| (map.container, map.host, map.size))
                .collect::<Vec<_>>()
        });
        assert_eq!(
            starts,
            Some(vec![(0, 1_879_048_192, 65536), (65536, 300_000, 10)])
        );
        assert_eq!(lines("0 x 1"), None);
        assert_eq!(of_process(1), None, "the host's own");
    }
}
