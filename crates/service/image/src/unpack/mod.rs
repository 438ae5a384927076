//! Writes a layer's tar as files: hostile input becomes a folder tree, and nothing outside of it.
//!
//! Two fences. `hakone-image-model` refuses names, markers and attributes; here every folder is opened beneath the layer's
//! root without following any link (`openat2`), every file is made anew in such a folder, and hard links reach only what
//! the layer itself brought. Device nodes are refused; the only ones made are the whiteouts that an overlay needs.

mod tree;

use std::{
    io::{self, Read},
    path::Path,
};

use hakone_image_model::{LayerPath, Limits, Marker, Xattr};
use hakone_tar::{Attributes, Unreadable, each_member};
use tar::{Entry, EntryType};

use crate::Error;

pub(crate) use hakone_tar::Inflated;
use tree::Tree;

/// Unpacks a layer to its end, trailing bytes included, and gives the sum of its files' sizes.
pub(crate) fn unpack(source: impl Read, target: &Path, limits: &Limits) -> Result<u64, Error> {
    let mut unpacker = Unpacker {
        tree: Tree::open(target)?,
        limits,
        entries: 0,
        bytes: 0,
    };
    let mut rest = each_member(source, Error::Layer, |entry| unpacker.member(entry))?;
    io::copy(&mut rest, &mut io::sink()).map_err(Error::Layer)?;
    unpacker.tree.finish()?;
    Ok(unpacker.bytes)
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

/// Reads owner, mode and time, and decides on each extended attribute.
fn attributes<R: Read>(entry: &mut Entry<'_, R>, path: &LayerPath) -> Result<Attributes, Error> {
    let mut attributes = Attributes::read(entry).map_err(|error| match error {
        Unreadable::Refused(reason) => path.refused(reason).into(),
        Unreadable::Broken(error) => Error::Layer(error),
    })?;
    let mut kept = Vec::new();
    for (name, value) in attributes.xattrs {
        if Xattr::decide(&name).map_err(|reason| path.refused(reason))? == Xattr::Keep {
            kept.push((name, value));
        }
    }
    attributes.xattrs = kept;
    Ok(attributes)
}

fn name(path: &LayerPath) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests;
