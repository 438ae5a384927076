//! The volume service: create, list, inspect, remove, prune, and use by containers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::SystemTime,
};

use hakone_base::{ContainerId, EventKind, VolumeName};
use hakone_engine_api::{Filters, wire};
use hakone_events::Bus;
use hakone_plugin::Folders;
use hakone_store::Durability;
use tokio::sync::Semaphore;
use tracing::{error, info, warn};

use crate::{
    Error, Record,
    encrypt::Vault,
    filter,
    options::LocalOptions,
    quota,
    record::ANONYMOUS,
    remote::{LOCAL, is_remote},
    wire::volume as to_wire,
};

/// The folder of a volume's files inside its own.
const FILES: &str = "_data";
/// The record beside it.
const RECORD: &str = "volume.json";

/// A volume to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Its name; `None` makes an anonymous one.
    pub name: Option<String>,
    /// The driver; empty means `local`.
    pub driver: String,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What a prune removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names of the volumes.
    pub volumes: Vec<String>,
    /// Bytes freed.
    pub reclaimed: u64,
}

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

/// A handle on the volume service; clones share it.
#[derive(Clone, Debug)]
pub struct Service(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    events: Bus,
    /// All volumes; held for the length of one file operation, never across an await.
    table: Mutex<BTreeMap<VolumeName, Entry>>,
    /// Where plugins are.
    pub(crate) plugins: OnceLock<Folders>,
    /// Who makes a plugin's volume.
    pub(crate) making: Arc<Semaphore>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    /// Containers that refer to it, running or not.
    users: BTreeSet<ContainerId>,
    /// Containers that have it mounted now.
    mounted: BTreeSet<ContainerId>,
    /// Whose turn it is to ask the plugin.
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
        make_folder(&root)?;
        let table = load(&root)?;
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
        let inner = Arc::clone(&self.0);
        blocking(move || inner.ensure(plan(spec)?).map(|record| inner.show(&record))).await
    }

    /// Lists volumes by name.
    ///
    /// # Errors
    /// When a filter's value is refused.
    pub fn list(&self, filters: &Filters) -> Result<Vec<wire::Volume>, Error> {
        let table = self.0.table();
        let mut found = Vec::new();
        for entry in table.values() {
            if filter::passes(filters, &entry.record, !entry.users.is_empty())? {
                found.push(self.0.show(&entry.record));
            }
        }
        Ok(found)
    }

    /// Shows a volume.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn inspect(&self, name: &str) -> Result<wire::Volume, Error> {
        let table = self.0.table();
        let name = lookup(&table, name)?;
        match table.get(&name) {
            Some(entry) => Ok(self.0.show(&entry.record)),
            None => Err(Error::NotFound(name.to_string())),
        }
    }

    /// Removes a volume that no container refers to; with `force` a missing one is no error.
    ///
    /// # Errors
    /// When it is missing or in use, or the disk fails.
    pub async fn remove(&self, name: &str, force: bool) -> Result<(), Error> {
        let (inner, owned) = (Arc::clone(&self.0), name.to_owned());
        let removed = match self.remote(name) {
            None => blocking(move || inner.remove(&owned)).await,
            Some(remote) => {
                let _turn = remote.turn.acquire().await;
                inner.free(&owned)?;
                match self.remove_remote(&remote.record).await {
                    Err(error) if !force => return Err(error),
                    Ok(()) | Err(_) => blocking(move || inner.remove(&owned)).await,
                }
            }
        };
        match removed {
            Err(Error::NotFound(_)) if force => Ok(()),
            removed => removed,
        }
    }

    /// Wraps the key of an encrypted volume by another key file; its files stay as they are, and so do its users.
    ///
    /// # Errors
    /// When it is missing or not encrypted, or either key file is refused.
    pub async fn rotate(&self, name: &str, key_file: &str) -> Result<(), Error> {
        let inner = Arc::clone(&self.0);
        let (name, key_file) = (name.to_owned(), key_file.to_owned());
        blocking(move || inner.rotate(&name, &key_file)).await
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
            false => None,
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

    /// Lists all volumes with the bytes in them and the containers that refer to each. Reads all their folders.
    ///
    /// # Errors
    /// When the service shuts down.
    pub async fn usage(&self) -> Result<Vec<wire::Volume>, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || Ok(inner.usage())).await
    }

    /// Makes a volume's files reachable for a start; tells whether it is still empty, which asks for copy-up.
    ///
    /// # Errors
    /// When it is missing or its device cannot be mounted.
    pub async fn mount(&self, name: &str, user: User) -> Result<bool, Error> {
        let remote = self.remote(name);
        let _turn = match &remote {
            None => None,
            Some(remote) => {
                let turn = remote.turn.acquire().await.ok();
                self.mount_remote(remote).await?;
                turn
            }
        };
        let (inner, name) = (Arc::clone(&self.0), name.to_owned());
        blocking(move || inner.mount(&name, user)).await
    }

    /// Ends a container's use of a volume's files.
    pub async fn unmount(&self, name: &str, container: &ContainerId) {
        let remote = self.remote(name);
        let _turn = match &remote {
            None => None,
            Some(remote) => remote.turn.acquire().await.ok(),
        };
        let (inner, name, container) = (Arc::clone(&self.0), name.to_owned(), container.clone());
        let ended = blocking(move || inner.unmount(&name, &container)).await;
        let ended = match (ended, &remote) {
            (Ok(Last::Yes), Some(remote)) => self.unmount_remote(remote).await,
            (ended, _) => ended.map(drop),
        };
        if let Err(error) = ended {
            warn!(error = %error, "a volume could not be unmounted");
        }
    }

    /// Ends the start, when all containers have claimed their volumes: removes what was made for a container that does
    /// not exist, and unmounts what nobody uses.
    pub async fn settle(&self, exists: impl Fn(&ContainerId) -> bool + Send + 'static) {
        let inner = Arc::clone(&self.0);
        let settling = blocking(move || {
            inner.settle(exists);
            Ok(inner.idle())
        });
        for name in settling.await.unwrap_or_default() {
            if let Some(remote) = self.remote(name.as_str())
                && let Err(error) = self.unmount_remote(&remote).await
            {
                warn!(volume.name = %name, %error, "a plugin's volume could not be unmounted");
            }
        }
    }

    /// Forgets that `container` refers to a volume; `remove` deletes it too when nobody else does.
    pub async fn disclaim(&self, name: &str, container: &ContainerId, remove: bool) {
        let (inner, owned, container) = (Arc::clone(&self.0), name.to_owned(), container.clone());
        let remote = self.remote(name).is_some();
        let ended = blocking(move || inner.disclaim(&owned, &container, remove && !remote)).await;
        let ended = match (ended, remote && remove) {
            (Ok(()), true) => match self.remove(name, false).await {
                // Others refer to it still.
                Err(Error::InUse { .. }) => Ok(()),
                removed => removed,
            },
            (ended, _) => ended,
        };
        if let Err(error) = ended {
            warn!(error = %error, "a volume could not be removed with its container");
        }
    }
}

