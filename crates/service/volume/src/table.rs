//! All volumes and who uses them: what the service's one short lock guards.
//!
//! Nothing that could wait for another machine (a mount, a key file, a plugin) happens under that lock: such work takes the
//! volume's own turn instead, so that one volume that hangs holds up its own users alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hakone_base::{ContainerId, VolumeName};
use tokio::sync::Semaphore;

use crate::{Error, Record};

/// A volume and its users.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    /// Containers that refer to it, running or not.
    pub(crate) users: BTreeSet<ContainerId>,
    /// Containers that have it mounted now.
    pub(crate) mounted: BTreeSet<ContainerId>,
    /// Whose turn it is to mount, unmount, rotate or remove it, or to ask its plugin.
    pub(crate) turn: Arc<Semaphore>,
}

impl Entry {
    fn new(record: Record) -> Self {
        Self {
            record,
            users: BTreeSet::new(),
            mounted: BTreeSet::new(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Refuses a volume that containers refer to.
    pub(crate) fn unused(&self) -> Result<(), Error> {
        match self.users.is_empty() {
            true => Ok(()),
            false => Err(Error::InUse {
                name: self.record.name.to_string(),
                users: self.users.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

/// All volumes by name.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<VolumeName, Entry>,
    /// The highest project that a volume had: those of removed ones may still have files that are being deleted.
    project: Option<u32>,
}

impl Table {
    pub(crate) fn insert(&mut self, record: Record) {
        self.project = self.project.max(record.project);
        self.entries.insert(record.name.clone(), Entry::new(record));
    }

    /// Finds a volume by the name that somebody typed.
    pub(crate) fn find(&self, name: &str) -> Result<&Entry, Error> {
        let parsed: Option<VolumeName> = name.parse().ok();
        let found = parsed.and_then(|name| self.entries.get(&name));
        found.ok_or_else(|| Error::NotFound(name.to_owned()))
    }

    pub(crate) fn find_mut(&mut self, name: &str) -> Result<&mut Entry, Error> {
        let parsed: Option<VolumeName> = name.parse().ok();
        let found = parsed.and_then(|name| self.entries.get_mut(&name));
        found.ok_or_else(|| Error::NotFound(name.to_owned()))
    }

    pub(crate) fn get(&self, name: &VolumeName) -> Option<&Entry> {
        self.entries.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &VolumeName) -> Option<&mut Entry> {
        self.entries.get_mut(name)
    }

    pub(crate) fn remove(&mut self, name: &VolumeName) {
        self.entries.remove(name);
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Gives a project that no volume has, nor had since the start.
    pub(crate) fn next_project(&self) -> u32 {
        self.project
            .map_or(hakone_quota::VOLUMES, |most| most.saturating_add(1))
    }
}
