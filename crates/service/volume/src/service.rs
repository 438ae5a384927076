//! The volume service: create, list, inspect, remove, prune, and use by containers.
//!
//! The public face; what each method does stands in `make`, `remove` and `attach`, and in `remote` for plugins' volumes.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use hakone_base::{ContainerId, EventKind, VolumeName};
use hakone_engine_api::{Filters, wire};
use hakone_events::Bus;
use hakone_plugin::Folders;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::{
    Error, Pruned, Record, User, VolumeSpec, attach::Last, filter, folder, options::LocalOptions,
    remote::is_remote, spec::plan, table::Table, wire::volume as to_wire,
};

/// A size that nobody measured, in the words of the API.
const UNKNOWN: i64 = -1;

/// A handle on the volume service; clones share it.
#[derive(Clone, Debug)]
pub struct Service(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    pub(crate) events: Bus,
    /// All volumes; held for the length of one operation on our own disk, never for a mount or across an await.
    table: Mutex<Table>,
    /// Where plugins are.
    pub(crate) plugins: OnceLock<Folders>,
    /// Who makes a plugin's volume.
    pub(crate) making: Arc<Semaphore>,
}

impl Service {
    /// The keys that list filters may have.
    pub const LIST_FILTERS: &[&str] = &["dangling", "driver", "label", "name"];
    /// The keys that prune filters may have.
    pub const PRUNE_FILTERS: &[&str] = &["all", "label", "label!"];

