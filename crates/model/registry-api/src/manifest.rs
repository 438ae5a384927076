//! Manifests as a registry sees them: bytes that are kept as they came, and what they refer to.
//!
//! A document that one reader takes for an image and another for an index (CVE-2021-41190) is refused, as is one that names a
//! member twice, or says of itself something else than its Content-Type does.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Code, ContentDigest, Refusal};

/// Bytes of a manifest.
pub const MANIFEST_LIMIT: usize = 4 << 20;
/// Things that one manifest may refer to.
const ENTRIES: usize = 16_384;

const IMAGES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Which of the two kinds of manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A config and blobs.
    Image,
    /// Other manifests.
    Index,
}

/// A pointer to content.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// Its name.
    pub digest: ContentDigest,
    /// Its bytes.
    pub size: u64,
    /// Where else it may be had.
    #[serde(default)]
    pub urls: Vec<String>,
    /// What kind of artifact it is, in an index.
    #[serde(default)]
    pub artifact_type: Option<String>,
    /// Notes, in an index.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// What a manifest holds together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What it says that it is.
    pub media_type: String,
    /// Which kind.
    pub kind: Kind,
    /// Config and layers that must be here.
    pub blobs: Vec<Descriptor>,
    /// Manifests of an index.
    pub manifests: Vec<Descriptor>,
    /// What it is about; need not be here.
    pub subject: Option<Descriptor>,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// Notes.
    pub annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<Value>,
}

impl Descriptor {
    /// Reports whether the content is by its nature kept elsewhere: a registry need not have it, and nobody fetches it here.
    fn is_foreign(&self) -> bool {
        let kind = &self.media_type;
        kind.contains("nondistributable") || kind.contains("rootfs.foreign")
    }
}

impl Manifest {
    /// Parses a manifest that came with a Content-Type.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, Refusal> {
        if bytes.len() > MANIFEST_LIMIT {
            return Err(Code::ManifestTooLarge.into());
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| {
            let place = json!({"Line": error.line(), "Column": error.column()});
            Refusal::new(Code::ManifestInvalid).about(place)
        })?;
        let media_type = media_type(content_type, &wire)?;
        let kind = kind(&media_type, &wire)?;
        let entries = wire.layers.iter().chain(&wire.manifests).map(Vec::len);
        if wire.schema_version != 2 || entries.sum::<usize>() > ENTRIES {
            return Err(invalid(
                "schema version 2 and a sane number of entries are expected",
            ));
        }
        if kind == Kind::Image && wire.config.is_none() {
            return Err(invalid("an image manifest has a config"));
        }
        // Of old, an artifact's kind stood in the type of its config.
        let config_type = wire.config.as_ref().map(|config| config.media_type.clone());
        let artifact_type = wire.artifact_type.filter(|kind| !kind.is_empty());
        let mut blobs: Vec<Descriptor> = wire.config.into_iter().collect();
        blobs.extend(wire.layers.into_iter().flatten());
        blobs.retain(|blob| !blob.is_foreign());
        Ok(Self {
            media_type,
            kind,
            blobs,
            manifests: wire.manifests.unwrap_or_default(),
            subject: wire.subject,
            artifact_type: artifact_type.or(config_type),
            annotations: wire.annotations,
        })
    }
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(Code::ManifestInvalid).about(why.into())
}

/// Holds what the request says against what the document says.
fn media_type(content_type: Option<&str>, wire: &Wire) -> Result<String, Refusal> {
    let told = content_type
        .and_then(|text| text.split(';').next())
        .map(str::trim)
        .filter(|text| !text.is_empty() && *text != "application/json");
    match (told, &wire.media_type) {
        (Some(told), Some(own)) if told != own => Err(invalid("mediaType is not the Content-Type")),
        (Some(told), _) => Ok(told.to_owned()),
        (None, Some(own)) => Ok(own.clone()),
        (None, None) => Err(invalid("neither mediaType nor Content-Type is told")),
    }
}

fn kind(media_type: &str, wire: &Wire) -> Result<Kind, Refusal> {
    let image = wire.config.is_some() || wire.layers.is_some();
    match (image, wire.manifests.is_some(), wire.fs_layers.is_some()) {
        (_, _, true) => Err(invalid("schema 1 is not supported")),
        (true, true, _) => Err(invalid("both an image and an index")),
        (true, false, _) if IMAGES.contains(&media_type) => Ok(Kind::Image),
        (false, true, _) if INDEXES.contains(&media_type) => Ok(Kind::Index),
        _ => Err(invalid("not a manifest of its media type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(seed: &str) -> ContentDigest {
        ContentDigest::of(seed.as_bytes())
    }

    fn image(extra: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"c/x","digest":"{}","size":2}},"layers":[{{"mediaType":"l","digest":"{}","size":3}}]{extra}}}"#,
            IMAGES[0],
            d("c"),
            d("l")
        )
    }

    fn refused(text: &str, kind: Option<&str>) -> String {
        Manifest::parse(text.as_bytes(), kind)
            .unwrap_err()
            .detail
            .to_string()
    }

    #[test]
    fn an_image_leads_to_its_config_and_layers() {
        let manifest = Manifest::parse(image("").as_bytes(), Some(IMAGES[0])).unwrap();
        assert_eq!((manifest.kind, manifest.blobs.len()), (Kind::Image, 2));
        assert_eq!(manifest.artifact_type.as_deref(), Some("c/x"));
        let about = format!(
            r#","artifactType":"text/x","subject":{{"mediaType":"m","digest":"{}","size":1}}"#,
            d("s")
        );
        let about = Manifest::parse(image(&about).as_bytes(), None).unwrap();
        assert_eq!(about.subject.unwrap().digest, d("s"));
        assert_eq!(about.artifact_type.as_deref(), Some("text/x"));
    }

    #[test]
    fn a_layer_that_is_kept_elsewhere_need_not_be_here() {
        let foreign = image("").replace(
            r#""mediaType":"l""#,
            r#""mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip""#,
        );
        assert_eq!(
            Manifest::parse(foreign.as_bytes(), None)
                .unwrap()
                .blobs
                .len(),
            1
        );
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        assert!(refused(&image(r#","manifests":[]"#), None).contains("both"));
        assert!(refused(&image(""), Some(INDEXES[0])).contains("Content-Type"));
        let twice = image(r#","layers":[]"#);
        assert!(Manifest::parse(twice.as_bytes(), None).is_err());
        let docker = image("").replace(IMAGES[0], INDEXES[0]);
        assert!(refused(&docker, None).contains("not a manifest"));
        assert!(
            refused(r#"{"schemaVersion":1,"fsLayers":[]}"#, Some(IMAGES[1])).contains("schema 1")
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused_and_says_where() {
        for bad in ["", "{", "[]", "null", "{}", r#"{"schemaVersion":2}"#] {
            assert!(
                Manifest::parse(bad.as_bytes(), Some(IMAGES[0])).is_err(),
                "{bad}"
            );
        }
        let deep = "[".repeat(200_000);
        assert!(Manifest::parse(deep.as_bytes(), None).is_err());
        assert!(refused("{\n!", None).contains("\"Line\":2"));
        let large = Manifest::parse(&vec![b' '; MANIFEST_LIMIT + 1], None).unwrap_err();
        assert_eq!(large.code, Code::ManifestTooLarge);
    }
}
