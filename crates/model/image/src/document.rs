//! Manifests and indexes: the documents that tie blobs together.

use hakone_base::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Limits, MediaType,
    media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST},
};

/// Entries that an index may have.
const MAX_ENTRIES: usize = 1024;
/// What early Docker clients said of configs.
const OCTETS: &str = "application/octet-stream";

/// A pointer to a blob: what it is, which bytes, how many.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size; a negative one does not parse.
    pub size: u64,
    /// For what machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free notes, such as the reference's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// A kind of machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Platform {
    /// The CPU architecture, in Go's words.
    pub architecture: String,
    /// The operating system.
    pub os: String,
    /// The variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// One image: a config and its layers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What the document says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The config blob.
    pub config: Descriptor,
    /// The layer blobs, lowest first.
    pub layers: Vec<Descriptor>,
    /// Free notes of its maker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// Several images, one for each platform.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// What the document says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The images.
    pub manifests: Vec<Descriptor>,
    /// Free notes of its maker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// A document that is either one image or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several images.
    Index(Index),
}

impl Document {
    /// Parses a document and refuses one that could be read as both kinds.
    ///
    /// # Errors
    /// When it is too large, ambiguous, or neither kind.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        const WHAT: &str = "manifest";
        check_size(WHAT, bytes, limits)?;
        let json = |source| Error::Json { what: WHAT, source };
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(json)?;
        let has = |key| value.get(key).is_some();
        match (has("layers") || has("config"), has("manifests")) {
            (true, true) => Err(Error::Ambiguous),
            (false, true) => Index::checked(serde_json::from_value(value).map_err(json)?),
            _ => Manifest::checked(serde_json::from_value(value).map_err(json)?),
        }
    }
}

impl Index {
    fn checked(self) -> Result<Document, Error> {
        check_type(self.media_type.as_deref(), MediaType::Index, OCI_INDEX)?;
        match self.manifests.len() {
            count if count > MAX_ENTRIES => Err(Error::TooLarge {
                what: "index",
                size: count as u64,
                limit: MAX_ENTRIES as u64,
            }),
            _ => Ok(Document::Index(self)),
        }
    }

    /// Chooses the entry for a platform; an entry that names none fits when it is the only one.
    ///
    /// # Errors
    /// When no entry fits.
    pub fn select(&self, wanted: &Platform) -> Result<&Descriptor, Error> {
        let images = || {
            self.manifests.iter().filter(|entry| {
                matches!(
                    MediaType::of(&entry.media_type),
                    MediaType::Manifest | MediaType::Index
                )
            })
        };
        let fits = |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|p| p.runs(wanted));
        let variant = |entry: &Descriptor| entry.platform.as_ref().and_then(|p| p.variant.clone());
        // The newest variant that runs, and of equal ones the first.
        let exact =
            images()
                .filter(fits)
                .reduce(|best, next| match variant(next) > variant(best) {
                    true => next,
                    false => best,
                });
        let lone = || {
            images()
                .next()
                .filter(|e| images().count() == 1 && e.platform.is_none())
        };
        exact
            .or_else(lone)
            .ok_or_else(|| Error::NoPlatform(wanted.to_string()))
    }

    /// Makes an index of these entries.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_INDEX.to_owned()),
            manifests,
            annotations: None,
        }
    }
}

impl Manifest {
    fn checked(self) -> Result<Document, Error> {
        check_type(
            self.media_type.as_deref(),
            MediaType::Manifest,
            OCI_MANIFEST,
        )?;
        Ok(Document::Manifest(self))
    }

    /// Checks that this is an image that can run here: no artifact, no layer that would have to be fetched from elsewhere.
    ///
    /// # Errors
    /// What it is instead.
    pub fn require_image(&self) -> Result<(), Error> {
        let config = self.config.media_type.as_str();
        if MediaType::of(config) != MediaType::Config && config != OCTETS {
            return Err(Error::Artifact(config.to_owned()));
        }
        let refuse = |layer: &Descriptor| match MediaType::of(&layer.media_type) {
            MediaType::Layer(_) => None,
            MediaType::Foreign => Some(Error::Foreign(layer.digest.clone())),
            MediaType::Index | MediaType::Manifest | MediaType::Config | MediaType::Other => {
                Some(Error::Artifact(layer.media_type.clone()))
            }
        };
        self.layers.iter().find_map(refuse).map_or(Ok(()), Err)
    }

    /// Makes a manifest of a config and layers.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            config,
            layers,
            annotations: None,
        }
    }
}

impl Descriptor {
    /// Describes bytes.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            annotations: None,
        }
    }

    /// Describes a config blob.
    #[must_use]
    pub fn config(digest: Digest, size: u64) -> Self {
        Self::new(OCI_CONFIG, digest, size)
    }

    /// Describes a manifest.
    #[must_use]
    pub fn manifest(media_type: Option<&str>, digest: Digest, size: u64) -> Self {
        Self::new(media_type.unwrap_or(OCI_MANIFEST), digest, size)
    }
}

impl Platform {
    /// Gives the platform of a machine, by Rust's name of its architecture.
    #[must_use]
    pub fn of(architecture: &str) -> Self {
        let (architecture, variant) = match architecture {
            "x86_64" => ("amd64", None),
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "x86" => ("386", None),
            "powerpc64" => ("ppc64le", None),
            other => (other, None),
        };
        Self {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: variant.map(str::to_owned),
        }
    }

