//! Remembers on disk what tags meant, so that a roll-back is noticed after any number of restarts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use hakone_base::ImageRef;
use hakone_registry_model::{Sighting, TagHistory, Verdict};
use hakone_store::{Durability, Record};
use serde::{Deserialize, Serialize};
use tracing::error;

use crate::Error;

/// Tags that are remembered; beyond, those that were not seen for longest are forgotten.
const MOST: usize = 10_000;

/// The file of all tags' pasts.
#[derive(Debug)]
pub(crate) struct TagFile {
    path: PathBuf,
    tags: Mutex<BTreeMap<String, TagHistory>>,
}

#[derive(Default, Serialize, Deserialize)]
struct TagsRecord {
    tags: BTreeMap<String, TagHistory>,
}

impl Record for TagsRecord {
    const SCHEMA: u32 = 1;
}

impl TagFile {
    /// Reads the file; one that cannot be read is set aside and said, as its loss is a loss of memory alone.
    pub(crate) fn open(root: &Path) -> Self {
        let path = root.join("image-tags.json");
        hakone_store::discard_torn(&path);
        let loaded = match path.exists() {
            true => hakone_store::load::<TagsRecord>(&path),
            false => Ok(TagsRecord::default()),
        };
        let record = loaded.unwrap_or_else(|failed| {
            let aside = path.with_extension("unreadable");
            let kept = std::fs::rename(&path, &aside).is_ok();
            error!(error = %failed, kept, "what tags meant before is forgotten: a roll-back may go unnoticed once");
            TagsRecord::default()
        });
        Self {
            path,
            tags: Mutex::new(record.tags),
        }
    }

    /// Judges what a registry serves for a tag.
    pub(crate) fn judge(&self, name: &ImageRef, sighting: &Sighting) -> Verdict {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.get(&key(name))
            .map_or(Verdict::Fine, |history| history.judge(sighting))
    }

    /// Remembers it.
    pub(crate) fn remember(&self, name: &ImageRef, sighting: Sighting) -> Result<(), Error> {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.entry(key(name)).or_default().remember(sighting);
        while tags.len() > MOST {
            let seen = |history: &TagHistory| history.last().map(|last| last.seen);
            let oldest = tags.iter().min_by_key(|(_, history)| seen(history));
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                break;
            };
            tags.remove(&oldest);
        }
        let record = TagsRecord { tags: tags.clone() };
        Ok(hakone_store::save(&self.path, &record, Durability::Power)?)
    }
}

fn key(name: &ImageRef) -> String {
    format!(
        "{}/{}:{}",
        name.domain(),
        name.path(),
        name.tag().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use hakone_base::{Digest, Timestamp};

    use super::*;

    fn sighting(name: &str, at: i64) -> Sighting {
        let time = Timestamp::from_nanos(at * 1_000_000_000);
        Sighting {
            digest: Digest::of(name.as_bytes()),
            created: time,
            seen: time,
        }
    }

    #[test]
    fn a_restart_does_not_forget() {
        let root = tempfile::tempdir().unwrap();
        let name: ImageRef = "app:1".parse().unwrap();
        let file = TagFile::open(root.path());
        file.remember(&name, sighting("a", 1)).unwrap();
        file.remember(&name, sighting("b", 2)).unwrap();
        let again = TagFile::open(root.path());
        assert!(matches!(
            again.judge(&name, &sighting("a", 1)),
            Verdict::RolledBack { .. }
        ));
        assert_eq!(
            again.judge(&"app:2".parse().unwrap(), &sighting("a", 1)),
            Verdict::Fine
        );
    }

    #[test]
    fn an_unreadable_file_is_set_aside() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("image-tags.json");
        hakone_store::write_atomic(&path, b"{torn", Durability::Process).unwrap();
        let file = TagFile::open(root.path());
        file.remember(&"app:1".parse().unwrap(), sighting("a", 1))
            .unwrap();
        assert!(root.path().join("image-tags.unreadable").exists());
    }
}
