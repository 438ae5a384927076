//! Writes a layer's tar as files: hostile input becomes a folder tree, and nothing outside of it.
//!
//! Two fences. `hakone-image-model` refuses names, markers and attributes; here every folder is opened beneath the layer's
//! root without following any link (`openat2`), every file is made anew in such a folder, and hard links reach only what
//! the layer itself brought. Device nodes are refused; the only ones made are the whiteouts that an overlay needs.

mod folder;
mod inflate;
mod tree;

use std::{
    cell::Cell,
    io::{self, Read},
    path::Path,
    rc::Rc,
};

use hakone_image_model::{LayerPath, Limits, Marker, Xattr};
use tar::{Entry, EntryType};

use crate::Error;

pub(crate) use inflate::Inflated;
use tree::{Attributes, Tree};

/// Bytes that the headers of one member may have, long names and attributes included.
const MAX_HEADERS: u64 = 2 << 20;

/// Unpacks a layer to its end, trailing bytes included, and gives the sum of its files' sizes.
pub(crate) fn unpack(source: impl Read, target: &Path, limits: &Limits) -> Result<u64, Error> {
    let allowance = Rc::new(Cell::new(u64::MAX));
    let mut archive = tar::Archive::new(Gate {
        source,
        allowance: Rc::clone(&allowance),
    });
    let mut unpacker = Unpacker {
        tree: Tree::open(target)?,
        limits,
        entries: 0,
        bytes: 0,
    };
    let mut entries = archive.entries().map_err(Error::Layer)?;
    loop {
        allowance.set(MAX_HEADERS);
        let Some(entry) = entries.next() else {
            break;
        };
        allowance.set(u64::MAX);
        unpacker.member(&mut entry.map_err(Error::Layer)?)?;
    }
    allowance.set(u64::MAX);
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(Error::Layer)?;
    unpacker.tree.finish()?;
    Ok(unpacker.bytes)
}

/// Stops the tar reader from taking endless extended headers into memory.
struct Gate<R> {
    source: R,
    allowance: Rc<Cell<u64>>,
}

impl<R: Read> Read for Gate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = usize::try_from(self.allowance.get()).unwrap_or(usize::MAX);
        let length = buffer.len().min(allowed);
        if length == 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a member's headers are too large",
            ));
        }
        let count = self
            .source
            .read(buffer.get_mut(..length).unwrap_or_default())?;
        self.allowance
            .set(self.allowance.get().saturating_sub(count as u64));
        Ok(count)
    }
}

struct Unpacker<'a> {
    tree: Tree,
    limits: &'a Limits,
    entries: u64,
    bytes: u64,
}

impl Unpacker<'_> {
    fn member<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), Error> {
        let path = LayerPath::parse(&entry.path_bytes())?;
        self.account(entry, &path)?;
        match path.marker()? {
            Marker::None => self.ordinary(entry, &path),
            Marker::Whiteout(gone) => self.tree.whiteout(&gone),
            Marker::Opaque(folder) => self.tree.opaque(&folder),
            Marker::Bookkeeping => Ok(()),
        }
    }

    /// Counts before anything is written, sparse files at their full size.
    fn account<R: Read>(&mut self, entry: &Entry<'_, R>, path: &LayerPath) -> Result<(), Error> {
        self.entries += 1;
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_gnu_sparse() || kind.is_contiguous() {
            self.bytes = self.bytes.saturating_add(entry.size());
        }
        let limit = |what: String| Error::Limit(format!("at {:?} {what}", name(path)));
        if self.limits.too_many_entries(self.entries, self.bytes) {
            return Err(limit(format!(
                "it has more than {} entries for its size",
                self.entries - 1
            )));
        }
        // The ratio is the decompressor's to watch: here only holes can be larger than what was sent, and they cost no disk.
        match self.bytes > self.limits.unpacked {
            true => Err(limit(format!("it unpacks to {} bytes", self.bytes))),
            false => Ok(()),
        }
    }

    fn ordinary<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        path: &LayerPath,
    ) -> Result<(), Error> {
        let attributes = attributes(entry, path)?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::Regular | EntryType::Continuous => {
                self.tree.file(path, entry, false, &attributes)
            }
            EntryType::GNUSparse => self.tree.file(path, entry, true, &attributes),
            EntryType::Directory => self.tree.folder(path, &attributes),
            EntryType::Symlink => self.tree.symlink(path, &link(entry, path)?, &attributes),
            EntryType::Link => {
                let target = LayerPath::parse(&link(entry, path)?)?;
                self.tree.hard_link(path, &target)
            }
            EntryType::Fifo => self.tree.fifo(path, &attributes),
            EntryType::Block | EntryType::Char => Err(path.refused("it is a device node").into()),
            EntryType::XGlobalHeader => Ok(()),
            _ => Err(path.refused("its kind is unknown").into()),
        }
    }
}

fn link<R: Read>(entry: &Entry<'_, R>, path: &LayerPath) -> Result<Vec<u8>, Error> {
    match entry.link_name_bytes() {
        Some(target) if !target.is_empty() && !target.contains(&0) => Ok(target.into_owned()),
        _ => Err(path.refused("it links to nothing").into()),
    }
}

fn attributes<R: Read>(entry: &mut Entry<'_, R>, path: &LayerPath) -> Result<Attributes, Error> {
    let header = entry.header();
    // An empty number is zero to every tar reader but ours.
    let id = |id: io::Result<u64>| -> Result<u32, Error> {
        let refuse = || path.refused("its owner is no id").into();
        u32::try_from(id.unwrap_or(0)).ok().ok_or_else(refuse)
    };
    let mut attributes = Attributes {
        mode: header.mode().unwrap_or(0) & 0o7777,
        uid: id(header.uid())?,
        gid: id(header.gid())?,
        seconds: i64::try_from(header.mtime().unwrap_or(0)).unwrap_or(0),
        nanos: 0,
        xattrs: Vec::new(),
    };
    let Some(extensions) = entry.pax_extensions().map_err(Error::Layer)? else {
        return Ok(attributes);
    };
    for extension in extensions {
        let extension = extension.map_err(Error::Layer)?;
        if let Ok(key) = extension.key() {
            attributes.extend(key, extension.value_bytes(), path)?;
        }
    }
    Ok(attributes)
}

impl Attributes {
    fn extend(&mut self, key: &str, value: &[u8], path: &LayerPath) -> Result<(), Error> {
        let text = || std::str::from_utf8(value).unwrap_or_default();
        if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
            if Xattr::decide(name).map_err(|reason| path.refused(reason))? == Xattr::Keep {
                self.xattrs.push((name.to_owned(), value.to_vec()));
            }
            return Ok(());
        }
        match key {
            "mtime" => {
                (self.seconds, self.nanos) = time(text()).unwrap_or((self.seconds, self.nanos));
            }
            "uid" => self.uid = text().parse().unwrap_or(self.uid),
            "gid" => self.gid = text().parse().unwrap_or(self.gid),
            _ if key.starts_with("GNU.sparse.") => {
                return Err(path
                    .refused("sparse files in the pax form are not supported")
                    .into());
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads `seconds[.fraction]`, both of which may lie before 1970.
fn time(text: &str) -> Option<(i64, i64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().take(9).collect();
    let nanos: i64 = format!("{digits:0<9}").parse().ok()?;
    Some(match (whole.starts_with('-'), nanos) {
        (true, 1..) => (seconds - 1, 1_000_000_000 - nanos),
        _ => (seconds, nanos),
    })
}

fn name(path: &LayerPath) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests;
