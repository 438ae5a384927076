//! Packs the layers of an OCI layout as a client wants them, and names them anew: in manifests, and in the index.
//!
//! The engine keeps layers as they came or as they were made (decision 8). Another packing means other digests, known only when
//! the last byte is packed, so the layout lies in a folder of its own meanwhile. Configs stay: they speak of the tars inside.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use flate2::write::GzEncoder;
use hakone_base::Digest;
use hakone_buildkit_model::Packing;
use hakone_image_model::{Compression, Descriptor, Index, Limits, Manifest, MediaType};
use hakone_tar::{ChunkReader, Inflated};
use sha2::{Digest as _, Sha256};

use crate::{attest::member, neighbour::Reader, receive::Scratch};

/// Where blobs are in a layout.
const BLOBS: &str = "blobs/sha256/";

/// Passes an OCI layout on with its layers packed so; `folder` holds it until the stream is read.
pub(crate) fn layout(source: Reader, folder: Scratch, packing: Packing) -> ChunkReader {
    let source = hakone_tar::inward(source);
    let (mut writer, reader) = hakone_tar::outward();
    tokio::task::spawn_blocking(move || {
        match rewrite(source, &mut writer, folder.path(), packing) {
            // Nobody reads when the client is gone.
            Ok(()) => drop(writer.finish()),
            Err(error) => writer.fail(error),
        }
    });
    reader
}

fn rewrite(
    source: impl Read,
    writer: &mut impl Write,
    folder: &Path,
    packing: Packing,
) -> io::Result<()> {
    let index = take_apart(source, folder)?;
    let mut layout = Layout {
        folder,
        packing,
        kept: BTreeMap::new(),
        layers: BTreeMap::new(),
        manifests: BTreeMap::new(),
    };
    let mut index: Index = serde_json::from_slice(&index)?;
    for image in &mut index.manifests {
        layout.image(image)?;
    }
    let mut tar = tar::Builder::new(writer);
    member(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    for (digest, size) in &layout.kept {
        let file = File::open(layout.path(digest))?;
        if file.metadata()?.len() != *size {
            return Err(io::Error::other("a blob has not the size that names it"));
        }
        let mut header = tar::Header::new_ustar();
        header.set_size(*size);
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, format!("{BLOBS}{}", digest.hex()), file)?;
    }
    member(&mut tar, "index.json", &serde_json::to_vec(&index)?)?;
    tar.finish()
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
            io::copy(
                &mut entry,
                &mut File::create_new(folder.join(digest.hex()))?,
            )?;
        } else if name == "index.json" {
            let most = Limits::default().document;
            entry.by_ref().take(most).read_to_end(&mut index)?;
        }
    }
    Ok(index)
}

/// A layout that lies in a folder.
struct Layout<'a> {
    folder: &'a Path,
    packing: Packing,
    /// What goes on, with its size.
    kept: BTreeMap<Digest, u64>,
    /// Layers that were packed anew, by the digest before.
    layers: BTreeMap<Digest, Descriptor>,
    /// Manifests that were written anew, likewise.
    manifests: BTreeMap<Digest, Descriptor>,
}

impl Layout<'_> {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.hex())
    }

    /// Writes the manifest of an image anew, once, and says in its place of the index where it is now.
    fn image(&mut self, image: &mut Descriptor) -> io::Result<()> {
        let anew = match self.manifests.get(&image.digest) {
            Some(anew) => anew.clone(),
            None => self.manifest(image)?,
        };
        self.manifests.insert(image.digest.clone(), anew.clone());
        image.media_type = anew.media_type;
        (image.digest, image.size) = (anew.digest, anew.size);
        Ok(())
    }

    fn manifest(&mut self, image: &Descriptor) -> io::Result<Descriptor> {
        let text = std::fs::read(self.path(&image.digest))?;
        let before: Manifest = serde_json::from_slice(&text)?;
        let layers = before.layers.into_iter().map(|layer| self.layer(layer));
        let layers = layers.collect::<io::Result<Vec<Descriptor>>>()?;
        let config = Descriptor::config(before.config.digest, before.config.size);
        self.kept.insert(config.digest.clone(), config.size);
        let manifest = Manifest::new(config, layers);
        let kind = manifest.media_type.clone().unwrap_or_default();
        let text = serde_json::to_vec(&manifest)?;
        let anew = Descriptor::new(&kind, Digest::of(&text), text.len() as u64);
        match File::create_new(self.path(&anew.digest)) {
            Ok(mut file) => file.write_all(&text)?,
            // Nothing changed: it is what came.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        self.kept.insert(anew.digest.clone(), anew.size);
        Ok(anew)
    }

    fn layer(&mut self, layer: Descriptor) -> io::Result<Descriptor> {
        if let Some(known) = self.layers.get(&layer.digest) {
            return Ok(known.clone());
        }
        let MediaType::Layer(packed) = MediaType::of(&layer.media_type) else {
            return Err(io::Error::other("the layout has a layer of another kind"));
        };
        let (digest, size, kind) = match self.packing.changes(packed) {
            true => {
                let (digest, size) = self.pack(&layer.digest, packed)?;
                (digest, size, self.packing.kind)
            }
            false => (layer.digest.clone(), layer.size, packed),
        };
        self.kept.insert(digest.clone(), size);
        let anew = Descriptor {
            annotations: layer.annotations,
            ..Descriptor::new(kind.layer_type(), digest, size)
        };
        self.layers.insert(layer.digest, anew.clone());
        Ok(anew)
    }

    /// Packs a blob anew, and gives the new one's digest and size.
    fn pack(&self, digest: &Digest, packed: Compression) -> io::Result<(Digest, u64)> {
        let path = self.path(digest);
        let source = BufReader::new(File::open(&path)?);
        let mut source = Inflated::new(source, packed, &Limits::default())?;
        let fresh = tempfile::NamedTempFile::new_in(self.folder)?;
        let sink = BufWriter::new(Hashed::new(fresh));
        let sink = match self.packing.kind {
            Compression::Gzip => {
                let level = self
                    .packing
                    .level
                    .map_or_else(Default::default, flate2::Compression::new);
                let mut encoder = GzEncoder::new(sink, level);
                io::copy(&mut source, &mut encoder)?;
                encoder.finish()?
            }
            Compression::Zstd => {
                let level = self
                    .packing
                    .level
                    .and_then(|level| i32::try_from(level).ok());
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
