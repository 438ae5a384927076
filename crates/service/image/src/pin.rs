//! What an operation that runs counts on being there: a layer that a pull found in the store, or that another pull brought. An
//! image that is removed meanwhile must not take it along, so a sweep spares it; if nobody needs it in the end, the next one does not.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hakone_base::Digest;

use crate::{inner::Inner, record::LayerRecord};

/// Layers and blobs that are counted on, and by how many.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<BTreeMap<Digest, usize>>);

impl Pins {
    fn held(&self) -> MutexGuard<'_, BTreeMap<Digest, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a thing unless somebody counts on it; nobody can begin to while that lasts, so keep it short.
    pub(crate) fn unless_held<T>(
        &self,
        digest: Option<&Digest>,
        remove: impl FnOnce() -> T,
    ) -> Option<T> {
        let held = self.held();
        let spared = digest.is_some_and(|digest| held.contains_key(digest));
        (!spared).then(remove)
    }
}

/// One layer that is counted on as long as this lives.
#[derive(Debug)]
pub(crate) struct Pin {
    inner: Arc<Inner>,
    digests: [Digest; 2],
}

impl Pin {
    pub(crate) fn new(inner: &Arc<Inner>, layer: &LayerRecord) -> Self {
        let digests = [layer.blob.clone(), layer.diff_id.clone()];
        let mut held = inner.store.pins.held();
        for digest in &digests {
            *held.entry(digest.clone()).or_default() += 1;
        }
        drop(held);
        Self {
            inner: Arc::clone(inner),
            digests,
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut held = self.inner.store.pins.held();
        for digest in &self.digests {
            if let Some(count) = held.get_mut(digest) {
                *count -= 1;
            }
        }
        held.retain(|_, count| *count > 0);
    }
}

impl Inner {
    /// Finds a layer that the store has by its blob, and keeps it there.
    pub(crate) fn pinned_layer(self: &Arc<Self>, blob: &Digest) -> Option<(LayerRecord, Pin)> {
        let record = self.known_layer(blob)?;
        let pin = Pin::new(self, &record);
        // A sweep may have been quicker than the pin.
        self.known_layer(blob).is_some().then_some((record, pin))
    }
}
