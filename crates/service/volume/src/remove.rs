//! Removes volumes: one, those that nobody refers to, and what was made for containers that never came to be.

use std::{collections::BTreeMap, io};

use hakone_base::{ContainerId, EventKind};
use hakone_engine_api::Filters;
use tracing::{info, warn};

use crate::{Error, filter, folder, remote::is_remote, service::Inner};

/// What a prune removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names of the volumes.
    pub volumes: Vec<String>,
    /// Bytes freed.
    pub reclaimed: u64,
}

impl Inner {
    /// Removes a volume that no container refers to. Needs the volume's turn; its files are deleted without the table.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let mut table = self.table();
        let entry = table.find(name)?;
        entry.unused()?;
        let record = entry.record.clone();
        let path = self.folder(&record.name);
        let failed = Error::host("remove", path.clone());
        let aside = match folder::set_aside(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            aside => Some(aside.map_err(failed)?),
        };
        table.remove(&record.name);
        drop(table);
        if let Some(aside) = aside
            && let Err(error) = hakone_mount::remove_tree(&aside)
        {
            warn!(volume.name = %name, %error, "files of a removed volume go at the next start");
        }
        if let Some(project) = record.project {
            hakone_quota::lift(&self.root, project);
        }
        info!(volume.name = %name, "volume removed");
        self.announce("destroy", &record.name, &record.driver, None);
        Ok(())
    }

    /// Removes the volumes that nobody refers to and that pass the filters.
    pub(crate) fn prune(&self, filters: &Filters) -> Result<Pruned, Error> {
        let mut chosen = Vec::new();
        for entry in self.table().entries().filter(|e| e.users.is_empty()) {
            if filter::prunable(filters, &entry.record)? {
                chosen.push(entry.record.name.clone());
            }
        }
        let mut pruned = Pruned::default();
        for name in chosen {
            let size = folder::size(&self.files(&name));
            // One that came into use meanwhile stays.
            if self.remove_in_turn(name.as_str()).is_ok() {
                pruned.volumes.push(name.to_string());
                pruned.reclaimed += size;
            }
        }
        self.events.publish(
            EventKind::Volume,
            "prune",
            "",
            BTreeMap::from([("reclaimed".to_owned(), pruned.reclaimed.to_string())]),
        );
        Ok(pruned)
    }

    /// Removes a volume unless somebody is busy with it.
    fn remove_in_turn(&self, name: &str) -> Result<(), Error> {
        let turn = std::sync::Arc::clone(&self.table().find(name)?.turn);
        let busy = |_taken| Error::InUse {
            name: name.to_owned(),
            users: Vec::new(),
        };
        let _turn = turn.try_acquire().map_err(busy)?;
        self.remove(name)
    }

    /// Removes anonymous volumes whose container does not exist.
    pub(crate) fn remove_strays(&self, exists: impl Fn(&ContainerId) -> bool) {
        let table = self.table();
        let strays = table.entries().filter(|entry| {
            let gone = entry.record.maker.as_ref().is_some_and(|id| !exists(id));
            gone && entry.users.is_empty() && !is_remote(&entry.record.driver)
        });
        let strays: Vec<_> = strays.map(|entry| entry.record.name.clone()).collect();
        drop(table);
        for name in strays {
            if let Err(error) = self.remove_in_turn(name.as_str()) {
                warn!(volume.name = %name, error = %error, "a volume of no container was left");
            }
        }
    }
}
