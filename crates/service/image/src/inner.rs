//! What all clones of the service share: the store, the catalog of what is in it, and the changes of both together.
//!
//! Below the verbs of [`crate::Service`], above store and catalog. Records reach the disk before the catalog tells of them, under one
//! lock; what only reads takes the catalog's alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::SystemTime,
};

use hakone_base::{Digest, EventKind, ImageRef, Timestamp};
use hakone_engine_api::{Filters, wire};
use hakone_events::Bus;
use hakone_image_model::{Limits, Platform};
use tracing::info;

use crate::{
    Error, ResolvedImage, Usage, Users,
    catalog::{Catalog, Entry},
    identity::Identity,
    list, prune,
    record::{ImageRecord, LayerRecord},
    registry::{Flights, TagFile},
    remove::{self, Plan},
    stage::Staged,
    store::Store,
};

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    pub(crate) host: Platform,
    pub(crate) registry: hakone_registry::Client,
    pub(crate) hardened: bool,
    pub(crate) tags: TagFile,
    pub(crate) flights: Flights,
    pub(crate) catalog: Mutex<Catalog>,
    /// Held while the disk and the catalog are changed together; taken before the catalog's own lock.
    pub(crate) changing: Mutex<()>,
    pub(crate) users: OnceLock<UsersHandle>,
    pub(crate) events: Bus,
}

pub(crate) struct UsersHandle(pub(crate) Arc<dyn Users>);

impl std::fmt::Debug for UsersHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Users")
    }
}

/// All names once an image has got some more.
struct Renaming {
    /// Whether it gets any.
    named: bool,
    names: BTreeMap<ImageRef, Digest>,
    /// The images that lose one.
    lost: Vec<(ImageRef, Digest)>,
}

impl Inner {
    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a layer that the store has by its tar.
    pub(crate) fn stored(&self, diff_id: &Digest) -> Result<LayerRecord, Error> {
        let catalog = self.catalog();
        let mut all = catalog.images.values().flat_map(|one| &one.record.layers);
        let found = all.find(|layer| layer.diff_id == *diff_id).cloned();
        found.ok_or_else(|| Error::NotFound(diff_id.to_string()))
    }

    /// Finds a layer that the store has already by its blob: it need not be fetched or unpacked again.
    pub(crate) fn known_layer(&self, blob: &Digest) -> Option<LayerRecord> {
        let catalog = self.catalog();
        let mut layers = catalog
            .images
            .values()
            .flat_map(|entry| &entry.record.layers);
        let record = layers.find(|layer| layer.blob == *blob)?.clone();
        let whole = self.store.layer(&record.diff_id).exists() && self.store.blob(blob).exists();
        whole.then_some(record)
    }

    pub(crate) fn usages(&self) -> Vec<Usage> {
        self.users
            .get()
            .map(|users| users.0.usages())
            .unwrap_or_default()
    }

    fn kept(&self) -> Vec<Digest> {
        self.users
            .get()
            .map(|users| users.0.kept())
            .unwrap_or_default()
    }

    /// Gives the folders of an image's layers, lowest first. An overlay takes none twice; of a layer that an image has twice
    /// the upper one hides all of the lower.
    pub(crate) fn folders(&self, record: &ImageRecord) -> Vec<PathBuf> {
        let mut seen = BTreeSet::new();
        let layers = record.layers.iter().rev();
        let single = layers.filter(|layer| seen.insert(&layer.diff_id));
        let mut folders: Vec<PathBuf> = single
            .map(|layer| self.store.layer(&layer.diff_id))
            .collect();
        folders.reverse();
        folders
    }

