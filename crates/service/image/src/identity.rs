//! Which documents an image stands for: what its name means to a registry, and what is below that.
//!
//! An image's id here is its config's digest, as in Docker's own store. The descriptor tells the rest: the manifest that it came with or is
//! pushed with, or the index that is pushed in its place with attestations and other platforms ([`crate::record::OutgoingRecord`]).
//! Derived for each answer from blobs that are kept anyway; what cannot be read is left out, as an answer of older stores leaves it out.

use std::{collections::HashMap, fs};

use hakone_base::Digest;
use hakone_engine_api::wire;
use hakone_image_model::{Descriptor, Document, Index, Limits, Manifest, Platform};

use crate::{
    Usage, catalog::Entry, list::signed, record::OutgoingRecord, registry::describe, store::Store,
};

/// The annotation by which a build says what a manifest is, and the word for statements about another one.
const KIND: &str = "vnd.docker.reference.type";
const ATTESTATION: &str = "attestation-manifest";
/// The annotation that names the other one.
const ABOUT: &str = "vnd.docker.reference.digest";

/// An image whose documents are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) store: &'a Store,
    pub(crate) entry: &'a Entry,
    pub(crate) usages: &'a [Usage],
}

impl Identity<'_> {
    /// Gives what the image's name means: a manifest or an index.
    pub(crate) fn target(self) -> Option<Descriptor> {
        match self.outgoing() {
            Some((described, _)) => Some(described),
            None => self.manifest(),
        }
    }

    /// Gives the manifest of what runs here.
    pub(crate) fn manifest(self) -> Option<Descriptor> {
        let described = describe(self.store, &self.entry.record).ok()?;
        let mut descriptor = described.descriptor;
        descriptor.platform = Some(self.platform());
        Some(descriptor)
    }

    /// Lists the manifests below the image's name: its own, those of other platforms, those that attest.
    pub(crate) fn manifests(self) -> Vec<wire::ImageManifestSummary> {
        let below = match self.outgoing() {
            Some((_, Document::Index(Index { manifests, .. }))) => manifests,
            Some((described, Document::Manifest(_))) => vec![described],
            None => self.manifest().into_iter().collect(),
        };
        below.iter().map(|one| self.summary(one)).collect()
    }

    fn platform(self) -> Platform {
        let image = &self.entry.image;
        Platform {
            architecture: image.architecture.clone(),
            os: "linux".to_owned(),
            variant: image.variant.clone(),
        }
    }

    /// Gives what is pushed in the image's place, and reads it.
    fn outgoing(self) -> Option<(Descriptor, Document)> {
        let (digest, kind) = self.entry.record.outgoing.as_ref()?.manifests.last()?;
        let (text, document) = self.read(digest)?;
        let described = Descriptor::new(kind, digest.clone(), text.len() as u64);
        Some((described, document))
    }

    fn read(self, digest: &Digest) -> Option<(Vec<u8>, Document)> {
        let text = fs::read(self.store.blob(digest)).ok()?;
        let document = Document::parse(&text, &Limits::default()).ok()?;
        Some((text, document))
    }

    fn summary(self, descriptor: &Descriptor) -> wire::ImageManifestSummary {
        let found = self.content(descriptor);
        let content = found
            .as_ref()
            .map_or(0, |manifest| descriptor.size.saturating_add(sum(manifest)));
        let own = found
            .as_ref()
            .is_some_and(|manifest| manifest.config.digest == self.entry.record.id);
        let unpacked = if own { self.entry.size() } else { 0 };
        let note = |key: &str| {
            descriptor
                .annotations
                .as_ref()
                .and_then(|notes| notes.get(key))
        };
        let attests = note(KIND).is_some_and(|kind| kind == ATTESTATION);
        wire::ImageManifestSummary {
            id: descriptor.digest.to_string(),
            descriptor: shown(descriptor),
            available: found.is_some(),
            size: wire::ImageManifestSummarySize {
                content: signed(content),
                total: signed(content.saturating_add(unpacked)),
            },
            kind: Some(match attests {
                true => wire::ImageManifestSummaryKindEnum::ATTESTATION,
                false => wire::ImageManifestSummaryKindEnum::IMAGE,
            }),
            image_data: (!attests).then(|| self.image_data(descriptor, own, unpacked)),
            attestation_data: attests.then(|| wire::ImageManifestSummaryAttestationData {
                _for: note(ABOUT).cloned().unwrap_or_default(),
            }),
        }
    }

    fn image_data(
        self,
        descriptor: &Descriptor,
        own: bool,
        unpacked: u64,
    ) -> wire::ImageManifestSummaryImageData {
        let said = descriptor.platform.clone();
        let platform = if own {
            said.or_else(|| Some(self.platform()))
        } else {
            said
        };
        let using = self
            .usages
            .iter()
            .filter(|usage| own && usage.image == self.entry.record.id);
        wire::ImageManifestSummaryImageData {
            platform: platform.as_ref().map(shown_platform).unwrap_or_default(),
            containers: using.map(|usage| usage.container.to_string()).collect(),
            size: wire::ImageManifestSummaryImageDataSize {
                unpacked: signed(unpacked),
            },
        }
    }

    /// Gives a manifest all of whose content is here.
    fn content(self, descriptor: &Descriptor) -> Option<Manifest> {
        let manifest = match describe(self.store, &self.entry.record).ok() {
            // One that was made of what is stored lies nowhere.
            Some(own) if own.descriptor.digest == descriptor.digest => {
                Document::parse(&own.bytes, &Limits::default()).ok()?
            }
            _ => self.read(&descriptor.digest)?.1,
        };
        let Document::Manifest(manifest) = manifest else {
            return None;
        };
        let whole = blobs(&manifest).all(|blob| self.keeps(&blob.digest));
        whole.then_some(manifest)
    }

    fn keeps(self, blob: &Digest) -> bool {
        let record = &self.entry.record;
        let beside = |outgoing: &OutgoingRecord| outgoing.blobs.contains_key(blob);
        record.id == *blob
            || record.layers.iter().any(|layer| layer.blob == *blob)
            || record.outgoing.as_ref().is_some_and(beside)
    }
}

fn blobs(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    std::iter::once(&manifest.config).chain(&manifest.layers)
}

fn sum(manifest: &Manifest) -> u64 {
    blobs(manifest).fold(0, |sum, blob| sum.saturating_add(blob.size))
}

/// Puts a descriptor into the API's shape.
pub(crate) fn shown(descriptor: &Descriptor) -> wire::OciDescriptor {
    wire::OciDescriptor {
        media_type: Some(descriptor.media_type.clone()),
        digest: Some(descriptor.digest.to_string()),
        size: Some(signed(descriptor.size)),
        annotations: descriptor
            .annotations
            .as_ref()
            .map(|notes| notes.clone().into_iter().collect::<HashMap<_, _>>()),
        platform: descriptor.platform.as_ref().map(shown_platform),
        ..wire::OciDescriptor::default()
    }
}

fn shown_platform(platform: &Platform) -> wire::OciPlatform {
    wire::OciPlatform {
        architecture: Some(platform.architecture.clone()),
        os: Some(platform.os.clone()),
        variant: platform.variant.clone(),
        ..wire::OciPlatform::default()
    }
}
