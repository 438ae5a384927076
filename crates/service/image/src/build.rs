//! What a builder makes: a folder becomes a layer as it is, a document and layers become an image.
//!
//! The files of a new layer are not copied: their folder is moved into the store once its tar, which gives the layer its
//! digest, was written beside it. Images of steps are hidden, and stay as long as the builder says that it keeps them.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read as _, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use hakone_base::{Digest, ImageRef};
use hakone_image_model::{Descriptor, Image, RootFs};
use hakone_tar::BlockingReader;
use sha2::{Digest as _, Sha256};

use crate::{
    Error, Service,
    catalog::Entry,
    inner::{Inner, now},
    record::{ImageRecord, LayerRecord},
    stage::{Area, Staged, StagedLayer},
};

/// An image of a step: another image's layers, one more or none, and a document.
#[derive(Debug)]
pub struct Step {
    /// The image whose layers lie below; none for an image from scratch.
    pub parent: Option<Digest>,
    /// What comes on top of them.
    pub top: Top,
    /// The document. Its layers, and whether its last step has one, are set here.
    pub image: Image,
    /// Whether people see the image.
    pub visible: bool,
    /// The names it gets.
    pub names: Vec<ImageRef>,
}

/// What comes on top of the layers below.
#[derive(Debug)]
pub enum Top {
    /// Nothing.
    Nothing,
    /// A folder as an overlay fills it, which is moved away; one without entries counts as nothing.
    Folder {
        /// Where it is, on the file system of the store.
        path: PathBuf,
    },
    /// A layer that another image has.
    Known(Digest),
    /// A layer that comes from elsewhere; it is taken when it is what was said of it.
    Lent {
        /// The digest of its tar.
        diff_id: Digest,
        /// Its blob.
        blob: Descriptor,
        /// The blob's bytes.
        source: BlockingReader,
    },
}

/// An image as a builder goes on from it.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The image's id.
    pub id: Digest,
    /// Its document.
    pub image: Arc<Image>,
}

impl Service {
    /// Finds an image to build upon, hidden ones included.
    ///
    /// # Errors
    /// When there is no such image, or parts of it are missing.
    pub fn ground(&self, text: &str) -> Result<Ground, Error> {
        let id = self.resolve(text)?.id;
        let catalog = self.inner().catalog();
        let missing = || Error::NotFound(text.to_owned());
        let entry = catalog.images.get(&id).ok_or_else(missing)?;
        let store = &self.inner().store;
        match store.is_whole(&entry.record) {
            true => Ok(ground(entry)),
            false => Err(missing()),
        }
    }

    /// Gives the folders of an image's layers, lowest first.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn layers(&self, id: &Digest) -> Result<Vec<PathBuf>, Error> {
        let catalog = self.inner().catalog();
        let entry = catalog.images.get(id);
        let entry = entry.ok_or_else(|| Error::NotFound(id.to_string()))?;
        Ok(self.inner().folders(&entry.record))
    }

    /// Finds an image that stands on another one which is all there: of its own only what comes on top is looked for on the disk.
    ///
    /// # Errors
    /// When there is no such image, or parts of it are missing.
    pub fn ground_above(&self, id: &Digest, below: &Digest) -> Result<Ground, Error> {
        let catalog = self.inner().catalog();
        let missing = || Error::NotFound(id.to_string());
        let entry = catalog.images.get(id).ok_or_else(missing)?;
        let below = catalog.images.get(below);
        let known = below.map_or(&[][..], |below| &below.record.layers);
        match self.inner().store.is_whole_above(&entry.record, known) {
            true => Ok(ground(entry)),
            false => Err(missing()),
        }
    }

    /// Reports whether people see an image.
    #[must_use]
    pub fn is_visible(&self, id: &Digest) -> bool {
        let catalog = self.inner().catalog();
        catalog
            .images
            .get(id)
            .is_some_and(|entry| !entry.record.hidden)
    }

    /// Takes an image in; `claim` learns its id before anybody can forget it. Finished even when the caller leaves.
    ///
    /// # Errors
    /// When a layer below is gone, or the disk fails.
    pub async fn enter_step(
        &self,
        step: Step,
        claim: impl FnOnce(&Digest) + Send + 'static,
    ) -> Result<Ground, Error> {
        self.work(move |inner| {
            let (id, names) = enter(inner, step, claim)?;
            for name in names {
                inner.announce("tag", &id, &name.to_string());
            }
            let catalog = inner.catalog();
            let missing = || Error::NotFound(id.to_string());
            let entry = catalog.images.get(&id).ok_or_else(missing)?;
            Ok(ground(entry))
        })
        .await
    }

    /// Shows an image of a step to people, under these names.
    ///
    /// # Errors
    /// When it is gone, or the disk fails.
    pub async fn publish(&self, id: &Digest, names: Vec<ImageRef>) -> Result<(), Error> {
        if self.inner().catalog().shows(id, &names) {
            // Built anew, nothing new: the disk has it all.
            let announce = |name: &ImageRef| self.inner().announce("tag", id, &name.to_string());
            names.iter().for_each(announce);
            return Ok(());
        }
        let id = id.clone();
        self.work(move |inner| {
            let _changing = inner.change();
            inner.show(&id)?;
            for name in names {
                inner.add_name(&name, &id)?;
                inner.announce("tag", &id, &name.to_string());
            }
            Ok(())
        })
        .await
    }
}

