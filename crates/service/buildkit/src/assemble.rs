//! Puts the images of a build together as a client wants them: packed, annotated, attested, for several platforms in one index.
//!
//! The engine keeps layers as they came or as they were made (decision 8). Another packing means other digests, known only when
//! the last byte is packed, so all of it lies in a folder of its own meanwhile. Configs stay: they speak of the tars inside. What
//! stands there goes to the client as a layout, or to a registry: blobs, then manifests, then what ties them together.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use flate2::write::GzEncoder;
use hakone_base::{Digest, ImageRef};
use hakone_buildkit_model::{Member, Noted, Notes, Packing, Statement, Whole, tie, top};
use hakone_image_model::{Compression, Descriptor, Index, Limits, Manifest, MediaType, Platform};
use hakone_tar::{ChunkReader, Inflated};
use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    attest::member,
    neighbour::{Delivery, Reader},
    receive::Scratch,
};

/// Where blobs are in a layout.
const BLOBS: &str = "blobs/sha256/";

/// How a client wants images.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    /// How layers are packed; none for as they are.
    pub(crate) packing: Option<Packing>,
    /// What is noted.
    pub(crate) notes: Notes,
    /// Whether an index names them, though there be one alone.
    pub(crate) several: bool,
}

/// One image, as it comes out of the store.
pub(crate) struct Piece {
    /// A layout of it alone.
    pub(crate) source: Reader,
    /// What it was built for.
    pub(crate) platform: Platform,
    /// What is said of it.
    pub(crate) statements: Vec<Statement>,
    /// What it is called there.
    pub(crate) subject: String,
}

/// Images put together.
#[derive(Debug)]
pub(crate) struct Assembled {
    folder: Scratch,
    /// Blobs that lie in the folder, with their sizes.
    kept: BTreeMap<Digest, u64>,
    /// Manifests of the images.
    manifests: Vec<(Descriptor, Vec<u8>)>,
    whole: Whole,
    notes: Notes,
}

/// Puts images together in a folder.
pub(crate) async fn assemble(
    pieces: Vec<Piece>,
    folder: Scratch,
    shape: Shape,
) -> Result<Assembled, Error> {
    let pieces = pieces.into_iter().map(|piece| {
        let source = hakone_tar::inward(piece.source);
        (source, (piece.platform, piece.statements, piece.subject))
    });
    let pieces: Vec<_> = pieces.collect();
    let work = tokio::task::spawn_blocking(move || together(pieces, folder, shape));
    work.await.map_err(|_gone| Error::Cancelled)?
}

type Said = (Platform, Vec<Statement>, String);

fn together(
    pieces: Vec<(impl Read, Said)>,
    folder: Scratch,
    shape: Shape,
) -> Result<Assembled, Error> {
    let mut layout = Layout {
        folder: folder.path(),
        shape: &shape,
        kept: BTreeMap::new(),
        layers: BTreeMap::new(),
    };
    let (mut members, mut manifests) = (Vec::new(), Vec::new());
    for (source, (platform, statements, subject)) in pieces {
        let image = layout.image(source, &platform);
        let (image, text) = image.map_err(Error::host("put the image together"))?;
        manifests.push((image.clone(), text));
        members.push(Member {
            image: Descriptor {
                platform: Some(platform),
                annotations: None,
                ..image
            },
            statements,
            subject,
        });
    }
    let whole = tie(members, &shape.notes, shape.several)?;
    Ok(Assembled {
        kept: layout.kept,
        folder,
        manifests,
        whole,
        notes: shape.notes,
    })
}

impl Assembled {
    /// Gives the digest of what stands for all of it.
    pub(crate) const fn root(&self) -> &Digest {
        &self.whole.root.digest
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.path().join(digest.hex())
    }

    /// Gives what a registry is sent; it lies in the folder of this value.
    pub(crate) fn delivery(&self) -> Delivery {
        let file = |(digest, size): (&Digest, &u64)| {
            (
                Descriptor::new("", digest.clone(), *size),
                self.path(digest),
            )
        };
        let images = self.manifests.iter().cloned();
        Delivery {
            files: self.kept.iter().map(file).collect(),
            documents: self.whole.blobs.values().cloned().collect(),
            manifests: images.chain(self.whole.documents.clone()).collect(),
        }
    }

    /// Gives it as a layout under these names.
    pub(crate) fn layout(self, names: &[ImageRef]) -> Result<ChunkReader, Error> {
        let index = top(&self.whole.root, names, &self.notes)?;
        let (mut writer, reader) = hakone_tar::outward();
        tokio::task::spawn_blocking(move || match self.write(&mut writer, &index) {
            // Nobody reads when the client is gone.
            Ok(()) => drop(writer.finish()),
            Err(error) => writer.fail(error),
        });
        Ok(reader)
    }