    /// Reports whether a machine of the platform `host` runs what is made for this one.
    #[must_use]
    pub fn runs(&self, host: &Self) -> bool {
        let variant = match (&self.variant, &host.variant) {
            (Some(own), Some(host)) => own <= host,
            (None, _) | (Some(_), None) => true,
        };
        variant && self.os == host.os && self.architecture == host.architecture
    }
}

impl std::str::FromStr for Platform {
    type Err = Error;

    /// Reads `os[/architecture[/variant]]` as `--platform` has it, or an architecture alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || Error::Platform(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        let known = |word: &&str| {
            word.starts_with(|c: char| c.is_ascii_alphanumeric())
                && word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        if !parts.iter().all(known) {
            return Err(refuse());
        }
        let (os, architecture, variant) = match parts.as_slice() {
            ["linux"] => ("linux", std::env::consts::ARCH, None),
            [architecture] => ("linux", *architecture, None),
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some((*variant).to_owned())),
            _ => return Err(refuse()),
        };
        let usual = Self::of(match architecture {
            "x86-64" => "x86_64",
            "i386" | "i686" => "x86",
            "armhf" => "arm",
            other => other,
        });
        Ok(Self {
            os: os.to_owned(),
            variant: variant.or(usual.variant),
            architecture: usual.architecture,
        })
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

pub(crate) fn check_size(what: &'static str, bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    match bytes.len() as u64 {
        size if size > limits.document => Err(Error::TooLarge {
            what,
            size,
            limit: limits.document,
        }),
        _ => Ok(()),
    }
}

fn check_type(found: Option<&str>, meant: MediaType, name: &str) -> Result<(), Error> {
    match found {
        Some(found) if !found.is_empty() && MediaType::of(found) != meant => {
            Err(Error::MediaType {
                announced: name.to_owned(),
                found: found.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Document, Error> {
        Document::parse(text.as_bytes(), &Limits::default())
    }

    fn entry(architecture: &str) -> Descriptor {
        Descriptor {
            platform: Some(Platform {
                architecture: architecture.into(),
                os: "linux".into(),
                variant: None,
            }),
            ..Descriptor::manifest(None, Digest::of(architecture.as_bytes()), 7)
        }
    }

    #[test]
    fn a_document_of_two_kinds_is_refused() {
        let both = r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#;
        assert!(matches!(parse(both), Err(Error::Ambiguous)));
        let lying = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":{"mediaType":"x","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
        assert!(matches!(parse(lying), Err(Error::MediaType { .. })));
    }

    #[test]
    fn a_negative_size_is_refused() {
        let text = r#"{"schemaVersion":2,"layers":[],"config":{"mediaType":"x","size":-1,"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}"#;
        assert!(matches!(parse(text), Err(Error::Json { .. })));
    }

    #[test]
    fn a_document_above_four_megabytes_is_refused() {
        let text = format!("{{\"pad\":\"{}\"}}", "x".repeat(4 << 20));
        assert!(matches!(parse(&text), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn platforms_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Platform>().unwrap().to_string();
        assert_eq!(read("linux/amd64"), "linux/amd64");
        assert_eq!(read("linux/x86_64"), "linux/amd64");
        assert_eq!(read("arm64"), "linux/arm64");
        assert_eq!(read("aarch64"), "linux/arm64/v8");
        assert_eq!(read("linux/arm/v6"), "linux/arm/v6");
        for bad in ["", "linux/", "a/b/c/d", "linux/am d64", "../x"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_newest_variant_that_runs_is_chosen() {
        let arm = |variant: &str| Descriptor {
            platform: Some(Platform {
                architecture: "arm".into(),
                os: "linux".into(),
                variant: Some(variant.into()),
            }),
            ..Descriptor::manifest(None, Digest::of(variant.as_bytes()), 7)
        };
        let index = Index::new(vec![arm("v5"), arm("v7"), arm("v6"), arm("v8")]);
        let wanted = "linux/arm/v7".parse().unwrap();
        assert_eq!(index.select(&wanted).unwrap(), &arm("v7"));
    }

    #[test]
    fn artifacts_and_foreign_layers_are_no_images() {
        let config = Descriptor::config(Digest::of(b"c"), 1);
        let layer = |kind: &str| Descriptor::new(kind, Digest::of(b"l"), 1);
        let check = |config: &Descriptor, kind: &str| {
            Manifest::new(config.clone(), vec![layer(kind)]).require_image()
        };
        let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
        assert!(check(&config, tar).is_ok());
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        assert!(matches!(check(&config, foreign), Err(Error::Foreign(_))));
        assert!(matches!(check(&config, "text/x"), Err(Error::Artifact(_))));
        let empty = Descriptor::new("application/vnd.oci.empty.v1+json", Digest::of(b"{}"), 2);
        assert!(matches!(check(&empty, tar), Err(Error::Artifact(_))));
    }

    #[test]
    fn the_entry_of_this_machine_is_chosen() {
        let index = Index::new(vec![entry("arm64"), entry("amd64")]);
        let wanted = Platform::of("x86_64");
        assert_eq!(index.select(&wanted).unwrap(), &entry("amd64"));
        let other = Index::new(vec![entry("s390x")]);
        assert!(matches!(other.select(&wanted), Err(Error::NoPlatform(_))));
    }
}