    pub(crate) fn identity<'a>(&'a self, entry: &'a Entry, usages: &'a [Usage]) -> Identity<'a> {
        Identity {
            store: &self.store,
            entry,
            usages,
        }
    }

    pub(crate) fn resolved(&self, entry: &Entry, reference: String) -> ResolvedImage {
        ResolvedImage {
            id: entry.record.id.clone(),
            reference,
            config: entry.image.config.clone().unwrap_or_default(),
            layers: self.folders(&entry.record),
            size: entry.size(),
            created: entry.image.created(),
        }
    }

    /// Puts a staged image and its names in place, under the lock [`Self::change`]; gives the images that lost a name. The names
    /// are written before the record: killed in between, there is neither, and each name means what it meant.
    pub(crate) fn commit(
        &self,
        staged: Staged,
        names: &[ImageRef],
    ) -> Result<Vec<(ImageRef, Digest)>, Error> {
        let id = staged.entry.record.id.clone();
        let present = self.catalog().images.get(&id).cloned();
        let entry = match present.filter(|entry| self.store.is_whole(&entry.record)) {
            // Loaded again: its blobs stay as they first came, so that its digests do not change.
            Some(mut entry) => {
                entry.record.hidden = false;
                entry
            }
            None => staged.install(&self.store)?,
        };
        let renaming = self.renaming(names, &id);
        self.write(&renaming)?;
        if let Err(error) = self.store.save(&entry.record) {
            let names = self.catalog().names.clone();
            // Failing, too, it is set right at the next start.
            self.store.save_names(&names, &[]).ok();
            return Err(error);
        }
        self.catalog().images.insert(id.clone(), entry);
        Ok(self.renamed(renaming, &id))
    }

    /// Puts an image of a builder in place, under the lock [`Self::change`]: one that people see already stays seen.
    pub(crate) fn commit_step(&self, staged: Staged, names: &[ImageRef]) -> Result<(), Error> {
        let id = staged.entry.record.id.clone();
        let hidden = staged.entry.record.hidden;
        let present = self.catalog().images.get(&id).cloned();
        match present.filter(|entry| self.store.is_whole(&entry.record)) {
            Some(_) if hidden => Ok(()),
            Some(_) => {
                self.show(&id)?;
                self.rename(names, &id).map(drop)
            }
            None => self.commit(staged, names).map(drop),
        }
    }

    /// Shows a hidden image to people, under the lock [`Self::change`].
    pub(crate) fn show(&self, id: &Digest) -> Result<(), Error> {
        let found = self.catalog().images.get(id).cloned();
        let mut entry = found.ok_or_else(|| Error::NotFound(id.to_string()))?;
        if !entry.record.hidden {
            return Ok(());
        }
        entry.record.hidden = false;
        self.store.save(&entry.record)?;
        self.catalog().images.insert(id.clone(), entry);
        Ok(())
    }

    /// Gives an image one more name, under the lock [`Self::change`].
    pub(crate) fn add_name(&self, name: &ImageRef, id: &Digest) -> Result<(), Error> {
        self.rename(std::slice::from_ref(name), id).map(drop)
    }

    /// Finds the digests under which the image that has this name now came from its registry.
    pub(crate) fn known_digests(&self, name: &ImageRef) -> Vec<Digest> {
        let catalog = self.catalog();
        let Some(id) = catalog.names.get(name) else {
            return Vec::new();
        };
        let entry = catalog.images.get(id);
        if !entry.is_some_and(|entry| !entry.record.hidden && self.store.is_whole(&entry.record)) {
            return Vec::new();
        }
        let same = |other: &&ImageRef| other.same_repository(name);
        catalog
            .names_of(id)
            .filter(same)
            .filter_map(|other| other.digest().cloned())
            .collect()
    }

    /// Gives names to an image, under the lock [`Self::change`].
    pub(crate) fn rename(
        &self,
        targets: &[ImageRef],
        id: &Digest,
    ) -> Result<Vec<(ImageRef, Digest)>, Error> {
        let renaming = self.renaming(targets, id);
        self.write(&renaming)?;
        Ok(self.renamed(renaming, id))
    }

    fn renaming(&self, targets: &[ImageRef], id: &Digest) -> Renaming {
        let mut names = self.catalog().names.clone();
        let mut lost = Vec::new();
        for target in targets {
            match names.insert(target.clone(), id.clone()) {
                Some(old) if old != *id => lost.push((target.clone(), old)),
                _ => {}
            }
        }
        Renaming {
            named: !targets.is_empty(),
            names,
            lost,
        }
    }

    /// A name that is given again, as each build does, is not worth waiting for the disk.
    fn write(&self, renaming: &Renaming) -> Result<(), Error> {
        match renaming.names == self.catalog().names {
            true => Ok(()),
            false => self.store.save_names(&renaming.names, &renaming.lost),
        }
    }

    fn renamed(&self, renaming: Renaming, id: &Digest) -> Vec<(ImageRef, Digest)> {
        if renaming.named {
            let mut catalog = self.catalog();
            catalog.names = renaming.names;
            if let Some(entry) = catalog.images.get_mut(id) {
                entry.record.tagged = now();
                self.store.note_tagged(&entry.record);
            }
        }
        renaming.lost
    }

    /// Carries a removal out, under the lock [`Self::change`].
    pub(crate) fn remove(&self, plan: &Plan) -> Result<Vec<wire::ImageDeleteResponseItem>, Error> {
        let mut wanted = self.catalog().clone();
        let id = plan
            .untag
            .first()
            .and_then(|name| wanted.names.get(name))
            .or(plan.delete.as_ref());
        let id = id.cloned();
        wanted.names.retain(|name, _| !plan.untag.contains(name));
        if !plan.untag.is_empty() {
            self.store.save_names(&wanted.names, &[])?;
        }
        if let Some(delete) = &plan.delete {
            self.delete(&mut wanted, delete, plan.hide)?;
        }
        self.forget_hidden(&mut wanted)?;
        // Told of what was, labels included, though it is gone by then.
        let labels = id.as_ref().map(|id| self.labels(id)).unwrap_or_default();
        let fewer = wanted.images.len() < self.catalog().images.len();
        *self.catalog() = wanted.clone();
        if fewer {
            self.store.sweep(&wanted);
        }
        for id in plan.untag.iter().filter_map(|_| id.as_ref()) {
            self.tell("untag", id, id.as_str(), labels.clone());
        }
        if let Some(id) = &plan.delete {
            self.announce("delete", id, id.as_str());
        }
        Ok(report(plan))
    }

    fn delete(&self, wanted: &mut Catalog, id: &Digest, hide: bool) -> Result<(), Error> {
        match wanted.images.get_mut(id) {
            Some(entry) if hide || (!entry.record.hidden && self.kept().contains(id)) => {
                entry.record.hidden = true;
                self.store.save(&entry.record)
            }
            Some(_) => {
                self.store.forget(id)?;
                wanted.images.remove(id);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Forgets removed images whose last container is gone.
    fn forget_hidden(&self, wanted: &mut Catalog) -> Result<(), Error> {
        let hidden = wanted.hidden();
        let free = self.unneeded(hidden);
        free.iter()
            .try_for_each(|id| self.delete(wanted, id, false))
    }

    /// Picks of hidden images those that neither a container nor a build needs.
    pub(crate) fn unneeded(&self, mut hidden: Vec<Digest>) -> Vec<Digest> {
        if hidden.is_empty() || self.users.get().is_none() {
            return Vec::new();
        }
        let used = self.usages().into_iter().map(|usage| usage.image);
        let needed: BTreeSet<Digest> = used.chain(self.kept()).collect();
        hidden.retain(|id| !needed.contains(id));
        hidden
    }

    pub(crate) fn prune(&self, filters: &Filters) -> Result<wire::ImagePruneResponse, Error> {
        let _changing = self.change();
        let chosen = prune::plan(&self.catalog(), &self.usages(), filters, now())?;
        let before = self.disk();
        self.remove(&Plan::default())?;
        let mut deleted = Vec::new();
        for id in chosen {
            let plan = remove::plan(&self.catalog(), &self.usages(), id.as_str(), true)?;
            deleted.extend(self.remove(&plan)?);
        }
        let reclaimed = before.saturating_sub(self.disk());
        let attributes = BTreeMap::from([("reclaimed".to_owned(), reclaimed.to_string())]);
        self.events
            .publish(EventKind::Image, "prune", "", attributes);
        Ok(wire::ImagePruneResponse {
            images_deleted: (!deleted.is_empty()).then_some(deleted),
            space_reclaimed: Some(list::signed(reclaimed)),
        })
    }

    fn disk(&self) -> u64 {
        let catalog = self.catalog();
        let layers = catalog.layers();
        layers
            .iter()
            .filter_map(|layer| catalog.layer_size(layer))
            .sum()
    }

    pub(crate) fn announce(&self, action: &str, id: &Digest, name: &str) {
        self.tell(action, id, name, self.labels(id));
    }

    /// Gives an image's labels, none if it is gone.
    fn labels(&self, id: &Digest) -> BTreeMap<String, String> {
        let catalog = self.catalog();
        let config = catalog.images.get(id).map(|entry| &entry.image.config);
        let labels = config.and_then(|config| config.as_ref()?.labels.clone());
        labels.unwrap_or_default().into_iter().collect()
    }

    fn tell(&self, action: &str, id: &Digest, name: &str, labels: BTreeMap<String, String>) {
        let mut attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        attributes.extend(labels);
        info!(digest = %id, image.reference = name, action, "image");
        self.events
            .publish(EventKind::Image, action, id.as_str(), attributes);
    }
}

fn report(plan: &Plan) -> Vec<wire::ImageDeleteResponseItem> {
    let untagged = plan.untag.iter().map(|name| wire::ImageDeleteResponseItem {
        untagged: Some(name.to_string()),
        deleted: None,
    });
    let deleted = plan.delete.iter().chain(&plan.chains);
    let deleted = deleted.map(|digest| wire::ImageDeleteResponseItem {
        untagged: None,
        deleted: Some(digest.to_string()),
    });
    untagged.chain(deleted).collect()
}

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}