    fn write(&self, writer: &mut impl Write, index: &[u8]) -> io::Result<()> {
        let mut tar = tar::Builder::new(writer);
        member(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        for (digest, size) in &self.kept {
            let file = File::open(self.path(digest))?;
            if file.metadata()?.len() != *size {
                return Err(io::Error::other("a blob has not the size that names it"));
            }
            let mut header = tar::Header::new_ustar();
            header.set_size(*size);
            header.set_mode(0o644);
            header.set_mtime(0);
            tar.append_data(&mut header, format!("{BLOBS}{}", digest.hex()), file)?;
        }
        let documents = self.manifests.iter().chain(&self.whole.documents);
        let documents = documents.map(|(described, text)| (&described.digest, text));
        let mut small: BTreeMap<&Digest, &Vec<u8>> = documents.collect();
        small.extend(&self.whole.blobs);
        for (digest, text) in small {
            member(&mut tar, &format!("{BLOBS}{}", digest.hex()), text)?;
        }
        member(&mut tar, "index.json", index)?;
        tar.finish()
    }
}

/// Puts the blobs of a layout into a folder, each under its digest, and gives the index. Docker's own table is left: it names
/// what will not be there.
fn take_apart(source: impl Read, folder: &Path) -> io::Result<Vec<u8>> {
    let mut archive = tar::Archive::new(source);
    let mut index = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let blob = name.strip_prefix(BLOBS).filter(|hex| !hex.is_empty());
        if let Some(hex) = blob {
            let digest = format!("sha256:{hex}").parse::<Digest>();
            let digest = digest.map_err(io::Error::other)?;
            match File::create_new(folder.join(digest.hex())) {
                Ok(mut file) => drop(io::copy(&mut entry, &mut file)?),
                // Another image has it, too.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        } else if name == "index.json" {
            let most = Limits::default().document;
            entry.by_ref().take(most).read_to_end(&mut index)?;
        }
    }
    Ok(index)
}

/// Images that lie in a folder.
struct Layout<'a> {
    folder: &'a Path,
    shape: &'a Shape,
    /// What goes on, with its size.
    kept: BTreeMap<Digest, u64>,
    /// Layers that were looked at, by the digest before.
    layers: BTreeMap<Digest, Descriptor>,
}

impl Layout<'_> {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.hex())
    }

    /// Takes one image in; gives its manifest, written anew when something is other than it came.
    fn image(
        &mut self,
        source: impl Read,
        platform: &Platform,
    ) -> io::Result<(Descriptor, Vec<u8>)> {
        let index: Index = serde_json::from_slice(&take_apart(source, self.folder)?)?;
        let first = index.manifests.into_iter().next();
        let before = first.ok_or_else(|| io::Error::other("the layout names no image"))?;
        let text = std::fs::read(self.path(&before.digest))?;
        let parsed: Manifest = serde_json::from_slice(&text)?;
        let layers = parsed.layers.iter().cloned().map(|layer| self.layer(layer));
        let layers = layers.collect::<io::Result<Vec<Descriptor>>>()?;
        let config = Descriptor::config(parsed.config.digest.clone(), parsed.config.size);
        self.kept.insert(config.digest.clone(), config.size);
        let noted = self.shape.notes.of(Noted::Manifest, &platform.to_string());
        if noted.is_empty() && layers == parsed.layers {
            return Ok((before, text));
        }
        let manifest = Manifest {
            annotations: (!noted.is_empty()).then_some(noted),
            ..Manifest::new(config, layers)
        };
        let text = serde_json::to_vec(&manifest)?;
        let described = Descriptor::manifest(None, Digest::of(&text), text.len() as u64);
        Ok((described, text))
    }

    fn layer(&mut self, layer: Descriptor) -> io::Result<Descriptor> {
        if let Some(known) = self.layers.get(&layer.digest) {
            return Ok(known.clone());
        }
        let MediaType::Layer(packed) = MediaType::of(&layer.media_type) else {
            return Err(io::Error::other("the layout has a layer of another kind"));
        };
        let wanted = self.shape.packing.filter(|wanted| wanted.changes(packed));
        let anew = match wanted {
            Some(packing) => {
                let (digest, size) = self.pack((&layer.digest, packed), packing)?;
                Descriptor {
                    annotations: layer.annotations,
                    ..Descriptor::new(packing.kind.layer_type(), digest, size)
                }
            }
            None => layer.clone(),
        };
        self.kept.insert(anew.digest.clone(), anew.size);
        self.layers.insert(layer.digest, anew.clone());
        Ok(anew)
    }

    /// Packs a blob anew, and gives the new one's digest and size.
    fn pack(
        &self,
        (digest, packed): (&Digest, Compression),
        packing: Packing,
    ) -> io::Result<(Digest, u64)> {
        let path = self.path(digest);
        let source = BufReader::new(File::open(&path)?);
        let mut source = Inflated::new(source, packed, &Limits::default())?;
        let fresh = tempfile::NamedTempFile::new_in(self.folder)?;
        let sink = BufWriter::new(Hashed::new(fresh));
        let sink = match packing.kind {
            Compression::Gzip => {
                let level = packing
                    .level
                    .map_or_else(Default::default, flate2::Compression::new);
                let mut encoder = GzEncoder::new(sink, level);
                io::copy(&mut source, &mut encoder)?;
                encoder.finish()?
            }
            Compression::Zstd => {
                let level = packing.level.and_then(|level| i32::try_from(level).ok());
                let mut encoder = zstd::stream::write::Encoder::new(sink, level.unwrap_or(0))?;
                io::copy(&mut source, &mut encoder)?;
                encoder.finish()?
            }
            Compression::None | Compression::Bzip2 | Compression::Xz => {
                let mut sink = sink;
                io::copy(&mut source, &mut sink)?;
                sink
            }
        };
        let hashed = sink.into_inner().map_err(io::IntoInnerError::into_error)?;
        let (digest, size) = (
            Digest::from_bytes(hashed.hash.finalize().into()),
            hashed.size,
        );
        hashed
            .sink
            .persist(self.path(&digest))
            .map_err(|failed| failed.error)?;
        Ok((digest, size))
    }
}

/// A file that knows its digest.
struct Hashed<W> {
    sink: W,
    hash: Sha256,
    size: u64,
}

impl<W> Hashed<W> {
    fn new(sink: W) -> Self {
        Self {
            sink,
            hash: Sha256::new(),
            size: 0,
        }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.sink.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests;
