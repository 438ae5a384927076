//! One control group: the same path in every hierarchy of the host.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use oci_spec::runtime::LinuxResources;
use rustix::{io::Errno, process::Pid};

use crate::{
    Door, Error, Hierarchy, Layout, OomEvents, Stats, Version,
    file::{self, errno},
    freezer, kill, limit, oom, stats,
};

/// A control group.
#[derive(Debug)]
pub struct Cgroup {
    path: String,
    version: Version,
    folders: Vec<Folder>,
    warnings: Vec<String>,
}

/// The group's folder in one hierarchy.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) hierarchy: Hierarchy,
    pub(crate) path: PathBuf,
}

impl Cgroup {
    /// Makes the group in every hierarchy and sets its limits; an existing group gets the new limits.
    ///
    /// What the host has no controller for becomes a [warning](Self::warnings), as in Docker.
    ///
    /// # Errors
    /// When a folder cannot be made or the kernel refuses a limit; what was made is removed again.
    pub fn create(path: &str, resources: &LinuxResources) -> Result<Self, Error> {
        let mut cgroup = Self::at(path)?;
        let made = cgroup.make(resources);
        match made {
            Ok(warnings) => {
                cgroup.warnings = warnings;
                Ok(cgroup)
            }
            Err(error) => {
                cgroup.remove().ok();
                Err(error)
            }
        }
    }

    /// The group that exists at `path`.
    ///
    /// # Errors
    /// When it exists in no hierarchy.
    pub fn open(path: &str) -> Result<Self, Error> {
        let mut cgroup = Self::at(path)?;
        cgroup.folders.retain(|folder| folder.path.is_dir());
        if cgroup.folders.is_empty() {
            return Err(Error::Folder {
                path: path.into(),
                source: Errno::NOENT,
            });
        }
        Ok(cgroup)
    }

    fn at(path: &str) -> Result<Self, Error> {
        let inner = inner(path)?;
        let layout = Layout::detect()?;
        let folder = |hierarchy: &Hierarchy| Folder {
            path: hierarchy.mount.join(&inner),
            hierarchy: hierarchy.clone(),
        };
        Ok(Self {
            path: path.into(),
            version: layout.version(),
            folders: layout.hierarchies().iter().map(folder).collect(),
            warnings: Vec::new(),
        })
    }

    fn make(&self, resources: &LinuxResources) -> Result<Vec<String>, Error> {
        for folder in &self.folders {
            folder.make(self.version)?;
        }
        self.update(resources)
    }

    /// Changes the limits and tells what the host cannot limit.
    ///
    /// # Errors
    /// When the kernel refuses a value.
    pub fn update(&self, resources: &LinuxResources) -> Result<Vec<String>, Error> {
        limit::apply(self, resources)
    }

    /// The path as given, absolute in each hierarchy.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The generation of the host.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Limits that were asked for and that this host has no controller for.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where each hierarchy is mounted and the group's folder in it, for the container's own view.
    pub fn folders(&self) -> impl Iterator<Item = (&Hierarchy, &Path)> {
        self.folders
            .iter()
            .map(|folder| (&folder.hierarchy, folder.path.as_path()))
    }

    /// Opens the group, for a new process that enters by itself.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn door(&self) -> Result<Door, Error> {
        Door::open(&self.folders)
    }

    /// Moves a process of the caller's choice into the group; waits 5 to 16 ms for the kernel the first time.
    ///
    /// # Errors
    /// When the process or the group is gone.
    pub fn add(&self, pid: Pid) -> Result<(), Error> {
        let pid = pid.as_raw_nonzero().to_string();
        let mut folders = self.folders.iter();
        folders.try_for_each(|folder| file::write(&folder.path.join("cgroup.procs"), &pid))
    }

    /// The processes in the group and in the groups below it.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn pids(&self) -> Result<Vec<Pid>, Error> {
        let folder = self.folder_of_processes().ok_or(Error::NoHierarchy)?;
        let mut pids = Vec::new();
        collect_pids(&folder.path, &mut pids)?;
        Ok(pids)
    }

    /// Stops all processes where they are; returns when they stand still.
    ///
    /// # Errors
    /// [`Error::Timeout`] when a process cannot be stopped.
    pub fn freeze(&self) -> Result<(), Error> {
        freezer::freeze(self)
    }

    /// Lets all processes go on.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn thaw(&self) -> Result<(), Error> {
        freezer::thaw(self)
    }

    /// Reports whether the processes are stopped.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn is_frozen(&self) -> Result<bool, Error> {
        freezer::is_frozen(self)
    }

    /// Kills all processes and waits until they are gone from the group.
    ///
    /// # Errors
    /// [`Error::Timeout`] when a process does not die.
    pub fn kill_all(&self) -> Result<(), Error> {
        kill::kill_all(self)
    }

    /// Measures the group.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn stats(&self) -> Result<Stats, Error> {
        stats::measure(self)
    }

    /// A descriptor that becomes readable when the kernel kills for want of memory.
    ///
    /// # Errors
    /// When the host has no memory controller.
    pub fn oom_events(&self) -> Result<OomEvents, Error> {
        OomEvents::open(self)
    }

    /// How many processes the kernel killed for want of memory so far.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        oom::kills(self)
    }

    /// Removes the group and all groups below it, in all hierarchies; gone already is well.
    ///
    /// # Errors
    /// The first failure, after trying all: `BUSY` while a process is left.
    pub fn remove(&self) -> Result<(), Error> {
        let results: Vec<_> = self
            .folders
            .iter()
            .map(|folder| remove_tree(&folder.path))
            .collect();
        results.into_iter().collect()
    }

    /// The folder that has `controller`; on v2 the one folder there is.
    pub(crate) fn folder(&self, controller: &str) -> Option<&Path> {
        let has = |folder: &&Folder| match self.version {
            Version::V2 => true,
            Version::V1 | Version::Hybrid => folder.hierarchy.has(controller),
        };
        self.folders.iter().find(has).map(|one| one.path.as_path())
    }

    /// The folder in the v2 tree.
    pub(crate) fn unified(&self) -> Option<&Path> {
        let mut folders = self.folders.iter();
        folders
            .find(|folder| folder.hierarchy.is_unified())
            .map(|folder| folder.path.as_path())
    }

    /// A tree in which all our processes are; the freezer's where there is one, as killing freezes first.
    fn folder_of_processes(&self) -> Option<&Folder> {
        let freezer = |folder: &&Folder| folder.hierarchy.has("freezer");
        let mut folders = self.folders.iter();
        folders.find(freezer).or_else(|| self.folders.first())
    }
}

