//! Where remembered steps go to and come from: `--cache-to` and `--cache-from`, parsed.
//!
//! Kinds are in registries, in folders of the client, or in the image itself. What else BuildKit knows (`gha`, `s3`, `azblob`) is
//! refused by name: a build that was to be remembered somewhere must not end as if it were.

use std::collections::BTreeMap;

use hakone_base::{Digest, ImageRef};

use crate::{Error, wire::control};

/// Caches that one build may name.
const MOST: usize = 64;

/// Where a cache comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheSource {
    /// A registry, or an image of this engine.
    Image(ImageRef),
    /// A folder of the client: which of its stores, and the manifest there.
    Client(String, Digest),
}

/// Where a cache goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CachePlace {
    /// The image's own config.
    Inline,
    /// A registry.
    Registry(ImageRef),
    /// A folder of the client, by the name of its store.
    Client(String),
}

/// A cache that a build leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheExport {
    /// Where.
    pub place: CachePlace,
    /// Whether steps count that the result does not stand on.
    pub all: bool,
    /// Whether its manifest is an index, as older clients have it.
    pub index: bool,
    /// Whether the build goes well without it.
    pub optional: bool,
}

type Attributes = BTreeMap<String, String>;

impl CacheSource {
    /// Reads one `--cache-from`.
    ///
    /// # Errors
    /// When its kind is none of ours, or its attributes name nothing.
    pub fn parse(kind: &str, attributes: &Attributes) -> Result<Self, Error> {
        match kind {
            "registry" => Ok(Self::Image(reference("cache-from", attributes)?)),
            "local" => {
                let store = needed("cache-from", "src", attributes)?;
                let digest = needed("cache-from", "digest", attributes)?;
                let parsed = digest.parse::<Digest>();
                let digest = parsed
                    .ok()
                    .ok_or_else(|| Error::attribute("cache-from", &digest, "it is no digest"))?;
                Ok(Self::Client(format!("local:{store}"), digest))
            }
            other => Err(unsupported("import from", other)),
        }
    }

    /// Adds those of a request to those that its attributes name; each counts once.
    ///
    /// # Errors
    /// As [`Self::parse`], and when there are too many.
    pub fn gather<'a>(
        into: &mut Vec<Self>,
        entries: impl Iterator<Item = (&'a str, Attributes)>,
    ) -> Result<(), Error> {
        for (kind, attributes) in entries {
            let source = Self::parse(kind, &attributes)?;
            if !into.contains(&source) {
                into.push(source);
            }
        }
        match into.len() > MOST {
            true => Err(Error::Unsupported(format!("more than {MOST} caches"))),
            false => Ok(()),
        }
    }
}

impl CacheExport {
    /// Reads all `--cache-to` of a request.
    ///
    /// # Errors
    /// When one is of a kind that is none of ours, or asks for what is not done.
    pub fn all(request: &control::SolveRequest) -> Result<Vec<Self>, Error> {
        let entries = request.cache.iter().flat_map(|cache| &cache.exports);
        let parse = |entry: &control::CacheOptionsEntry| {
            let attributes = entry.attrs.clone().into_iter().collect();
            Self::parse(&entry.r#type, &attributes)
        };
        entries.take(MOST).map(parse).collect()
    }

    fn parse(kind: &str, attributes: &Attributes) -> Result<Self, Error> {
        let is = |key: &str, wanted: &str| attributes.get(key).is_some_and(|value| value == wanted);
        let place = match kind {
            "inline" => CachePlace::Inline,
            "registry" => CachePlace::Registry(reference("cache-to", attributes)?),
            "local" => {
                let store = needed("cache-to", "dest", attributes)?;
                CachePlace::Client(format!("local:{store}"))
            }
            other => return Err(unsupported("export to", other)),
        };
        let mode = attributes.get("mode").map_or("min", String::as_str);
        if !matches!(mode, "" | "min" | "max") {
            return Err(Error::attribute("mode", mode, "it is neither min nor max"));
        }
        // Layers go as they are stored: another packing would give them other digests than the image's.
        let packing = attributes.get("compression").map_or("", String::as_str);
        if !matches!(packing, "" | "uncompressed") {
            let words = format!("a cache with compression {packing:?}");
            return Err(Error::Unsupported(words));
        }
        Ok(Self {
            place,
            all: mode == "max",
            index: is("image-manifest", "false"),
            optional: is("ignore-error", "true"),
        })
    }
}

fn unsupported(what: &str, kind: &str) -> Error {
    let kind: String = kind.chars().take(64).collect();
    Error::Unsupported(format!("cache {what} {kind:?}"))
}

fn needed(flag: &str, key: &'static str, attributes: &Attributes) -> Result<String, Error> {
    let value = attributes.get(key).filter(|value| !value.is_empty());
    value
        .cloned()
        .ok_or_else(|| Error::attribute(flag, key, "it is missing"))
}

fn reference(flag: &str, attributes: &Attributes) -> Result<ImageRef, Error> {
    let text = needed(flag, "ref", attributes)?;
    let name: Result<ImageRef, _> = text.parse();
    name.map(ImageRef::with_default_tag)
        .ok()
        .ok_or_else(|| Error::attribute(flag, &text, "it is no image name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn caches_are_in_registries_folders_and_images() {
        let to = |kind: &str, pairs: &[(&str, &str)]| CacheExport::parse(kind, &attributes(pairs));
        let registry = to("registry", &[("ref", "r.example/a"), ("mode", "max")]).unwrap();
        assert!(registry.all && !registry.index);
        assert!(
            matches!(registry.place, CachePlace::Registry(name) if name.tag() == Some("latest"))
        );
        let local = to("local", &[("dest", "/x"), ("image-manifest", "false")]).unwrap();
        assert_eq!(
            (local.place, local.index),
            (CachePlace::Client("local:/x".into()), true)
        );
        assert_eq!(to("inline", &[]).unwrap().place, CachePlace::Inline);
        let digest = Digest::of(b"x").to_string();
        let from = CacheSource::parse("local", &attributes(&[("src", "/x"), ("digest", &digest)]));
        assert!(matches!(from, Ok(CacheSource::Client(store, _)) if store == "local:/x"));
    }

    #[test]
    fn what_is_elsewhere_is_refused_by_name() {
        for kind in ["gha", "s3", "azblob", ""] {
            let to = CacheExport::parse(kind, &Attributes::new()).unwrap_err();
            assert_eq!(
                to.to_string(),
                format!("cache export to {kind:?} is not supported by this engine")
            );
            assert!(CacheSource::parse(kind, &Attributes::new()).is_err());
        }
        for (kind, pairs) in [
            ("registry", &[][..]),
            ("registry", &[("ref", "NO/../name")]),
            ("local", &[]),
            ("inline", &[("mode", "most")]),
            ("local", &[("dest", "x"), ("compression", "estargz")]),
        ] {
            assert!(
                CacheExport::parse(kind, &attributes(pairs)).is_err(),
                "{kind} {pairs:?}"
            );
        }
        let bad = attributes(&[("src", "x"), ("digest", "sha256:1")]);
        assert!(CacheSource::parse("local", &bad).is_err());
    }
}
