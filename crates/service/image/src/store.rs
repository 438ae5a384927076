//! Where images lie on disk, and the only code that moves them there or away.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use hakone_base::{Digest, ImageRef, Timestamp};
use hakone_image_model::{Image, Limits};
use hakone_store::Durability;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use tracing::{debug, error, warn};

use crate::{
    Error,
    catalog::{Catalog, Entry},
    names::{Fate, NamesFile},
    pin::Pins,
    record::{ImageRecord, LayerRecord},
    usage::Kept,
};

/// The folders under the data root.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    names: NamesFile,
    next: AtomicU64,
    /// Whether some image could not be read.
    keeps_all: AtomicBool,
    /// Who else needs blobs.
    keeper: Option<Kept>,
    /// What operations that run count on.
    pub(crate) pins: Pins,
}

impl Store {
    /// Makes the folders and removes what a killed daemon left half-made.
    pub(crate) fn open(root: &Path, keeper: Option<Kept>) -> Result<Self, Error> {
        let store = Self {
            root: root.to_owned(),
            names: NamesFile::new(root),
            next: AtomicU64::new(0),
            keeps_all: AtomicBool::new(false),
            keeper,
            pins: Pins::default(),
        };
        let staging = store.staging();
        remove_tree(&staging).map_err(Error::disk("clear", &staging))?;
        for folder in [store.blobs(), store.layers(), store.records(), staging] {
            fs::create_dir_all(&folder).map_err(Error::disk("make", &folder))?;
        }
        spread(&store.staging());
        Ok(store)
    }

    /// Reads all records; an unreadable image costs itself and nothing else.
    pub(crate) fn load(&self, limits: &Limits) -> Result<Catalog, Error> {
        let folder = self.records();
        let (records, unreadable) =
            hakone_store::load_all::<ImageRecord>(&folder).map_err(Error::disk("read", &folder))?;
        for error in &unreadable {
            self.leave_out(error);
        }
        let mut catalog = Catalog::default();
        for record in records {
            match self.entry(record, limits) {
                Ok(entry) => drop(catalog.images.insert(entry.record.id.clone(), entry)),
                Err(error) => self.leave_out(&error),
            }
        }
        catalog.names = self.names.load(|id| self.fate(&catalog, id));
        Ok(catalog)
    }

    fn entry(&self, mut record: ImageRecord, limits: &Limits) -> Result<Entry, Error> {
        let noted = fs::metadata(self.record(&record.id)).and_then(|file| file.modified());
        record.tagged = noted.map_or(record.tagged, Timestamp::from);
        let path = self.blob(&record.id);
        let config = fs::read(&path).map_err(Error::disk("read", &path))?;
        let image = Arc::new(Image::parse(&config, limits)?);
        Ok(Entry { record, image })
    }

    /// Finds what became of the image that a name means.
    fn fate(&self, catalog: &Catalog, id: &Digest) -> Fate {
        match (catalog.images.contains_key(id), self.record(id).exists()) {
            (true, _) => Fate::Known,
            (false, true) => Fate::Waiting,
            (false, false) => Fate::Gone,
        }
    }

    /// Writes an image's record.
    pub(crate) fn save(&self, record: &ImageRecord) -> Result<(), Error> {
        let path = self.record(&record.id);
        hakone_store::save(&path, record, Durability::Power)?;
        self.note_tagged(record);
        Ok(())
    }

    /// Keeps the time of an image's last name as that of its record's file, so that a name costs no write of the record. Lost in a
    /// power cut it is an older time, no more.
    pub(crate) fn note_tagged(&self, record: &ImageRecord) {
        let file = File::open(self.record(&record.id));
        let noted = file.and_then(|file| file.set_modified(record.tagged.into()));
        if let Err(error) = noted {
            debug!(%error, image.id = %record.id, "the time of a name is not kept");
        }
    }

    /// Writes all names; `lost` is what some of them meant until now.
    pub(crate) fn save_names(
        &self,
        names: &BTreeMap<ImageRef, Digest>,
        lost: &[(ImageRef, Digest)],
    ) -> Result<(), Error> {
        self.names.save(names, lost)
    }

    /// Removes an image's record; one that is gone already is as good.
    pub(crate) fn forget(&self, id: &Digest) -> Result<(), Error> {
        let path = self.record(id);
        absent_is_fine(fs::remove_file(&path)).map_err(Error::disk("remove", &path))
    }