impl Inner {
    pub(crate) fn table(&self) -> MutexGuard<'_, BTreeMap<VolumeName, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, name: &VolumeName) -> PathBuf {
        self.root.join(name.as_str())
    }

    pub(crate) fn files(&self, name: &VolumeName) -> PathBuf {
        self.folder(name).join(FILES)
    }

    fn show(&self, record: &Record) -> wire::Volume {
        to_wire(record, &self.files(&record.name))
    }

    pub(crate) fn ensure(&self, mut record: Record) -> Result<Record, Error> {
        let mut table = self.table();
        if let Some(entry) = table.get(&record.name) {
            let same = (record.options.is_empty() || record.options == entry.record.options)
                && (!is_remote(&record.driver) || record.driver == entry.record.driver);
            return match same {
                true => Ok(entry.record.clone()),
                false => Err(Error::Conflict(record.name.to_string())),
            };
        }
        record.project = match record.local() {
            LocalOptions::Folder { size: Some(_), .. } => Some(next_project(&table)),
            _ => None,
        };
        self.make(&record)?;
        table.insert(record.name.clone(), Entry::new(record.clone()));
        drop(table);
        info!(volume.name = %record.name, "volume created");
        self.announce("create", &record.name, None);
        Ok(record)
    }

    /// Makes folder and record; what is half made is removed again.
    fn make(&self, record: &Record) -> Result<(), Error> {
        let folder = self.folder(&record.name);
        let made = make_folder(&folder).and_then(|()| {
            make_files(&self.files(&record.name))?;
            self.furnish(record)?;
            self.save(record)
        });
        if made.is_err() {
            fs::remove_dir_all(&folder).ok();
        }
        made
    }

    /// Encrypts and bounds an empty folder, as the options say.
    fn furnish(&self, record: &Record) -> Result<(), Error> {
        let LocalOptions::Folder { size, key_file } = record.local() else {
            return Ok(());
        };
        let (folder, files) = (self.folder(&record.name), self.files(&record.name));
        if let (Some(bytes), Some(project)) = (size, record.project) {
            quota::limit(record.name.as_str(), &files, project, bytes)?;
        }
        match key_file {
            None => Ok(()),
            Some(key_file) => Vault {
                name: record.name.as_str(),
                folder: &folder,
                files: &files,
                key_file: &key_file,
            }
            .make(),
        }
    }

    /// Does something with an encrypted volume; `None` when it is not one.
    fn vault<T>(&self, record: &Record, act: impl FnOnce(&Vault<'_>) -> T) -> Option<T> {
        let LocalOptions::Folder {
            key_file: Some(key_file),
            ..
        } = record.local()
        else {
            return None;
        };
        Some(act(&Vault {
            name: record.name.as_str(),
            folder: &self.folder(&record.name),
            files: &self.files(&record.name),
            key_file: &key_file,
        }))
    }

    fn rotate(&self, name: &str, key_file: &str) -> Result<(), Error> {
        let mut table = self.table();
        let name = lookup(&table, name)?;
        let Some(entry) = table.get_mut(&name) else {
            return Err(Error::NotFound(name.to_string()));
        };
        let refuse = |reason| Error::Value {
            name: name.to_string(),
            option: "key-file",
            reason,
        };
        let new = crate::encrypt::key_file(key_file);
        let new = new.ok_or_else(|| refuse("an absolute path is expected"))?;
        let rotated = self.vault(&entry.record, |vault| match vault.opens(&new) {
            // The key was wrapped and then the daemon died: only the record is behind.
            Ok(true) => Ok(()),
            Ok(false) => vault.rotate(&new),
            Err(error) => Err(error),
        });
        rotated.ok_or_else(|| refuse("the volume is not encrypted"))??;
        let options = &mut entry.record.options;
        options.insert("key-file".to_owned(), key_file.to_owned());
        self.save(&entry.record)?;
        drop(table);
        info!(volume.name = %name, "the key of a volume was wrapped anew");
        self.announce("update", &name, None);
        Ok(())
    }

    /// Refuses a volume that containers refer to.
    fn free(&self, name: &str) -> Result<(), Error> {
        let table = self.table();
        let name = lookup(&table, name)?;
        unused(&table, &name)
    }

    /// Lists plugins' volumes that nobody has mounted.
    fn idle(&self) -> Vec<VolumeName> {
        let table = self.table();
        let idle = table
            .values()
            .filter(|entry| is_remote(&entry.record.driver) && entry.mounted.is_empty());
        idle.map(|entry| entry.record.name.clone()).collect()
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let mut table = self.table();
        let name = lookup(&table, name)?;
        unused(&table, &name)?;
        let project = table.get(&name).and_then(|entry| entry.record.project);
        let folder = self.folder(&name);
        discard(&folder).map_err(Error::host("remove", folder))?;
        let removed = table.remove(&name);
        if let Some(project) = project {
            quota::lift(&self.root, project);
        }
        drop(table);
        info!(volume.name = %name, "volume removed");
        let driver = removed.map_or_else(|| LOCAL.to_owned(), |entry| entry.record.driver);
        self.publish("destroy", &name, driver, None);
        Ok(())
    }

    fn prune(&self, filters: &Filters) -> Result<Pruned, Error> {
        let mut chosen = Vec::new();
        for entry in self.table().values().filter(|e| e.users.is_empty()) {
            if filter::prunable(filters, &entry.record)? {
                chosen.push(entry.record.name.clone());
            }
        }
        let mut pruned = Pruned::default();
        for name in chosen {
            let size = folder_size(&self.files(&name));
            // One that came into use meanwhile stays.
            if self.remove(name.as_str()).is_ok() {
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

    fn usage(&self) -> Vec<wire::Volume> {
        let table = self.table();
        let all = table.values();
        let all: Vec<_> = all
            .map(|entry| (entry.record.clone(), entry.users.len()))
            .collect();
        drop(table);
        let measured = all.into_iter().map(|(record, users)| {
            let size = folder_size(&self.files(&record.name));
            wire::Volume {
                usage_data: Some(wire::VolumeUsageData {
                    size: i64::try_from(size).unwrap_or(i64::MAX),
                    ref_count: i64::try_from(users).unwrap_or(i64::MAX),
                }),
                ..self.show(&record)
            }
        });
        measured.collect()
    }

    fn mount(&self, name: &str, user: User) -> Result<bool, Error> {
        let mut table = self.table();
        let name = lookup(&table, name)?;
        let files = self.files(&name);
        let Some(entry) = table.get_mut(&name) else {
            return Err(Error::NotFound(name.to_string()));
        };
        if let (LocalOptions::Mount { kind, device, data }, true) =
            (entry.record.local(), entry.mounted.is_empty())
        {
            crate::mount::attach(&kind, &device, &data, &files)?;
        }
        if entry.mounted.is_empty()
            && let Some(unlocked) = self.vault(&entry.record, |vault| vault.unlock())
        {
            unlocked?;
        }
        entry.mounted.insert(user.container.clone());
        let driver = entry.record.driver.clone();
        drop(table);
        self.announce_mount(&name, driver, user);
        is_empty(&files).map_err(Error::host("read", files))
    }

    /// Ends a use, and tells whether it was the last.
    fn unmount(&self, name: &str, container: &ContainerId) -> Result<Last, Error> {
        let mut table = self.table();
        let name = lookup(&table, name)?;
        let files = self.files(&name);
        let Some(entry) = table.get_mut(&name) else {
            return Ok(Last::No);
        };
        if !entry.mounted.remove(container) {
            return Ok(Last::No);
        }
        let mounted = matches!(entry.record.local(), LocalOptions::Mount { .. });
        if mounted && entry.mounted.is_empty() {
            crate::mount::detach(&files)?;
        }
        if entry.mounted.is_empty() {
            self.vault(&entry.record, |vault| vault.lock());
        }
        let last = match entry.mounted.is_empty() {
            true => Last::Yes,
            false => Last::No,
        };
        drop(table);
        self.announce("unmount", &name, Some(container));
        Ok(last)
    }

    fn disclaim(&self, name: &str, container: &ContainerId, remove: bool) -> Result<(), Error> {
        let free = {
            let mut table = self.table();
            let Ok(name) = lookup(&table, name) else {
                return Ok(());
            };
            let Some(entry) = table.get_mut(&name) else {
                return Ok(());
            };
            if !remove
                && entry
                    .record
                    .maker
                    .take_if(|maker| maker == container)
                    .is_some()
            {
                self.save(&entry.record)?;
            }
            entry.users.remove(container);
            entry.users.is_empty()
        };
        match free && remove {
            true => self.remove(name),
            false => Ok(()),
        }
    }

    fn settle(&self, exists: impl Fn(&ContainerId) -> bool) {
        let mut strays = Vec::new();
        for (name, entry) in self.table().iter() {
            let mounts = matches!(entry.record.local(), LocalOptions::Mount { .. });
            if mounts && entry.mounted.is_empty() {
                crate::mount::detach(&self.files(name)).ok();
            }
            if entry.mounted.is_empty() {
                self.vault(&entry.record, |vault| vault.lock());
            }
            let gone = entry.record.maker.as_ref().is_some_and(|id| !exists(id));
            if gone && entry.users.is_empty() && !is_remote(&entry.record.driver) {
                strays.push(name.clone());
            }
        }
        for name in strays {
            if let Err(error) = self.remove(name.as_str()) {
                warn!(volume.name = %name, error = %error, "a volume of no container was left");
            }
        }
    }

    fn save(&self, record: &Record) -> Result<(), Error> {
        // Process, not Power: the files people put into a volume are not synced by us either.
        let path = self.folder(&record.name).join(RECORD);
        Ok(hakone_store::save(&path, record, Durability::Process)?)
    }

    fn announce(&self, action: &str, name: &VolumeName, container: Option<&ContainerId>) {
        let driver = self
            .table()
            .get(name)
            .map(|entry| entry.record.driver.clone());
        let driver = driver.unwrap_or_else(|| LOCAL.to_owned());
        self.publish(action, name, driver, container);
    }

    fn publish(
        &self,
        action: &str,
        name: &VolumeName,
        driver: String,
        container: Option<&ContainerId>,
    ) {
        let mut attributes = BTreeMap::from([("driver".to_owned(), driver)]);
        if let Some(container) = container {
            attributes.insert("container".to_owned(), container.to_string());
        }
        self.events
            .publish(EventKind::Volume, action, name.as_str(), attributes);
    }

    fn announce_mount(&self, name: &VolumeName, driver: String, user: User) {
        let attributes = [
            ("driver", driver),
            ("container", user.container.to_string()),
            ("destination", user.destination),
            ("read/write", user.writable.to_string()),
            ("propagation", String::new()),
        ];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value));
        self.events
            .publish(EventKind::Volume, "mount", name.as_str(), attributes.into());
    }
}

/// Decides what to make; pure but for the clock and the name of an anonymous volume.
pub(crate) fn plan(spec: VolumeSpec) -> Result<Record, Error> {
    let mut labels = spec.labels;
    let name = match spec.name.filter(|name| !name.is_empty()) {
        Some(name) => name.parse()?,
        None => {
            labels.insert(ANONYMOUS.to_owned(), String::new());
            anonymous()?
        }
    };
    let remote = is_remote(&spec.driver);
    if !remote {
        LocalOptions::parse(VolumeName::as_str(&name), &spec.options)?;
    }
    Ok(Record {
        name,
        labels,
        options: spec.options,
        created: SystemTime::now().into(),
        maker: None,
        project: None,
        driver: match remote {
            true => spec.driver,
            false => LOCAL.to_owned(),
        },
        global: false,
        mount_id: match remote {
            true => Some(anonymous()?.to_string()),
            false => None,
        },
    })
}

/// Gives a project that no volume has.
fn next_project(table: &BTreeMap<VolumeName, Entry>) -> u32 {
    let taken = table.values().filter_map(|entry| entry.record.project);
    taken
        .max()
        .map_or(quota::FIRST, |most| most.saturating_add(1))
}

fn anonymous() -> Result<VolumeName, Error> {
    let mut bytes = [0; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| Error::host("read entropy from", "the kernel")(errno.into()))?;
    Ok(ContainerId::from_bytes(bytes).as_str().parse()?)
}

fn unused(table: &BTreeMap<VolumeName, Entry>, name: &VolumeName) -> Result<(), Error> {
    let users = table.get(name).map(|entry| &entry.users);
    match users.filter(|users| !users.is_empty()) {
        None => Ok(()),
        Some(users) => Err(Error::InUse {
            name: name.to_string(),
            users: users.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// Whether a use was a volume's last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Yes,
    No,
}

fn lookup(table: &BTreeMap<VolumeName, Entry>, name: &str) -> Result<VolumeName, Error> {
    let missing = || Error::NotFound(name.to_owned());
    let name: VolumeName = name.parse().ok().ok_or_else(missing)?;
    match table.contains_key(&name) {
        true => Ok(name),
        false => Err(missing()),
    }
}

fn load(root: &Path) -> Result<BTreeMap<VolumeName, Entry>, Error> {
    let mut table = BTreeMap::new();
    for folder in fs::read_dir(root).map_err(Error::host("read", root))? {
        let folder = folder.map_err(Error::host("read", root))?.path();
        if !folder.join(RECORD).exists() {
            warn!(path = %folder.display(), "a half-made volume is removed");
            discard(&folder).ok();
            continue;
        }
        match hakone_store::load::<Record>(&folder.join(RECORD)) {
            Ok(record) => {
                let entry = Entry::new(record);
                table.insert(entry.record.name.clone(), entry);
            }
            Err(error) => error!(error = %error, "an unreadable volume is left alone"),
        }
    }
    Ok(table)
}

/// Removes a volume's folder, the record first: what is left of it after a crash is then nobody's.
fn discard(folder: &Path) -> io::Result<()> {
    let files = folder.join(FILES);
    crate::mount::detach(&files).ok();
    if crate::mount::is_mounted(&files) {
        // What is mounted there is somebody's: nothing below it may be removed.
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    match fs::remove_file(folder.join(RECORD)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => fs::remove_dir_all(folder),
    }
}

fn make_folder(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o711).create(path);
    made.map_err(Error::host("make", path))
}

/// The files' own folder is open to all, as in Docker; its parent is not.
fn make_files(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o755).create(path);
    made.map_err(Error::host("make", path))
}

fn is_empty(path: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(path)?.next().is_none())
}

/// Adds up the bytes of the files below a folder, without following links.
fn folder_size(path: &Path) -> u64 {
    let mut total = 0;
    let mut open = vec![path.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => open.push(entry.path()),
                Ok(metadata) => total += metadata.len(),
                Err(_) => (),
            }
        }
    }
    total
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Closing),
    }
}
