//! The images as a value: which there are, what they are called, which one a text means.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hakone_base::{Digest, ImageRef};
use hakone_image_model::Image;

use crate::{Error, record::ImageRecord};

/// An image's record with its config parsed.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) record: ImageRecord,
    pub(crate) image: Arc<Image>,
}

/// All images and their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) images: BTreeMap<Digest, Entry>,
    pub(crate) names: BTreeMap<ImageRef, Digest>,
}

/// What a text meant.
#[derive(Clone, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) entry: &'a Entry,
    /// The name that was meant; nothing when the text was an id or a part of one.
    pub(crate) name: Option<ImageRef>,
}

impl Entry {
    /// Sums the bytes of the image's files, a layer that occurs twice counted twice, as Docker does.
    pub(crate) fn size(&self) -> u64 {
        self.record.layers.iter().map(|layer| layer.size).sum()
    }
}

impl Catalog {
    /// Finds an image by name, id, or the beginning of an id.
    pub(crate) fn find(&self, text: &str) -> Result<Found<'_>, Error> {
        let by_id = |entry| Found { entry, name: None };
        if let Ok(id) = full_id(text).parse::<Digest>() {
            return self.shown(&id).map(by_id).ok_or_else(|| missing(text));
        }
        let reference = text.parse::<ImageRef>().map(ImageRef::with_default_tag);
        if let Some(found) = reference.as_ref().ok().and_then(|name| self.named(name)) {
            return Ok(found);
        }
        match (self.by_prefix(text), reference) {
            (Some(entry), _) => Ok(by_id(entry)),
            (None, Ok(reference)) => Err(missing(&reference.to_string())),
            (None, Err(error)) => Err(error.into()),
        }
    }

    fn named(&self, name: &ImageRef) -> Option<Found<'_>> {
        let exact = self.names.get(name);
        // `name:tag@digest` means the digest; the tag is a comment.
        let by_digest = || {
            let digest = name.digest()?;
            let same = |other: &&ImageRef| {
                other.digest() == Some(digest) && other.familiar_name() == name.familiar_name()
            };
            self.names
                .keys()
                .find(same)
                .and_then(|key| self.names.get(key))
        };
        let entry = self.shown(exact.or_else(by_digest)?)?;
        Some(Found {
            entry,
            name: Some(name.clone()),
        })
    }

    fn by_prefix(&self, text: &str) -> Option<&Entry> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        if digits.is_empty()
            || !digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            return None;
        }
        let mut fitting = self
            .visible()
            .filter(|entry| entry.record.id.hex().starts_with(digits));
        match (fitting.next(), fitting.next()) {
            (Some(entry), None) => Some(entry),
            _ => None,
        }
    }

    fn shown(&self, id: &Digest) -> Option<&Entry> {
        self.images.get(id).filter(|entry| !entry.record.hidden)
    }

    /// Gives every image that people see.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &Entry> {
        self.images.values().filter(|entry| !entry.record.hidden)
    }

    /// Lists the images that people do not see.
    pub(crate) fn hidden(&self) -> Vec<Digest> {
        let hidden = self.images.values().filter(|entry| entry.record.hidden);
        hidden.map(|entry| entry.record.id.clone()).collect()
    }

    /// Reports whether people see an image, and under all these names.
    pub(crate) fn shows(&self, id: &Digest, names: &[ImageRef]) -> bool {
        self.shown(id).is_some() && names.iter().all(|name| self.names.get(name) == Some(id))
    }

    /// Gives the names of an image, in order.
    pub(crate) fn names_of<'a>(&'a self, id: &'a Digest) -> impl Iterator<Item = &'a ImageRef> {
        self.names
            .iter()
            .filter(move |(_, target)| *target == id)
            .map(|(name, _)| name)
    }

    /// Gives the tags of an image as people write them.
    pub(crate) fn tags_of(&self, id: &Digest) -> Vec<String> {
        let tags = self.names_of(id).filter(|name| name.digest().is_none());
        tags.map(ToString::to_string).collect()
    }

    /// Gives the `name@digest` forms of an image.
    pub(crate) fn digests_of(&self, id: &Digest) -> Vec<String> {
        let digests = self
            .names_of(id)
            .filter_map(|name| Some((name, name.digest()?)));
        let forms: BTreeSet<String> = digests
            .map(|(name, digest)| format!("{}@{digest}", name.familiar_name()))
            .collect();
        forms.into_iter().collect()
    }

    /// Collects the unpacked layers that some image needs.
    pub(crate) fn layers(&self) -> BTreeSet<Digest> {
        let layers = self.images.values().flat_map(|entry| &entry.record.layers);
        layers.map(|layer| layer.diff_id.clone()).collect()
    }

    /// Collects the blobs that some image needs.
    pub(crate) fn blobs(&self) -> BTreeSet<Digest> {
        let mut blobs = BTreeSet::new();
        for entry in self.images.values() {
            blobs.insert(entry.record.id.clone());
            blobs.extend(entry.record.manifest.clone());
            blobs.extend(entry.record.layers.iter().map(|layer| layer.blob.clone()));
            let outgoing = entry.record.outgoing.iter();
            blobs.extend(outgoing.flat_map(|other| other.digests().cloned()));
        }
        blobs
    }

    /// Finds the size of a layer's files, when some image has it.
    pub(crate) fn layer_size(&self, diff_id: &Digest) -> Option<u64> {
        let mut layers = self.images.values().flat_map(|entry| &entry.record.layers);
        layers
            .find(|layer| layer.diff_id == *diff_id)
            .map(|layer| layer.size)
    }
}

