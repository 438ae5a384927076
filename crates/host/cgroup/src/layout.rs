//! Finds the hierarchies of the host: what is mounted where, and which controllers are in it.

use std::{fs, path::PathBuf};

use rustix::io::Errno;

use crate::{Error, file};

/// Which generation of control groups the host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each controller.
    V1,
    /// As v1, and beside it a v2 hierarchy without controllers.
    Hybrid,
    /// One hierarchy for all.
    V2,
}

/// One mounted tree of control groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Its controllers; `name=systemd` for a named one, empty for the v2 tree.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// Reports whether this is the v2 tree.
    #[must_use]
    pub fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Reports whether `controller` is in it.
    #[must_use]
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

/// All hierarchies of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    hierarchies: Vec<Hierarchy>,
}

impl Layout {
    /// Reads the mounts of the calling process.
    ///
    /// # Errors
    /// [`Error::NoHierarchy`] when nothing is mounted.
    pub fn detect() -> Result<Self, Error> {
        let path = PathBuf::from("/proc/self/mountinfo");
        let text = file::read(&path)?;
        let layout = Self::parse(&text);
        if layout.hierarchies.is_empty() {
            return Err(Error::NoHierarchy);
        }
        Ok(layout)
    }

    fn parse(mountinfo: &str) -> Self {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        for hierarchy in mountinfo.lines().filter_map(hierarchy) {
            let known = |other: &Hierarchy| other.controllers == hierarchy.controllers;
            if !hierarchies.iter().any(known) {
                hierarchies.push(hierarchy);
            }
        }
        Self { hierarchies }
    }

    /// The hierarchies, in the order of their mounting.
    #[must_use]
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// The generation.
    #[must_use]
    pub fn version(&self) -> Version {
        let unified = self.hierarchies.iter().any(Hierarchy::is_unified);
        let legacy = self.hierarchies.iter().any(|one| !one.is_unified());
        match (unified, legacy) {
            (true, true) => Version::Hybrid,
            (true, false) => Version::V2,
            (false, _) => Version::V1,
        }
    }

    /// The controllers that limits can be set with.
    ///
    /// # Errors
    /// When the v2 tree cannot be read.
    pub fn controllers(&self) -> Result<Vec<String>, Error> {
        if self.version() != Version::V2 {
            let all = self.hierarchies.iter().flat_map(|one| &one.controllers);
            return Ok(all.cloned().collect());
        }
        let first = self.hierarchies.first().ok_or(Error::NoHierarchy)?;
        let path = first.mount.join("cgroup.controllers");
        let text = fs::read_to_string(&path).map_err(|error| Error::Read {
            path,
            source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        })?;
        Ok(text.split_whitespace().map(String::from).collect())
    }
}

/// Reads one line: `36 35 98:0 /root /mount options … - type source super-options`.
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mount = PathBuf::from(mount.split(' ').nth(4)?);
    let mut fields = filesystem.split(' ');
    let kind = fields.next()?;
    let options = fields.nth(1)?;
    match kind {
        "cgroup2" => Some(Hierarchy {
            mount,
            controllers: Vec::new(),
        }),
        "cgroup" => Some(Hierarchy {
            mount,
            controllers: controllers(options),
        }),
        _other => None,
    }
}

const CONTROLLERS: [&str; 14] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
];

fn controllers(options: &str) -> Vec<String> {
    let controller = |option: &&str| CONTROLLERS.contains(option) || option.starts_with("name=");
    options
        .split(',')
        .filter(controller)
        .map(String::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn a_hybrid_host_has_named_joined_and_unified_trees() {
        let layout = Layout::parse(HYBRID);
        let names: Vec<_> = layout
            .hierarchies()
            .iter()
            .map(|one| one.controllers.join("+"))
            .collect();
        assert_eq!(names, ["cpu+cpuacct", "name=systemd", ""]);
        assert_eq!(layout.version(), Version::Hybrid);
    }

    #[test]
    fn one_v2_tree_alone_is_version_two() {
        let layout = Layout::parse("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        assert_eq!(layout.version(), Version::V2);
    }

    #[test]
    fn a_second_mount_of_a_tree_counts_once() {
        let twice = format!("{HYBRID}{HYBRID}");
        assert_eq!(Layout::parse(&twice), Layout::parse(HYBRID));
    }
}