    /// Reads all volumes under `root` (`<data root>/volumes`); an unreadable one is reported and left alone.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: PathBuf, events: Bus) -> Result<Self, Error> {
        folder::make(&root)?;
        let table = folder::load(&root)?;
        Ok(Self(Arc::new(Inner {
            root,
            events,
            table: Mutex::new(table),
            plugins: OnceLock::new(),
            making: Arc::new(Semaphore::new(1)),
        })))
    }

    /// Makes a volume, or gives the one of that name.
    ///
    /// # Errors
    /// When name, driver or options are refused or the disk fails.
    pub async fn create(&self, spec: VolumeSpec) -> Result<wire::Volume, Error> {
        if is_remote(&spec.driver) {
            let record = self.ensure_remote(spec, None).await?;
            return Ok(self.0.show(&record));
        }
        self.take_in(&spec).await?;
        let inner = Arc::clone(&self.0);
        blocking(move || inner.ensure(plan(spec)?).map(|record| inner.show(&record))).await
    }

    /// Lists the volumes that are known here by name.
    ///
    /// # Errors
    /// When a filter's value is refused.
    pub fn list(&self, filters: &Filters) -> Result<Vec<wire::Volume>, Error> {
        let table = self.0.table();
        let mut found = Vec::new();
        for entry in table.entries() {
            if filter::passes(filters, &entry.record, !entry.users.is_empty())? {
                found.push(self.0.show(&entry.record));
            }
        }
        Ok(found)
    }

    /// Shows a volume that is known here.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn inspect(&self, name: &str) -> Result<wire::Volume, Error> {
        let table = self.0.table();
        Ok(self.0.show(&table.find(name)?.record))
    }

    /// Removes a volume that no container refers to; with `force` a missing one is no error.
    ///
    /// # Errors
    /// When it is missing or in use, or the disk fails.
    pub async fn remove(&self, name: &str, force: bool) -> Result<(), Error> {
        match self.remove_present(name, force).await {
            Err(Error::NotFound(_)) if force => Ok(()),
            removed => removed,
        }
    }

    async fn remove_present(&self, name: &str, force: bool) -> Result<(), Error> {
        self.take_in_named(name).await?;
        // Said at once, and not when whoever mounts it is done.
        self.0.table().find(name)?.unused()?;
        let turn = self.turn(name).await?;
        self.0.table().find(name)?.unused()?;
        if let Some(remote) = self.remote(name) {
            match self.remove_remote(&remote).await {
                Err(error) if !force => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        let (inner, name) = (Arc::clone(&self.0), name.to_owned());
        blocking(move || {
            let _turn = turn;
            inner.remove(&name)
        })
        .await
    }

    /// Waits until nobody else mounts, unmounts, rotates or removes a volume.
    async fn turn(&self, name: &str) -> Result<OwnedSemaphorePermit, Error> {
        let turn = Arc::clone(&self.0.table().find(name)?.turn);
        turn.acquire_owned().await.map_err(|_closed| Error::Closing)
    }

    /// Wraps the key of an encrypted volume by another key file; its files stay as they are, and so do its users.
    ///
    /// # Errors
    /// When it is missing or not encrypted, or either key file is refused.
    pub async fn rotate(&self, name: &str, key_file: &str) -> Result<(), Error> {
        let turn = self.turn(name).await?;
        let inner = Arc::clone(&self.0);
        let (name, key_file) = (name.to_owned(), key_file.to_owned());
        blocking(move || {
            let _turn = turn;
            inner.rotate(&name, &key_file)
        })
        .await
    }

    /// Removes the volumes that nobody refers to and that pass the filters.
    ///
    /// # Errors
    /// When a filter's value is refused.
    pub async fn prune(&self, filters: Filters) -> Result<Pruned, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.prune(&filters)).await
    }

    /// Makes or finds a volume and notes that `container` refers to it.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn claim(
        &self,
        spec: VolumeSpec,
        container: &ContainerId,
    ) -> Result<wire::Volume, Error> {
        let remote = match is_remote(&spec.driver) {
            true => Some(self.ensure_remote(spec.clone(), Some(container)).await?),
            false => {
                self.take_in(&spec).await?;
                None
            }
        };
        let (inner, container) = (Arc::clone(&self.0), container.clone());
        blocking(move || {
            let record = match remote {
                Some(record) => record,
                None => {
                    let mut record = plan(spec)?;
                    record.maker = record.is_anonymous().then(|| container.clone());
                    inner.ensure(record)?
                }
            };
            if let Some(entry) = inner.table().get_mut(&record.name) {
                entry.users.insert(container);
            }
            Ok(inner.show(&record))
        })
        .await
    }

    /// Lists volumes with the bytes in them and the containers that refer to each. Reads all their folders.
    ///
    /// # Errors
    /// When a filter's value is refused, or the service shuts down.
    pub async fn usage(&self, filters: Filters) -> Result<Vec<wire::Volume>, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.usage(&filters)).await
    }

    /// Reports whether a volume shows a folder of the host; one that is gone shows nothing.
    #[must_use]
    pub fn is_of_host(&self, name: &str) -> bool {
        let table = self.0.table();
        table
            .find(name)
            .is_ok_and(|entry| entry.record.is_of_host())
    }

    /// Reports whether the file system bounds what a volume's files take.
    #[must_use]
    pub fn is_bounded(&self, name: &str) -> bool {
        let table = self.0.table();
        table
            .find(name)
            .is_ok_and(|entry| entry.record.project.is_some())
    }

    /// Makes a volume's files reachable for a start; tells whether it is still empty, which asks for copy-up.
    ///
    /// # Errors
    /// When it is missing or its device cannot be mounted.
    pub async fn mount(&self, name: &str, user: User) -> Result<bool, Error> {
        let name = self.take_up(name, user).await?;
        let files = self.0.files(&name);
        blocking(move || folder::is_empty(&files).map_err(Error::host("read", files))).await
    }

    /// Goes on with a use that an earlier daemon began. Nothing is asked of the files: a server that is away since must not hold up
    /// the daemon's start.
    ///
    /// # Errors
    /// As [`Self::mount`].
    pub async fn take_up(&self, name: &str, user: User) -> Result<VolumeName, Error> {
        let turn = self.turn(name).await?;
        if let Some(remote) = self.remote(name) {
            self.mount_remote(&remote).await?;
        }
        let (inner, name) = (Arc::clone(&self.0), name.to_owned());
        blocking(move || {
            let name = inner.mount(&name, user);
            drop(turn);
            name
        })
        .await
    }

    /// Ends a container's use of a volume's files.
    pub async fn unmount(&self, name: &str, container: &ContainerId) {
        match self.end_use(name, container).await {
            Ok(()) | Err(Error::NotFound(_)) => {}
            Err(error) => warn!(error = %error, "a volume could not be unmounted"),
        }
    }

    async fn end_use(&self, name: &str, container: &ContainerId) -> Result<(), Error> {
        let turn = self.turn(name).await?;
        let (inner, owned, container) = (Arc::clone(&self.0), name.to_owned(), container.clone());
        let ended = blocking(move || {
            let last = inner.unmount(&owned, &container)?;
            Ok((last, turn))
        });
        match (ended.await?, self.remote(name)) {
            ((Last::Yes, _turn), Some(remote)) => self.unmount_remote(&remote).await,
            ((_, _turn), _) => Ok(()),
        }
    }

    /// Ends the start, when all containers have claimed their volumes: removes what was made for a container that does
    /// not exist, and unmounts what nobody uses.
    pub async fn settle(&self, exists: impl Fn(&ContainerId) -> bool + Send + 'static) {
        let inner = Arc::clone(&self.0);
        let settling = blocking(move || {
            inner.close_unused();
            inner.remove_strays(exists);
            Ok(inner.idle())
        });
        for record in settling.await.unwrap_or_default() {
            if let Err(error) = self.unmount_remote(&record).await {
                warn!(volume.name = %record.name, %error, "a plugin's volume could not be unmounted");
            }
        }
    }

    /// Forgets that `container` refers to a volume; `remove` deletes it too when nobody else does.
    pub async fn disclaim(&self, name: &str, container: &ContainerId, remove: bool) {
        let (inner, owned, container) = (Arc::clone(&self.0), name.to_owned(), container.clone());
        let free = blocking(move || inner.disclaim(&owned, &container, remove)).await;
        let ended = match free {
            Ok(true) => self.remove(name, true).await,
            free => free.map(drop),
        };
        match ended {
            // Others came to refer to it meanwhile.
            Ok(()) | Err(Error::InUse { .. }) => {}
            Err(error) => warn!(error = %error, "a volume could not be removed with its container"),
        }
    }
}

