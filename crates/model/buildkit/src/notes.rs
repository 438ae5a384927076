//! Annotations that an exporter is to write: `annotation.KEY`, `annotation-index.KEY`, `annotation-manifest[linux/amd64].KEY`.
//!
//! Four places have them: the manifest of an image, its entry in an index, the index of images, and the index's own entry above it.
//! They come from a client's user and go into documents that others read, so their number and length have limits.

use std::collections::BTreeMap;

use crate::Error;

/// Annotations in one exporter.
const MOST: usize = 256;
/// Characters of a key and a value together.
const LONGEST: usize = 16 << 10;

/// Where an annotation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// In the manifest of an image.
    Manifest,
    /// In the entry of an image in its index.
    ManifestDescriptor,
    /// In the index of images.
    Index,
    /// In the entry of what the archive names first.
    IndexDescriptor,
}

/// The annotations of one exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(Vec<Note>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    place: Noted,
    /// Of one platform alone.
    platform: Option<String>,
    key: String,
    value: String,
}

impl Notes {
    /// Reads those of an exporter's attributes.
    ///
    /// # Errors
    /// When one has no key, a place that there is not, or there are too many.
    pub fn parse(attributes: &BTreeMap<String, String>) -> Result<Self, Error> {
        let ours = attributes.iter().filter(|(name, _)| is_note(name));
        let notes: Result<Vec<Note>, Error> =
            ours.map(|(name, value)| Note::parse(name, value)).collect();
        let notes = notes?;
        match notes.len() {
            count if count > MOST => {
                Err(Error::Unsupported(format!("more than {MOST} annotations")))
            }
            _ => Ok(Self(notes)),
        }
    }

    /// Gives what is written in a place, for the image of a platform.
    #[must_use]
    pub fn of(&self, place: Noted, platform: &str) -> BTreeMap<String, String> {
        let fits = |note: &&Note| {
            let own = note.platform.as_deref();
            note.place == place && own.is_none_or(|own| own == platform)
        };
        let notes = self.0.iter().filter(fits);
        notes
            .map(|note| (note.key.clone(), note.value.clone()))
            .collect()
    }

    /// Reports whether nothing is to be written anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reports whether some stand in an index, which a single image without statements has none of.
    #[must_use]
    pub fn want_index(&self) -> bool {
        let in_index = |note: &Note| match note.place {
            Noted::Index | Noted::ManifestDescriptor => true,
            Noted::Manifest | Noted::IndexDescriptor => false,
        };
        self.0.iter().any(in_index)
    }
}

pub(crate) fn is_note(name: &str) -> bool {
    name.starts_with("annotation.")
        || name.starts_with("annotation-")
        || name.starts_with("annotation[")
}

impl Note {
    fn parse(name: &str, value: &str) -> Result<Self, Error> {
        let refuse = |reason| Error::attribute(name, value, reason);
        let rest = name.strip_prefix("annotation").unwrap_or_default();
        let (place, key) = match rest.split_once('[') {
            Some((place, rest)) if !place.contains('.') => {
                let (platform, rest) = rest.split_once(']').ok_or_else(|| refuse("no platform"))?;
                let key = rest.strip_prefix('.').ok_or_else(|| refuse("no key"))?;
                ((place, Some(platform)), key)
            }
            _ => {
                let (place, key) = rest.split_once('.').ok_or_else(|| refuse("no key"))?;
                ((place, None), key)
            }
        };
        let (place, platform) = place;
        let place = match place {
            "" | "-manifest" => Noted::Manifest,
            "-manifest-descriptor" => Noted::ManifestDescriptor,
            "-index" => Noted::Index,
            "-index-descriptor" => Noted::IndexDescriptor,
            _ => return Err(refuse("there is no such place")),
        };
        let of_index = matches!(place, Noted::Index | Noted::IndexDescriptor);
        match key.is_empty() || key.len() + value.len() > LONGEST {
            true => Err(refuse("a key, or less text, is needed")),
            false if of_index && platform.is_some() => Err(refuse("an index is of no platform")),
            false => Ok(Self {
                place,
                platform: platform.map(str::to_owned),
                key: key.to_owned(),
                value: value.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Notes, Error> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Notes::parse(&pairs.iter().map(own).collect())
    }

    #[test]
    fn each_place_has_its_own() {
        let notes = parse(&[
            ("annotation.org.a", "1"),
            ("annotation-manifest[linux/arm64].b", "2"),
            ("annotation-index.c.d", "3"),
            ("annotation-manifest-descriptor.e", "4"),
            ("annotation-index-descriptor.f", "5"),
            ("name", "app"),
        ])
        .unwrap();
        let of = |place, platform| {
            let keys = notes.of(place, platform).into_keys();
            keys.collect::<Vec<_>>()
        };
        assert_eq!(of(Noted::Manifest, "linux/amd64"), ["org.a"]);
        assert_eq!(of(Noted::Manifest, "linux/arm64"), ["b", "org.a"]);
        assert_eq!(of(Noted::Index, ""), ["c.d"]);
        assert_eq!(of(Noted::ManifestDescriptor, "linux/amd64"), ["e"]);
        assert_eq!(of(Noted::IndexDescriptor, ""), ["f"]);
        assert!(notes.want_index());
        assert!(!parse(&[("annotation.x", "")]).unwrap().want_index());
    }

    #[test]
    fn what_is_no_annotation_is_refused() {
        for name in [
            "annotation.",
            "annotation-index[linux/amd64].x",
            "annotation-layer.x",
            "annotation[linux/amd64",
            "annotation[linux/amd64]x",
        ] {
            assert!(parse(&[(name, "1")]).is_err(), "{name}");
        }
        let long = "v".repeat(LONGEST);
        assert!(parse(&[("annotation.k", &long)]).is_err());
    }
}
