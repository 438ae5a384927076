//! The last context of each client's folder, kept so that the next build of it is sent what changed alone.
//!
//! By a key that the client makes of a secret of its own and the folder's path: who does not know it gets at nothing. Contexts are
//! never written again; the next one links what it shares. Few, bounded in bytes, gone with the daemon and with a prune.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hakone_base::Digest;
use hakone_buildkit_model::{Listing, Moment};

use crate::{neighbour::Remembered, receive::Scratch, report::now};

/// Contexts kept.
const MOST: usize = 16;
/// Bytes of their files, and of memory for their lists.
const BYTES: u64 = 4 << 30;
const WEIGHT: usize = 64 << 20;

/// A context that was transferred whole.
#[derive(Clone, Debug)]
pub(crate) struct Former {
    /// Its files.
    pub(crate) folder: Scratch,
    /// What they were listed as.
    pub(crate) listing: Arc<Listing>,
}

/// One that is kept.
#[derive(Debug)]
struct Kept {
    key: Digest,
    name: String,
    former: Former,
    made: Moment,
}

/// All that are kept, the one used last at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contexts(Arc<Mutex<Vec<Kept>>>);

/// Which folder of which client; none for a client that has no key.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    key: Digest,
    name: String,
}

impl Place {
    /// Names the folder that the client with this key calls `folder`.
    pub(crate) fn of(client: &str, folder: &str) -> Option<Self> {
        let text = [client.as_bytes(), b"\0", folder.as_bytes()].concat();
        (!client.is_empty()).then(|| Self {
            key: Digest::of(&text),
            name: folder.chars().take(128).collect(),
        })
    }
}

impl Contexts {
    /// Gives what was transferred last.
    pub(crate) fn lookup(&self, place: &Place) -> Option<Former> {
        let kept = self.kept();
        let found = kept.iter().find(|one| one.key == place.key);
        found.map(|one| one.former.clone())
    }

    /// Keeps a context in place of the one before it; one that is too large is not kept.
    pub(crate) fn keep(&self, place: Place, former: Former) {
        let mut kept = self.kept();
        let mut gone: Vec<Kept> = kept.extract_if(.., |one| one.key == place.key).collect();
        kept.push(Kept {
            key: place.key,
            name: place.name,
            former,
            made: now(),
        });
        while kept.len() > MOST || sum(&kept, Listing::bytes) > BYTES || weight(&kept) > WEIGHT {
            gone.push(kept.remove(0));
        }
        drop(kept);
        // Their folders vanish after the lock.
        drop(gone);
    }

    /// Lists what is kept.
    pub(crate) fn remembered(&self) -> Vec<Remembered> {
        self.kept().iter().map(remembered).collect()
    }

    /// Forgets all, and gives what it was.
    pub(crate) fn forget(&self) -> Vec<Remembered> {
        let gone = std::mem::take(&mut *self.kept());
        gone.iter().map(remembered).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum(kept: &[Kept], of: impl Fn(&Listing) -> u64) -> u64 {
    kept.iter().map(|one| of(&one.former.listing)).sum()
}

fn weight(kept: &[Kept]) -> usize {
    kept.iter().map(|one| one.former.listing.weight()).sum()
}

fn remembered(one: &Kept) -> Remembered {
    Remembered {
        // The key itself would open the context to whoever reads this.
        id: Digest::of(one.key.as_str().as_bytes())
            .hex()
            .chars()
            .take(25)
            .collect(),
        description: format!("local source for {}", one.name),
        size: one.former.listing.bytes(),
        created: one.made.0,
        used: one.made.0,
        uses: 1,
        kind: "source.local".into(),
        ..Remembered::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn former(above: &std::path::Path) -> Former {
        Former {
            folder: crate::receive::scratch(above).unwrap(),
            listing: Arc::default(),
        }
    }

    #[test]
    fn a_context_is_found_by_its_own_client_alone() {
        let above = tempfile::tempdir().unwrap();
        let contexts = Contexts::default();
        contexts.keep(Place::of("key", "context").unwrap(), former(above.path()));
        assert!(
            contexts
                .lookup(&Place::of("key", "context").unwrap())
                .is_some()
        );
        assert!(
            contexts
                .lookup(&Place::of("key", "other").unwrap())
                .is_none()
        );
        assert!(
            contexts
                .lookup(&Place::of("kex", "context").unwrap())
                .is_none()
        );
        assert!(Place::of("", "context").is_none(), "no key, nothing kept");
    }

    #[test]
    fn few_are_kept_and_the_rest_leaves_no_folder() {
        let above = tempfile::tempdir().unwrap();
        let contexts = Contexts::default();
        for n in 0..40 {
            let place = Place::of(&n.to_string(), "context").unwrap();
            contexts.keep(place.clone(), former(above.path()));
            contexts.keep(place, former(above.path()));
        }
        assert_eq!(contexts.remembered().len(), MOST);
        assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), MOST);
        assert_eq!(contexts.forget().len(), MOST);
        assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 0);
    }
}
