//! The table of all names on disk, in two copies.
//!
//! All names stand in one file so that a name moves between images in one step; so one bad block would cost all of them.
//! Hence the second copy, written after the first: it is the same, or one change behind when the daemon was killed between
//! the two. What cannot be read is set aside and reported, never overwritten.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use hakone_base::{Digest, ImageRef};
use hakone_store::Durability;
use tracing::{error, warn};

use crate::{Error, record::NamesRecord};

/// Where the names are kept.
#[derive(Debug)]
pub(crate) struct NamesFile {
    copies: [PathBuf; 2],
    /// Names of images that are there but could not be read: they come back with them.
    waiting: Mutex<BTreeMap<String, Digest>>,
}

/// What becomes of a name whose image was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its image is known.
    Known,
    /// Its image could not be read.
    Waiting,
    /// Its image is gone.
    Gone,
}

impl NamesFile {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            copies: ["image-names.json", "image-names.copy.json"].map(|name| root.join(name)),
            waiting: Mutex::default(),
        }
    }

    /// Reads the names from the first copy that can be read.
    pub(crate) fn load(&self, fate: impl Fn(&Digest) -> Fate) -> BTreeMap<ImageRef, Digest> {
        for path in &self.copies {
            hakone_store::discard_torn(path);
        }
        let mut torn = false;
        for path in self.copies.iter().filter(|path| path.exists()) {
            match hakone_store::load::<NamesRecord>(path) {
                Ok(record) => return self.sort(record, fate),
                Err(error) => set_aside(path, &error),
            }
            torn = true;
        }
        if torn {
            error!("no image has a name until it is tagged again");
        }
        BTreeMap::new()
    }

    fn sort(
        &self,
        record: NamesRecord,
        fate: impl Fn(&Digest) -> Fate,
    ) -> BTreeMap<ImageRef, Digest> {
        let mut names = BTreeMap::new();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, id) in record.names {
            // Killed before the image was there: the name means what it meant before.
            let id = match (fate(&id), record.former.get(&name)) {
                (Fate::Gone, Some(former)) => former.clone(),
                _ => id,
            };
            match (name.parse(), fate(&id)) {
                (Ok(name), Fate::Known) => drop(names.insert(name, id)),
                (_, Fate::Gone) => {}
                (Err(_), Fate::Known) | (_, Fate::Waiting) => {
                    warn!(image.ref = name, "a name is kept for an image left out");
                    waiting.insert(name, id);
                }
            }
        }
        names
    }

    /// Writes all names, and those that wait, unless another image has them now; `lost` is what some of them meant before.
    pub(crate) fn save(
        &self,
        names: &BTreeMap<ImageRef, Digest>,
        lost: &[(ImageRef, Digest)],
    ) -> Result<(), Error> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = waiting.clone();
        drop(waiting);
        all.extend(
            names
                .iter()
                .map(|(name, id)| (name.to_string(), id.clone())),
        );
        let former = lost.iter().map(|(name, id)| (name.to_string(), id.clone()));
        let record = NamesRecord {
            names: all,
            former: former.collect(),
        };
        for path in &self.copies {
            hakone_store::save(path, &record, Durability::Power)?;
        }
        Ok(())
    }
}