/// Gives the first 12 digits of an image's id, as shown to people.
pub(crate) fn short(id: &Digest) -> String {
    id.hex().chars().take(12).collect()
}

fn full_id(text: &str) -> String {
    match text.len() {
        64 => format!("sha256:{text}"),
        _ => text.to_owned(),
    }
}

fn missing(text: &str) -> Error {
    Error::NotFound(text.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use hakone_base::Timestamp;
    use hakone_image_model::Limits;

    use super::*;
    use crate::record::LayerRecord;

    /// A catalog of images whose only layer is named after them.
    pub(crate) fn catalog(images: &[(&str, &[&str])]) -> Catalog {
        let mut catalog = Catalog::default();
        for (seed, names) in images {
            let entry = entry(seed);
            for name in *names {
                catalog
                    .names
                    .insert(name.parse().unwrap(), entry.record.id.clone());
            }
            catalog.images.insert(entry.record.id.clone(), entry);
        }
        catalog
    }

    pub(crate) fn entry(seed: &str) -> Entry {
        let id = Digest::of(seed.as_bytes());
        let config = format!(
            r#"{{"os":"linux","architecture":"amd64","created":"2026-01-01T00:00:00Z","config":{{"Labels":{{"seed":"{seed}"}}}},"rootfs":{{"type":"layers","diff_ids":["{id}"]}}}}"#
        );
        let layer = LayerRecord {
            diff_id: id.clone(),
            blob: id.clone(),
            blob_size: 10,
            media_type: String::new(),
            size: 7,
        };
        let record = ImageRecord {
            id,
            manifest: None,
            layers: vec![layer],
            tagged: Timestamp::NEVER,
            hidden: false,
            outgoing: None,
        };
        let image = Image::parse(config.as_bytes(), &Limits::default()).unwrap();
        Entry {
            record,
            image: Arc::new(image),
        }
    }

    #[test]
    fn an_image_is_found_by_name_id_and_prefix() {
        let catalog = catalog(&[("a", &["app:latest"]), ("b", &[])]);
        let id = Digest::of(b"a");
        for text in [
            "app",
            "docker.io/library/app:latest",
            id.as_str(),
            id.hex(),
            &id.hex()[..6],
        ] {
            assert_eq!(catalog.find(text).unwrap().entry.record.id, id, "{text}");
        }
        assert!(catalog.find("app").unwrap().name.is_some());
        assert!(catalog.find(id.hex()).unwrap().name.is_none());
    }

    #[test]
    fn what_is_missing_is_named_as_docker_names_it() {
        let catalog = catalog(&[]);
        let message = |text| catalog.find(text).unwrap_err().to_string();
        assert_eq!(message("nope"), "No such image: nope:latest");
        assert_eq!(
            message("UP"),
            "invalid reference format: repository name (UP) must be lowercase"
        );
    }

    #[test]
    fn an_ambiguous_prefix_finds_nothing() {
        let mut catalog = Catalog::default();
        let first = entry("a");
        for last in ["0", "1"] {
            let mut twin = first.clone();
            let id = format!("sha256:{}{last}", &first.record.id.hex()[..63]);
            twin.record.id = id.parse().unwrap();
            catalog.images.insert(twin.record.id.clone(), twin);
        }
        let prefix = &first.record.id.hex()[..12];
        assert!(matches!(catalog.find(prefix), Err(Error::NotFound(_))));
    }

    #[test]
    fn a_hidden_image_is_not_found_but_keeps_its_layers() {
        let mut catalog = catalog(&[("a", &[])]);
        let id = Digest::of(b"a");
        catalog.images.get_mut(&id).unwrap().record.hidden = true;
        assert!(catalog.find(id.as_str()).is_err());
        assert!(catalog.layers().contains(&id));
    }
}
