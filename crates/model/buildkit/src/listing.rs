//! What a transfer listed, kept so that the next one of the same folder asks for what changed alone.
//!
//! A file counts as unchanged when its name, kind, size, mode, time and attributes are what they were, as clients and rsync have
//! it. The client's word is all there is, and it can only speak of its own folder: listings are kept by a key that it alone knows.

use std::collections::BTreeMap;

use hakone_image_model::LayerPath;

use crate::{Entry, What};

/// The files of one transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    files: BTreeMap<LayerPath, Entry>,
    weight: usize,
    bytes: u64,
}

impl Listing {
    /// Reports whether a file is as it was then.
    #[must_use]
    pub fn holds(&self, entry: &Entry) -> bool {
        self.files.get(&entry.path) == Some(entry)
    }

    /// Adds a file; what has no content of its own is made anew each time.
    pub(crate) fn add(&mut self, entry: &Entry) {
        let What::File(size) = entry.what else {
            return;
        };
        self.weight = self.weight.saturating_add(entry.weight());
        self.bytes = self.bytes.saturating_add(size);
        self.files.insert(entry.path.clone(), entry.clone());
    }

    /// Counts the bytes of memory that it takes.
    #[must_use]
    pub const fn weight(&self) -> usize {
        self.weight
    }

    /// Counts the bytes of the files.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}