impl Folder {
    fn make(&self, version: Version) -> Result<(), Error> {
        let mut parents: Vec<&Path> = self
            .path
            .ancestors()
            .take_while(|path| *path != self.hierarchy.mount)
            .collect();
        parents.reverse();
        for path in parents {
            if version == Version::V2 {
                delegate(path.parent().unwrap_or(path))?;
            }
            make_folder(path)?;
            if self.hierarchy.has("cpuset") {
                inherit_cpuset(path)?;
            }
        }
        Ok(())
    }
}

fn make_folder(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::Folder {
            path: path.into(),
            source: errno(&error),
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A v1 cpuset starts without processors and memory nodes, and nothing can enter it before it has some.
fn inherit_cpuset(path: &Path) -> Result<(), Error> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if !file::read(&path.join(name))?.trim().is_empty() {
            continue;
        }
        let parent = path.parent().unwrap_or(path).join(name);
        file::write(&path.join(name), file::read(&parent)?.trim())?;
    }
    Ok(())
}

/// In v2 a parent must hand each controller down; one that cannot be handed down is reported by the limit.
fn delegate(parent: &Path) -> Result<(), Error> {
    let wanted = file::read(&parent.join("cgroup.controllers"))?;
    let control = parent.join("cgroup.subtree_control");
    let present = file::read(&control)?;
    for controller in wanted.split_whitespace() {
        if !present.split_whitespace().any(|one| one == controller) {
            file::write_raw(&control, &format!("+{controller}")).ok();
        }
    }
    Ok(())
}

/// The path below a mount, from the absolute path in the hierarchy.
fn inner(path: &str) -> Result<PathBuf, Error> {
    let bad = || Error::Path(path.into());
    let inner = path.strip_prefix('/').ok_or_else(bad)?;
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if inner.is_empty() || !Path::new(inner).components().all(plain) {
        return Err(bad());
    }
    Ok(inner.into())
}

fn collect_pids(folder: &Path, pids: &mut Vec<Pid>) -> Result<(), Error> {
    let text = file::read(&folder.join("cgroup.procs"))?;
    let all = text.lines().filter_map(|line| line.parse().ok());
    pids.extend(all.filter_map(Pid::from_raw));
    for child in children(folder) {
        match collect_pids(&child, pids) {
            // Removed by its owner while we looked.
            Err(Error::Read { .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries
        .filter_map(Result::ok)
        .filter(is_folder)
        .map(|entry| entry.path())
        .collect()
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    let failure = |source| Error::Folder {
        path: path.into(),
        source,
    };
    match rustix::fs::rmdir(path) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::BUSY) => {}
        Err(source) => return Err(failure(source)),
    }
    let below = children(path);
    if below.is_empty() {
        return Err(failure(Errno::BUSY));
    }
    below.iter().try_for_each(|child| remove_tree(child))?;
    rustix::fs::rmdir(path).map_err(failure)
}

/// Removes the group that containers' groups stood in from every hierarchy where it is empty; elsewhere it stays.
pub fn remove_parent(path: &str) {
    let absolute = format!("/{}", path.trim_matches('/'));
    if let Ok(parent) = Cgroup::open(&absolute) {
        for folder in &parent.folders {
            // A group with processes or groups in it is busy.
            rustix::fs::rmdir(&folder.path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_the_hierarchy() {
        for path in ["", "/", "relative", "/../x", "/a/../../x"] {
            assert!(inner(path).is_err(), "{path}");
        }
        assert_eq!(inner("/hakone/x").unwrap(), Path::new("hakone/x"));
    }
}