/// Moves an unreadable file out of the way, under a name that none has.
fn set_aside(path: &Path, why: &hakone_store::Error) {
    let names = (1..).map(|number| path.with_extension(format!("unreadable-{number}")));
    let free = names.into_iter().find(|aside: &PathBuf| !aside.exists());
    let aside = free.unwrap_or_default();
    match fs::rename(path, &aside) {
        Ok(()) => {
            error!(error = %why, aside = %aside.display(), "unreadable names set aside, the other copy counts");
        }
        Err(failed) => error!(error = %why, %failed, "unreadable names could not be set aside"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn saved(root: &Path) -> BTreeMap<ImageRef, Digest> {
        let names = BTreeMap::from([
            ("app:1".parse().unwrap(), id("app")),
            ("db:1".parse().unwrap(), id("db")),
        ]);
        NamesFile::new(root).save(&names, &[]).unwrap();
        names
    }

    fn tear(root: &Path, name: &str) {
        hakone_store::write_atomic(&root.join(name), b"{torn", Durability::Process).unwrap();
    }

    fn known(_: &Digest) -> Fate {
        Fate::Known
    }

    #[test]
    fn either_copy_alone_brings_all_names_back() {
        for torn in ["image-names.json", "image-names.copy.json"] {
            let root = tempfile::tempdir().unwrap();
            let names = saved(root.path());
            tear(root.path(), torn);
            let file = NamesFile::new(root.path());
            assert_eq!(file.load(known), names, "{torn}");
            file.save(&names, &[]).unwrap();
            assert_eq!(NamesFile::new(root.path()).load(known), names, "{torn}");
        }
    }

    #[test]
    fn a_torn_write_of_either_copy_is_swept() {
        let root = tempfile::tempdir().unwrap();
        saved(root.path());
        for name in [".image-names.json.new", ".image-names.copy.json.new"] {
            fs::copy(root.path().join("image-names.json"), root.path().join(name)).unwrap();
        }
        NamesFile::new(root.path()).load(known);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_set_aside_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        saved(root.path());
        for round in 1..=2 {
            tear(root.path(), "image-names.json");
            tear(root.path(), "image-names.copy.json");
            assert!(NamesFile::new(root.path()).load(known).is_empty());
            let aside = root.path().join(format!("image-names.unreadable-{round}"));
            assert_eq!(fs::read(aside).unwrap(), b"{torn");
        }
    }

    #[test]
    fn an_image_left_out_keeps_its_names_until_it_is_back() {
        let root = tempfile::tempdir().unwrap();
        let names = saved(root.path());
        let file = NamesFile::new(root.path());
        let left_out = |image: &Digest| match *image == id("db") {
            true => Fate::Waiting,
            false => Fate::Known,
        };
        let mut present = file.load(left_out);
        assert_eq!(present.len(), 1);
        present.insert("more:1".parse().unwrap(), id("app"));
        file.save(&present, &[]).unwrap();
        let again = NamesFile::new(root.path()).load(known);
        assert_eq!(again.len(), 3);
        assert!(names.keys().all(|name| again.contains_key(name)));
    }

    #[test]
    fn names_of_what_is_gone_go_and_a_name_given_anew_is_not_taken_back() {
        let root = tempfile::tempdir().unwrap();
        saved(root.path());
        let gone = NamesFile::new(root.path()).load(|_| Fate::Gone);
        assert!(gone.is_empty());
        let file = NamesFile::new(root.path());
        file.load(|_| Fate::Waiting);
        let moved = BTreeMap::from([("app:1".parse().unwrap(), id("other"))]);
        file.save(&moved, &[]).unwrap();
        let again = NamesFile::new(root.path()).load(known);
        assert_eq!(again[&"app:1".parse().unwrap()], id("other"));
    }

    #[test]
    fn a_name_of_an_image_that_never_came_means_what_it_meant() {
        let root = tempfile::tempdir().unwrap();
        let [old, new]: [ImageRef; 2] = ["app:1", "new:1"].map(|name| name.parse().unwrap());
        let names = [&old, &new].map(|name| (name.clone(), id("never")));
        let lost = [(old.clone(), id("app"))];
        let file = NamesFile::new(root.path());
        file.save(&names.into(), &lost).unwrap();
        let fate = |image: &Digest| match *image == id("never") {
            true => Fate::Gone,
            false => Fate::Known,
        };
        let before = BTreeMap::from(lost);
        assert_eq!(NamesFile::new(root.path()).load(fate), before);
        let after = NamesFile::new(root.path()).load(known);
        assert!(after[&old] == id("never") && after[&new] == id("never"));
    }
}