fn ground(entry: &Entry) -> Ground {
    Ground {
        id: entry.record.id.clone(),
        image: Arc::clone(&entry.image),
    }
}

fn enter(
    inner: &Inner,
    step: Step,
    claim: impl FnOnce(&Digest),
) -> Result<(Digest, Vec<ImageRef>), Error> {
    let area = Area::new(&inner.store)?;
    let mut layers = below(inner, step.parent.as_ref())?;
    let staged = top(inner, &area, step.top)?;
    layers.extend(staged.iter().map(|layer| layer.record.clone()));
    let mut image = step.image;
    image.rootfs = RootFs {
        kind: "layers".to_owned(),
        diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(),
    };
    if let Some(last) = image.history.iter_mut().flatten().next_back() {
        last.empty_layer = staged.is_none();
    }
    let config = image.print()?;
    let id = Digest::of(&config);
    claim(&id);
    let staged = Staged {
        entry: Entry {
            record: ImageRecord {
                id: id.clone(),
                manifest: None,
                layers,
                tagged: now(),
                hidden: !step.visible,
                outgoing: None,
            },
            image: Arc::new(image),
        },
        config: area.document(&config)?,
        manifest: None,
        layers: staged.into_iter().collect(),
    };
    let _changing = inner.change();
    inner.commit_step(staged, &step.names)?;
    Ok((id, step.names))
}

/// Gives the layers of the image below; all of them must still be there.
fn below(inner: &Inner, parent: Option<&Digest>) -> Result<Vec<LayerRecord>, Error> {
    let Some(parent) = parent else {
        return Ok(Vec::new());
    };
    let catalog = inner.catalog();
    let entry = catalog.images.get(parent);
    let entry = entry.ok_or_else(|| Error::NotFound(parent.to_string()))?;
    Ok(entry.record.layers.clone())
}

fn top(inner: &Inner, area: &Area, top: Top) -> Result<Option<StagedLayer>, Error> {
    match top {
        Top::Nothing => Ok(None),
        Top::Known(diff_id) => Ok(Some(StagedLayer::known(inner.stored(&diff_id)?))),
        Top::Lent {
            diff_id,
            blob,
            source,
        } => lent(inner, area, (diff_id, blob), source).map(Some),
        Top::Folder { path } => adopt(area, &path),
    }
}

/// Reads a layer of a stranger: exactly the bytes and the tar that were announced, or none.
fn lent(
    inner: &Inner,
    area: &Area,
    (diff_id, blob): (Digest, Descriptor),
    source: BlockingReader,
) -> Result<StagedLayer, Error> {
    let mut source = source.take(blob.size.saturating_add(1));
    let staged = area.layer(&mut source, &inner.limits, &mut |_| {})?;
    let found = &staged.record;
    match found.blob == blob.digest && found.blob_size == blob.size && found.diff_id == diff_id {
        true => Ok(staged),
        false => Err(Error::LayerDigest(blob.digest)),
    }
}

/// Moves a folder into the staging area and writes its tar beside it.
fn adopt(area: &Area, folder: &Path) -> Result<Option<StagedLayer>, Error> {
    let place = area.path("layer");
    fs::rename(folder, &place).map_err(Error::disk("move", folder))?;
    let blob = area.path("blob");
    let (measured, packed) = pack(&place, &blob)?;
    let record = LayerRecord {
        diff_id: measured.digest.clone(),
        blob: measured.digest,
        blob_size: measured.size,
        media_type: hakone_image_model::Compression::None
            .layer_type()
            .to_owned(),
        size: packed.bytes,
    };
    let layer = StagedLayer::made(record, blob, place);
    Ok((packed.entries > 0).then_some(layer))
}

struct Measured {
    digest: Digest,
    size: u64,
}

fn pack(folder: &Path, blob: &Path) -> Result<(Measured, hakone_tar::Packed), Error> {
    let file = File::create_new(blob).map_err(Error::disk("make", blob))?;
    let mut out = BufWriter::with_capacity(256 * 1024, Hashing::new(file));
    let packed = hakone_tar::upper(folder, &mut out).map_err(|error| Error::Write {
        doing: "pack",
        member: String::new(),
        source: io::Error::other(error),
    })?;
    let hashing = out
        .into_inner()
        .map_err(|error| Error::disk("write", blob)(error.into_error()))?;
    let measured = Measured {
        size: hashing.size,
        digest: Digest::from_bytes(hashing.hasher.finalize().into()),
    };
    Ok((measured, packed))
}

/// Writes to a file and hashes on the way.
struct Hashing {
    file: File,
    hasher: Sha256,
    size: u64,
}

impl Hashing {
    fn new(file: File) -> Self {
        Self {
            file,
            hasher: Sha256::new(),
            size: 0,
        }
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