impl Inner {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn folder(&self, name: &VolumeName) -> PathBuf {
        self.root.join(name.as_str())
    }

    pub(crate) fn files(&self, name: &VolumeName) -> PathBuf {
        self.folder(name).join(folder::FILES)
    }

    fn show(&self, record: &Record) -> wire::Volume {
        to_wire(record, &self.files(&record.name))
    }

    fn usage(&self, filters: &Filters) -> Result<Vec<wire::Volume>, Error> {
        let mut chosen = Vec::new();
        for entry in self.table().entries() {
            if filter::passes(filters, &entry.record, !entry.users.is_empty())? {
                chosen.push((entry.record.clone(), entry.users.len()));
            }
        }
        let measured = chosen.into_iter().map(|(record, users)| wire::Volume {
            usage_data: Some(wire::VolumeUsageData {
                size: self.size(&record),
                ref_count: i64::try_from(users).unwrap_or(i64::MAX),
            }),
            ..self.show(&record)
        });
        Ok(measured.collect())
    }

    /// Measures a volume. What lies elsewhere is not walked, as in Docker: its server may not answer, and the files are not ours.
    fn size(&self, record: &Record) -> i64 {
        let elsewhere =
            is_remote(&record.driver) || matches!(record.local(), LocalOptions::Mount { .. });
        if elsewhere {
            return UNKNOWN;
        }
        let size = folder::size(&self.files(&record.name));
        i64::try_from(size).unwrap_or(i64::MAX)
    }

    pub(crate) fn announce(
        &self,
        action: &str,
        name: &VolumeName,
        driver: &str,
        container: Option<&ContainerId>,
    ) {
        let mut attributes = BTreeMap::from([("driver".to_owned(), driver.to_owned())]);
        if let Some(container) = container {
            attributes.insert("container".to_owned(), container.to_string());
        }
        self.publish(action, name, attributes);
    }

    pub(crate) fn publish(
        &self,
        action: &str,
        name: &VolumeName,
        attributes: BTreeMap<String, String>,
    ) {
        self.events
            .publish(EventKind::Volume, action, name.as_str(), attributes);
    }
}

/// Runs work that waits for the disk, or for a server, on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Closing),
    }
}
