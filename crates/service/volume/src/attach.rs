//! Mounts and unmounts volumes of ours for containers, in the volume's turn and without the table: a server that is away holds
//! up those who want its volume, and nobody else.

use std::collections::BTreeMap;

use hakone_base::{ContainerId, VolumeName};

use crate::{
    Error, Record, folder, mount, options::LocalOptions, remote::is_remote, service::Inner,
    table::Entry,
};

/// Who has a volume mounted, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The container.
    pub container: ContainerId,
    /// Where the volume is in it.
    pub destination: String,
    /// Whether it may write.
    pub writable: bool,
}

/// Whether a use was a volume's last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// Nobody has it mounted any more.
    Yes,
    /// Others have, or it was not mounted.
    No,
}

impl Inner {
    /// Makes a volume's files reachable for a user.
    pub(crate) fn mount(&self, name: &str, user: User) -> Result<VolumeName, Error> {
        let (record, first) = self.uses(name)?;
        if first {
            self.open(&record)?;
        }
        let mut table = self.table();
        let entry = table.find_mut(name)?;
        entry.mounted.insert(user.container.clone());
        drop(table);
        self.announce_mount(&record, user);
        Ok(record.name)
    }

    fn uses(&self, name: &str) -> Result<(Record, bool), Error> {
        let table = self.table();
        let entry = table.find(name)?;
        Ok((entry.record.clone(), entry.mounted.is_empty()))
    }

    /// Mounts what the options name, or gives the kernel the key.
    fn open(&self, record: &Record) -> Result<(), Error> {
        if let LocalOptions::Mount { kind, device, data } = record.local() {
            mount::attach(&kind, &device, &data, &self.files(&record.name))?;
        }
        self.vault(record, |vault| vault.unlock()).unwrap_or(Ok(()))
    }

    /// Undoes [`Self::open`].
    fn close(&self, record: &Record) -> Result<(), Error> {
        let mounted = matches!(record.local(), LocalOptions::Mount { .. });
        let detached = match mounted {
            true => mount::detach(&self.files(&record.name)),
            false => Ok(()),
        };
        self.vault(record, |vault| vault.lock());
        detached
    }

    /// Ends a use, and tells whether it was the last.
    pub(crate) fn unmount(&self, name: &str, container: &ContainerId) -> Result<Last, Error> {
        let mut table = self.table();
        let entry = table.find_mut(name)?;
        if !entry.mounted.remove(container) {
            return Ok(Last::No);
        }
        let (record, last) = (entry.record.clone(), entry.mounted.is_empty());
        drop(table);
        let closed = match last {
            true => self.close(&record),
            false => Ok(()),
        };
        self.announce("unmount", &record.name, &record.driver, Some(container));
        closed.map(|()| match last {
            true => Last::Yes,
            false => Last::No,
        })
    }

    /// Closes the volumes of ours that nobody has mounted: an earlier daemon may have been killed with them open.
    pub(crate) fn close_unused(&self) {
        let unused = self.unmounted(|entry| !is_remote(&entry.record.driver));
        for record in unused {
            if let Err(error) = self.close(&record) {
                tracing::warn!(volume.name = %record.name, %error, "an unused volume stays mounted");
            }
        }
    }

    /// Lists plugins' volumes that nobody has mounted.
    pub(crate) fn idle(&self) -> Vec<Record> {
        self.unmounted(|entry| is_remote(&entry.record.driver))
    }

    fn unmounted(&self, which: impl Fn(&Entry) -> bool) -> Vec<Record> {
        let table = self.table();
        let all = table.entries().filter(|entry| entry.mounted.is_empty());
        all.filter(|entry| which(entry))
            .map(|entry| entry.record.clone())
            .collect()
    }

    /// Forgets that `container` refers to a volume; tells whether it may be removed.
    pub(crate) fn disclaim(
        &self,
        name: &str,
        container: &ContainerId,
        remove: bool,
    ) -> Result<bool, Error> {
        let mut table = self.table();
        let Ok(entry) = table.find_mut(name) else {
            return Ok(false);
        };
        let maker = &mut entry.record.maker;
        if !remove && maker.take_if(|maker| maker == container).is_some() {
            folder::save(&self.folder(&entry.record.name), &entry.record)?;
        }
        entry.users.remove(container);
        Ok(remove && entry.users.is_empty())
    }

    fn announce_mount(&self, record: &Record, user: User) {
        let attributes = [
            ("driver", record.driver.clone()),
            ("container", user.container.to_string()),
            ("destination", user.destination),
            ("read/write", user.writable.to_string()),
            ("propagation", String::new()),
        ];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value));
        self.publish("mount", &record.name, BTreeMap::from(attributes));
    }
}
