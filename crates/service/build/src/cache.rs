//! What steps gave, by their keys. A record names an image in the store, which stays as long as the record does.
//!
//! Nothing is counted: when a result was used last is the time of its file, to the minute, and who stands on it the store derives.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use hakone_base::{Digest, Timestamp};
use hakone_build_model::Key;
use hakone_store::{Durability, Record};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::Error;

/// Results that are remembered at most; the oldest go first.
const MOST: usize = 20_000;

/// A result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Under which key.
    pub(crate) key: Digest,
    /// The key before it.
    pub(crate) parent: Digest,
    /// The image that has it, when it made a layer or was needed as an image.
    pub(crate) image: Option<Digest>,
    /// When it was made, as the history of the image says.
    pub(crate) created: String,
    /// What the step says.
    pub(crate) text: String,
    /// Bytes that it added.
    pub(crate) size: u64,
    /// When it was made.
    pub(crate) made: Timestamp,
}

impl Record for Entry {
    const SCHEMA: u32 = 1;
}

/// All results.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    entries: Mutex<BTreeMap<Digest, (Entry, Timestamp)>>,
    /// Images of builds that are under way, by how many steps hold them.
    held: Mutex<HashMap<Digest, usize>>,
}

impl Cache {
    /// Reads what a former daemon remembered; an unreadable record is a result that is forgotten.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(Error::disk("make", &folder))?;
        let loaded = hakone_store::load_all::<Entry>(&folder);
        let (records, unreadable) = loaded.map_err(Error::disk("read", &folder))?;
        for error in unreadable {
            warn!(%error, "a result of a build is forgotten");
        }
        let used = |entry: &Entry| {
            let file = fs::metadata(path(&folder, &entry.key)).and_then(|file| file.modified());
            file.map_or(entry.made, Timestamp::from)
        };
        let entries = records.into_iter().map(|entry| {
            let used = used(&entry);
            (entry.key.clone(), (entry, used))
        });
        Ok(Self {
            entries: Mutex::new(entries.collect()),
            folder,
            held: Mutex::default(),
        })
    }

    /// Finds a result, and notes that it was used.
    pub(crate) fn find(&self, key: &Key) -> Option<Entry> {
        let mut entries = self.entries();
        let (entry, used) = entries.get_mut(key.digest())?;
        let now = now();
        let before = std::mem::replace(used, now);
        // The next daemon knows it to the minute; a time that is lost makes the result look older, no more.
        if now.seconds() / 60 != before.seconds() / 60 {
            let file = fs::File::open(path(&self.folder, key.digest()));
            file.and_then(|file| file.set_modified(now.into())).ok();
        }
        Some(entry.clone())
    }

    /// Remembers a result.
    pub(crate) fn keep(&self, entry: Entry) -> Result<(), Error> {
        // Two builds may come to the same result at once, and a record has one writer at a time.
        let mut entries = self.entries();
        // Lost in a power cut it is only made again.
        hakone_store::save(&path(&self.folder, &entry.key), &entry, Durability::Process)?;
        entries.insert(entry.key.clone(), (entry, now()));
        let many = entries.len().saturating_sub(MOST);
        let mut oldest: Vec<(Timestamp, Digest)> = match many {
            0 => Vec::new(),
            _ => entries
                .iter()
                .map(|(key, (_, used))| (*used, key.clone()))
                .collect(),
        };
        oldest.sort_unstable();
        let oldest: Vec<Digest> = oldest.into_iter().take(many).map(|(_, key)| key).collect();
        for key in oldest {
            entries.remove(&key);
            fs::remove_file(path(&self.folder, &key)).ok();
        }
        Ok(())
    }

    /// Forgets results.
    pub(crate) fn forget(&self, keys: &BTreeSet<Digest>) {
        let mut entries = self.entries();
        for key in keys {
            entries.remove(key);
            if let Err(error) = fs::remove_file(path(&self.folder, key)) {
                warn!(digest = %key, %error, "the record of a result was not removed");
            }
        }
    }

    /// Lists all results with the times of their last use.
    pub(crate) fn all(&self) -> Vec<(Entry, Timestamp)> {
        self.entries().values().cloned().collect()
    }

    /// Lists the images that must stay.
    pub(crate) fn images(&self) -> Vec<Digest> {
        let mut images: BTreeSet<Digest> = self.held().keys().cloned().collect();
        let entries = self.entries();
        images.extend(
            entries
                .values()
                .filter_map(|(entry, _)| entry.image.clone()),
        );
        images.into_iter().collect()
    }

    /// Keeps an image while a build stands on it.
    pub(crate) fn hold(&self, image: &Digest) {
        *self.held().entry(image.clone()).or_default() += 1;
    }

    /// Lets it go.
    pub(crate) fn release(&self, image: &Digest) {
        let mut held = self.held();
        if let Some(count) = held.get_mut(image) {
            *count -= 1;
            if *count == 0 {
                held.remove(image);
            }
        }
    }

    /// Reports whether a build stands on an image.
    pub(crate) fn is_held(&self, image: &Digest) -> bool {
        self.held().contains_key(image)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Digest, (Entry, Timestamp)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path(folder: &Path, key: &Digest) -> PathBuf {
    folder.join(format!("{}.json", key.hex()))
}

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seed: &str) -> Entry {
        Entry {
            key: Digest::of(seed.as_bytes()),
            parent: Digest::of(b"parent"),
            image: Some(Digest::of(b"image")),
            created: "2026-01-01T00:00:00Z".to_owned(),
            text: seed.to_owned(),
            size: 1,
            made: Timestamp::NEVER,
        }
    }

    #[test]
    fn two_builds_may_keep_the_same_result_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().to_owned()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..200).for_each(|_| cache.keep(entry("same")).unwrap()));
            }
        });
        assert_eq!(cache.all().len(), 1);
    }

    #[test]
    fn results_survive_the_daemon_and_can_be_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().to_owned()).unwrap();
        cache.keep(entry("a")).unwrap();
        let again = Cache::open(folder.path().to_owned()).unwrap();
        let key = Key::from(Digest::of(b"a"));
        assert_eq!(again.find(&key), Some(entry("a")));
        again.forget(&BTreeSet::from([Digest::of(b"a")]));
        assert_eq!(again.find(&key), None);
        assert!(
            Cache::open(folder.path().to_owned())
                .unwrap()
                .all()
                .is_empty()
        );
    }

    #[test]
    fn an_image_stays_while_a_step_or_a_result_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().to_owned()).unwrap();
        let image = Digest::of(b"other");
        cache.hold(&image);
        cache.hold(&image);
        cache.release(&image);
        assert_eq!(cache.images(), std::slice::from_ref(&image));
        cache.release(&image);
        assert!(cache.images().is_empty() && !cache.is_held(&image));
        cache.keep(entry("a")).unwrap();
        assert_eq!(cache.images(), [Digest::of(b"image")]);
    }
}
