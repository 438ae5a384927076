//! All repositories as a value in memory: which blobs, manifests and tags each has, and what refers to what.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hakone_base::Timestamp;
use hakone_registry_api::{
    ContentDigest, Held, Kind, Links, Manifest, Referrer, RepositoryName, Tag,
};

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) repositories: BTreeMap<RepositoryName, Repository>,
}

/// One repository.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) tags: BTreeMap<Tag, ContentDigest>,
    pub(crate) manifests: BTreeMap<ContentDigest, Entry>,
    /// Blobs that came, and when.
    pub(crate) links: BTreeMap<ContentDigest, (u64, Timestamp)>,
    /// Which manifests are about which; derived.
    about: BTreeMap<ContentDigest, BTreeSet<ContentDigest>>,
    /// Blobs by size, come or referred to; derived.
    known: BTreeMap<ContentDigest, u64>,
}

/// One manifest.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) media_type: String,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) pushed: Timestamp,
    blobs: Vec<ContentDigest>,
    sizes: Vec<u64>,
    manifests: Vec<ContentDigest>,
    subject: Option<ContentDigest>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Entry {
    pub(crate) fn new(manifest: Manifest, size: u64, pushed: Timestamp) -> Self {
        let shown = manifest.subject.is_some();
        Self {
            media_type: manifest.media_type,
            kind: manifest.kind,
            size,
            pushed,
            sizes: manifest.blobs.iter().map(|blob| blob.size).collect(),
            blobs: manifest.blobs.into_iter().map(|blob| blob.digest).collect(),
            manifests: manifest
                .manifests
                .into_iter()
                .map(|one| one.digest)
                .collect(),
            subject: manifest.subject.map(|subject| subject.digest),
            artifact_type: manifest.artifact_type.filter(|_| shown),
            annotations: manifest.annotations.filter(|_| shown),
        }
    }

    pub(crate) fn referrer(&self, digest: &ContentDigest) -> Referrer {
        Referrer {
            media_type: self.media_type.clone(),
            digest: digest.clone(),
            size: self.size,
            artifact_type: self.artifact_type.clone(),
            annotations: self.annotations.clone(),
        }
    }
}

impl Catalog {
    /// Reports whether anything needs this content.
    pub(crate) fn needs(&self, digest: &ContentDigest) -> bool {
        self.repositories.values().any(|repository| {
            repository.known.contains_key(digest) || repository.manifests.contains_key(digest)
        })
    }

    /// Sums the bytes of all content, what several repositories have counted once.
    pub(crate) fn size(&self) -> u64 {
        let mut content: BTreeMap<&ContentDigest, u64> = BTreeMap::new();
        for repository in self.repositories.values() {
            content.extend(
                repository
                    .known
                    .iter()
                    .map(|(digest, size)| (digest, *size)),
            );
            content.extend(
                repository
                    .manifests
                    .iter()
                    .map(|(digest, entry)| (digest, entry.size)),
            );
        }
        content.values().sum()
    }
}

impl Repository {
    /// Reports whether there is anything in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.manifests.is_empty() && self.links.is_empty()
    }

    /// Gives the size of a blob that this repository has.
    pub(crate) fn blob(&self, digest: &ContentDigest) -> Option<u64> {
        self.known.get(digest).copied()
    }

    /// Sums the bytes of its content.
    pub(crate) fn size(&self) -> u64 {
        let manifests = self.manifests.values().map(|entry| entry.size);
        self.known.values().copied().chain(manifests).sum()
    }

    pub(crate) fn link(&mut self, digest: ContentDigest, size: u64, since: Timestamp) {
        self.known.insert(digest.clone(), size);
        self.links.insert(digest, (size, since));
    }

    pub(crate) fn insert(&mut self, digest: ContentDigest, entry: Entry) {
        self.index(&digest, &entry);
        self.manifests.insert(digest, entry);
    }

    fn index(&mut self, digest: &ContentDigest, entry: &Entry) {
        let sized = entry.blobs.iter().cloned().zip(entry.sizes.iter().copied());
        self.known.extend(sized);
        if let Some(subject) = &entry.subject {
            self.about
                .entry(subject.clone())
                .or_default()
                .insert(digest.clone());
        }
    }

    /// Takes manifests and links away, and what was derived from them.
    pub(crate) fn remove(&mut self, manifests: &[ContentDigest], links: &[ContentDigest]) {
        self.manifests
            .retain(|digest, _| !manifests.contains(digest));
        self.links.retain(|digest, _| !links.contains(digest));
        self.known = self
            .links
            .iter()
            .map(|(digest, (size, _))| (digest.clone(), *size))
            .collect();
        self.about.clear();
        for (digest, entry) in &self.manifests.clone() {
            self.index(digest, entry);
        }
    }

    /// Notes when a manifest was wanted last.
    pub(crate) fn touch(&mut self, digest: &ContentDigest, now: Timestamp) {
        if let Some(entry) = self.manifests.get_mut(digest) {
            entry.pushed = now;
        }
    }

    /// Gives the manifests that need a blob.
    pub(crate) fn users_of(&self, blob: &ContentDigest) -> Option<&ContentDigest> {
        let mut using = self
            .manifests
            .iter()
            .filter(|(_, entry)| entry.blobs.contains(blob));
        using.next().map(|(digest, _)| digest)
    }

    /// Gives the tags that mean a manifest.
    pub(crate) fn tags_of(&self, digest: &ContentDigest) -> Vec<Tag> {
        let meaning = self.tags.iter().filter(|(_, meant)| *meant == digest);
        meaning.map(|(tag, _)| tag.clone()).collect()
    }

    /// Gives what is about a manifest.
    pub(crate) fn referrers(&self, subject: &ContentDigest) -> Vec<Referrer> {
        let about = self.about.get(subject).into_iter().flatten();
        about
            .filter_map(|digest| Some(self.manifests.get(digest)?.referrer(digest)))
            .collect()
    }

    /// Gives all of it as what the collection judges.
    pub(crate) fn held(&self, now: Timestamp) -> Held<'_> {
        let age = |since: Timestamp| now.since(since);
        let links = |entry: &Entry| age(entry.pushed);
        Held {
            tagged: self.tags.values().collect(),
            manifests: self
                .manifests
                .iter()
                .map(|(digest, entry)| (digest, entry.links(links(entry))))
                .collect(),
            uploaded: self
                .links
                .iter()
                .map(|(digest, (_, since))| (digest, age(*since)))
                .collect(),
        }
    }
}

impl Entry {
    fn links(&self, age: Duration) -> Links<'_> {
        Links {
            blobs: &self.blobs,
            manifests: &self.manifests,
            subject: self.subject.as_ref(),
            age,
        }
    }
}