    /// Puts a staged file or folder in its place, unless it is there already: equal names have equal content.
    pub(crate) fn install(staged: &Path, place: &Path) -> Result<(), Error> {
        match place.exists() {
            true => Ok(()),
            false => fs::rename(staged, place).map_err(Error::disk("install", place)),
        }
    }

    /// Its layers may be under a running container, and a record may become readable again: nothing is swept any more.
    fn leave_out(&self, error: &dyn std::fmt::Display) {
        error!(%error, "image left out");
        self.keeps_all.store(true, Ordering::Relaxed);
    }

    /// Removes the layers and blobs that no image needs; what cannot be removed is reported and tried again next time.
    pub(crate) fn sweep(&self, catalog: &Catalog) {
        if self.keeps_all.load(Ordering::Relaxed) {
            return;
        }
        let (layers, blobs) = (catalog.layers(), catalog.blobs());
        for path in Self::unneeded(&self.layers(), |digest| layers.contains(digest)) {
            self.sweep_one(&path);
        }
        for path in Self::unneeded(&self.blobs(), |digest| blobs.contains(digest)) {
            match (&self.keeper, digest_of(&path)) {
                (Some(keeper), Some(blob)) => {
                    keeper.0.unless_kept(&blob, &mut || self.sweep_one(&path));
                }
                _ => self.sweep_one(&path),
            }
        }
    }

    fn unneeded(folder: &Path, needed: impl Fn(&Digest) -> bool) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| !digest_of(path).is_some_and(|digest| needed(&digest)));
        paths
    }

    fn sweep_one(&self, path: &Path) {
        if let Err(error) = self.discard(path) {
            warn!(path = %path.display(), error = %error, "unused part of an image not removed");
        }
    }

    /// Moves a thing into the staging folder first, so that a crash half-way leaves nothing that looks whole.
    fn discard(&self, path: &Path) -> io::Result<()> {
        let trash = self.staged("trash");
        let moved = self
            .pins
            .unless_held(digest_of(path).as_ref(), || fs::rename(path, &trash));
        match moved {
            Some(moved) => moved.and_then(|()| remove_tree(&trash)),
            None => Ok(()),
        }
    }

    /// Reports whether all layers and blobs of an image are there.
    pub(crate) fn is_whole(&self, record: &ImageRecord) -> bool {
        self.is_whole_above(record, &[])
    }

    /// The same where the lowest layers may be known to be there.
    pub(crate) fn is_whole_above(&self, record: &ImageRecord, known: &[LayerRecord]) -> bool {
        let unknown = record.layers.strip_prefix(known);
        let mut unknown = unknown.unwrap_or(&record.layers).iter();
        let manifest = record.manifest.as_ref();
        manifest.is_none_or(|digest| self.blob(digest).exists())
            && unknown
                .all(|layer| self.layer(&layer.diff_id).exists() && self.blob(&layer.blob).exists())
    }

    /// Gives a path in the staging folder that nobody has used.
    pub(crate) fn staged(&self, what: &str) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.staging().join(format!("{what}-{number}"))
    }

    /// Gives the place of a blob.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Gives the place of an unpacked layer.
    pub(crate) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }

    fn record(&self, id: &Digest) -> PathBuf {
        self.records().join(format!("{}.json", id.hex()))
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    fn records(&self) -> PathBuf {
        self.root.join("images")
    }

    fn staging(&self) -> PathBuf {
        self.root.join("image-staging")
    }
}

/// Tells the file system that the folders in this one have nothing to do with each other (`chattr +T`).
///
/// ext4 puts the files of neighbours close together, and passes over each inode that was freed in the last minute: after an image
/// was removed, unpacking one beside it took four times as long. Elsewhere it means nothing, and is no failure.
fn spread(folder: &Path) {
    let told = File::open(folder).and_then(|folder| {
        let flags = ioctl_getflags(&folder)?;
        Ok(ioctl_setflags(&folder, flags | IFlags::TOPDIR)?)
    });
    if let Err(error) = told {
        debug!(%error, "the file system spreads no folders");
    }
}

/// Removes a file or a folder with all it holds; nothing there is as good.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let gone = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => hakone_mount::remove_tree(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    absent_is_fine(gone)
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn digest_of(path: &Path) -> Option<Digest> {
    let name = path.file_name()?.to_str()?;
    format!("sha256:{name}").parse().ok()
}
