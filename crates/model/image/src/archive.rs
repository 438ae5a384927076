//! The table of contents of an image archive: docker-archive (`manifest.json`) and OCI layout (`index.json`).
//!
//! A name in an archive is a key into the archive, never a path: it is compared with other keys and nothing is opened by it.
//! Since Docker 25 one archive is both kinds; then `manifest.json` has the names and the index the manifests' digests.

use std::{collections::BTreeMap, fmt};

use hakone_base::{Digest, ImageRef};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Descriptor, Document, Error, Image, Index, Limits, Manifest, MediaType, Platform};

/// Bytes of all documents of one archive that we hold at once.
const MAX_DOCUMENTS: usize = 64 << 20;
/// Indexes within indexes that we follow.
const MAX_DEPTH: u8 = 4;
/// Links from member to member that we follow.
const MAX_LINKS: u8 = 8;

/// The name of an archive's member, without `./`, never absolute, never with `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberKey(Box<str>);

/// The small members of an archive, by key, and the links between members.
#[derive(Debug, Default)]
pub struct Documents {
    documents: BTreeMap<MemberKey, Vec<u8>>,
    links: BTreeMap<MemberKey, MemberKey>,
    bytes: usize,
}

/// Where a layer lies in the archive, and what it must be when the archive says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The member.
    pub member: MemberKey,
    /// The digest and size that a descriptor announces.
    pub announced: Option<(Digest, u64)>,
}

/// One image of an archive, its documents verified, its layers still to be matched.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchiveImage {
    /// The digest of the config: the image's id.
    pub id: Digest,
    /// The config as it came.
    pub config: Vec<u8>,
    /// The config parsed.
    pub image: Image,
    /// The manifest as it came, when the archive has one.
    pub manifest: Option<Vec<u8>>,
    /// The layers, lowest first, as many as the config has diff ids.
    pub layers: Vec<Source>,
    /// The names that the archive gives it.
    pub references: Vec<ImageRef>,
}

/// One entry of `manifest.json`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

impl MemberKey {
    /// Parses a member's name.
    ///
    /// # Errors
    /// When it is absolute, leaves the archive, or is empty.
    pub fn parse(name: &str) -> Result<Self, Error> {
        match name.starts_with('/') {
            true => Err(Error::MemberName(name.to_owned())),
            false => Self::walk(Vec::new(), name),
        }
    }

    /// Finds what a link in this member's folder names.
    ///
    /// # Errors
    /// When the target is absolute or leaves the archive.
    pub fn sibling(&self, target: &str) -> Result<Self, Error> {
        let mut folder: Vec<&str> = self.0.split('/').collect();
        folder.pop();
        match target.starts_with('/') {
            true => Err(Error::MemberName(target.to_owned())),
            false => Self::walk(folder, target),
        }
    }

    fn walk<'a>(mut parts: Vec<&'a str>, name: &'a str) -> Result<Self, Error> {
        let refuse = || Error::MemberName(name.to_owned());
        for part in name.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop().ok_or_else(refuse)?),
                part => parts.push(part),
            }
        }
        match parts.is_empty() {
            true => Err(refuse()),
            false => Ok(Self(parts.join("/").into())),
        }
    }

    /// Names the blob of an OCI layout.
    #[must_use]
    pub fn blob(digest: &Digest) -> Self {
        Self(format!("blobs/sha256/{}", digest.hex()).into())
    }

    /// Gives the digest that the name promises, for a blob of an OCI layout.
    #[must_use]
    pub fn promised_digest(&self) -> Option<Digest> {
        let hex = self.0.strip_prefix("blobs/sha256/")?;
        format!("sha256:{hex}").parse().ok()
    }
}

impl fmt::Display for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Documents {
    /// Adds a small member.
    ///
    /// # Errors
    /// When all documents together become too large.
    pub fn insert(&mut self, key: MemberKey, bytes: Vec<u8>) -> Result<(), Error> {
        self.bytes += bytes.len();
        if self.bytes > MAX_DOCUMENTS {
            return Err(Error::TooLarge {
                what: "the sum of the archive's documents",
                size: self.bytes as u64,
                limit: MAX_DOCUMENTS as u64,
            });
        }
        self.documents.insert(key, bytes);
        Ok(())
    }

    /// Adds a link between members, as old archives have for layers that occur twice.
    pub fn link(&mut self, from: MemberKey, to: MemberKey) {
        self.links.insert(from, to);
    }

    /// Follows links to the member that has the content.
    #[must_use]
    pub fn follow<'a>(&'a self, key: &'a MemberKey) -> &'a MemberKey {
        let mut key = key;
        for _ in 0..MAX_LINKS {
            match self.links.get(key) {
                Some(next) => key = next,
                None => break,
            }
        }
        key
    }

    /// Reads the table of contents: the images that this machine can run.
    ///
    /// # Errors
    /// When a document is missing, not what its digest says, ambiguous, or not for this machine.
    pub fn images(&self, host: &Platform, limits: &Limits) -> Result<Vec<ArchiveImage>, Error> {
        let index = MemberKey("index.json".into());
        match self.lookup("manifest.json") {
            Some(table) => self.docker_images(table, host, limits),
            None if self.documents.contains_key(&index) => self
                .oci_images(host, limits)?
                .into_iter()
                .map(|found| self.oci_image(found, limits))
                .collect(),
            None => Err(Error::NotAnArchive),
        }
    }

    fn lookup(&self, name: &str) -> Option<&[u8]> {
        let key = MemberKey(name.into());
        self.documents.get(self.follow(&key)).map(Vec::as_slice)
    }

    fn docker_images(
        &self,
        table: &[u8],
        host: &Platform,
        limits: &Limits,
    ) -> Result<Vec<ArchiveImage>, Error> {
        crate::document::check_size("manifest.json", table, limits)?;
        let entries: Vec<Entry> = json("manifest.json", table)?;
        // The index beside it only adds digests: when it is unreadable, the archive is a plain docker-archive.
        let known = self.oci_images(host, limits).unwrap_or_default();
        entries
            .into_iter()
            .map(|entry| self.docker_image(entry, &known, limits))
            .collect()
    }

    fn docker_image(
        &self,
        entry: Entry,
        known: &[Found],
        limits: &Limits,
    ) -> Result<ArchiveImage, Error> {
        let key = MemberKey::parse(&entry.config)?;
        let config = self.document(&key)?;
        check_digest("image config", key.promised_digest().as_ref(), config)?;
        let id = Digest::of(config);
        let names = entry.repo_tags.unwrap_or_default();
        let references = names
            .iter()
            .map(|name| tag(name))
            .collect::<Result<_, _>>()?;
        let layers = entry.layers.unwrap_or_default();
        let layers = layers
            .iter()
            .map(|name| Source::member(name))
            .collect::<Result<_, _>>()?;
        let manifest = known
            .iter()
            .find(|found| found.manifest.config.digest == id);
        ArchiveImage {
            image: Image::parse(config, limits)?,
            config: config.to_vec(),
            manifest: manifest.map(|found| found.bytes.clone()),
            id,
            layers,
            references,
        }
        .checked()
    }

    fn oci_image(&self, found: Found, limits: &Limits) -> Result<ArchiveImage, Error> {
        let config = self.blob("image config", &found.manifest.config)?;
        ArchiveImage {
            id: found.manifest.config.digest.clone(),
            image: Image::parse(config, limits)?,
            config: config.to_vec(),
            layers: found.manifest.layers.iter().map(Source::blob).collect(),
            manifest: Some(found.bytes),
            references: found.name.into_iter().collect(),
        }
        .checked()
    }

    fn oci_images(&self, host: &Platform, limits: &Limits) -> Result<Vec<Found>, Error> {
        let bytes = self.lookup("index.json").ok_or(Error::NotAnArchive)?;
        let Document::Index(index) = Document::parse(bytes, limits)? else {
            return Err(Error::NotAnArchive);
        };
        let search = Search {
            documents: self,
            host,
            limits,
        };
        let lone = index.manifests.len() == 1;
        let mut images = Vec::new();
        for entry in &index.manifests {
            let fits = entry.platform.as_ref().is_none_or(|p| p.runs(host));
            match search.resolve(entry, MAX_DEPTH) {
                Ok(Some(found)) if fits => images.push(found),
                Ok(_) => {}
                // Of several images those for other machines are left out; a single one must fit.
                Err(Error::NoPlatform(_)) if !lone => {}
                Err(error) => return Err(error),
            }
        }
        match images.is_empty() {
            true => Err(Error::NoPlatform(host.to_string())),
            false => Ok(images),
        }
    }

    fn document(&self, key: &MemberKey) -> Result<&[u8], Error> {
        let bytes = self.documents.get(self.follow(key));
        bytes
            .map(Vec::as_slice)
            .ok_or_else(|| Error::MissingMember(key.to_string()))
    }

    fn blob(&self, what: &'static str, descriptor: &Descriptor) -> Result<&[u8], Error> {
        let bytes = self.document(&MemberKey::blob(&descriptor.digest))?;
        check_digest(what, Some(&descriptor.digest), bytes)?;
        match bytes.len() as u64 {
            found if found != descriptor.size => Err(Error::Size {
                what,
                announced: descriptor.size,
                found,
            }),
            _ => Ok(bytes),
        }
    }
}

/// A manifest found in an index.
struct Found {
    manifest: Manifest,
    bytes: Vec<u8>,
    name: Option<ImageRef>,
}

struct Search<'a> {
    documents: &'a Documents,
    host: &'a Platform,
    limits: &'a Limits,
}

impl Search<'_> {
    /// Follows an entry down to the manifest for this machine; artifacts other than images give nothing.
    fn resolve(&self, entry: &Descriptor, depth: u8) -> Result<Option<Found>, Error> {
        let kind = MediaType::of(&entry.media_type);
        if !matches!(kind, MediaType::Index | MediaType::Manifest) || depth == 0 {
            return Ok(None);
        }
        let bytes = self.documents.blob("manifest", entry)?;
        let mut found = match (kind, Document::parse(bytes, self.limits)?) {
            (MediaType::Index, Document::Index(index)) => self.select(&index, depth)?,
            (MediaType::Manifest, Document::Manifest(manifest)) => Some(Found {
                manifest,
                bytes: bytes.to_vec(),
                name: None,
            }),
            (_, found) => return Err(mismatch(entry, &found)),
        };
        if let Some(found) = &mut found {
            found.name = reference(entry);
        }
        Ok(found)
    }

    fn select(&self, index: &Index, depth: u8) -> Result<Option<Found>, Error> {
        self.resolve(index.select(self.host)?, depth - 1)
    }
}

impl Source {
    fn member(name: &str) -> Result<Self, Error> {
        let member = MemberKey::parse(name)?;
        Ok(Self {
            member,
            announced: None,
        })
    }

    fn blob(descriptor: &Descriptor) -> Self {
        Self {
            member: MemberKey::blob(&descriptor.digest),
            announced: Some((descriptor.digest.clone(), descriptor.size)),
        }
    }
}

impl ArchiveImage {
    fn checked(self) -> Result<Self, Error> {
        let (config, manifest) = (self.image.rootfs.diff_ids.len(), self.layers.len());
        match config == manifest {
            true => Ok(self),
            false => Err(Error::LayerCount { config, manifest }),
        }
    }
}

fn json<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::Json { what, source })
}

fn tag(name: &str) -> Result<ImageRef, Error> {
    let reference = name.parse::<ImageRef>().ok();
    reference
        .filter(|reference| reference.tag().is_some())
        .ok_or_else(|| Error::Tag(name.to_owned()))
}

/// Reads an entry's name: containerd's annotation, or OCI's when it holds a whole reference and not just a tag.
fn reference(entry: &Descriptor) -> Option<ImageRef> {
    let notes = entry.annotations.as_ref()?;
    let whole = notes.get("io.containerd.image.name");
    let name = whole.or_else(|| notes.get("org.opencontainers.image.ref.name"))?;
    let reference: ImageRef = name.parse().ok()?;
    match whole.is_some() || name.contains([':', '/']) {
        true => Some(reference.with_default_tag()).filter(|r| r.tag().is_some()),
        false => None,
    }
}

fn mismatch(entry: &Descriptor, found: &Document) -> Error {
    let found = match found {
        Document::Manifest(_) => "image manifest",
        Document::Index(_) => "image index",
    };
    Error::MediaType {
        announced: entry.media_type.clone(),
        found: found.to_owned(),
    }
}

fn check_digest(what: &'static str, announced: Option<&Digest>, bytes: &[u8]) -> Result<(), Error> {
    match (announced, Digest::of(bytes)) {
        (Some(announced), found) if *announced != found => Err(Error::Digest {
            what,
            announced: announced.clone(),
            found,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str =
        r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#;

    fn documents(members: &[(&str, &str)]) -> Documents {
        let mut documents = Documents::default();
        for (name, text) in members {
            let key = MemberKey::parse(name).unwrap();
            documents.insert(key, text.as_bytes().to_vec()).unwrap();
        }
        documents
    }

    fn images(members: &[(&str, &str)]) -> Result<Vec<ArchiveImage>, Error> {
        documents(members).images(&Platform::of("x86_64"), &Limits::default())
    }

    #[test]
    fn a_docker_archive_is_read() {
        let table = r#"[{"Config":"abc.json","RepoTags":["app:1"],"Layers":null}]"#;
        let found = images(&[("manifest.json", table), ("abc.json", CONFIG)]).unwrap();
        assert_eq!(found[0].id, Digest::of(CONFIG.as_bytes()));
        assert_eq!(found[0].references[0].to_string(), "app:1");
    }

    #[test]
    fn an_oci_layout_is_read_with_its_manifest() {
        let id = Digest::of(CONFIG.as_bytes());
        let config = Descriptor::config(id.clone(), CONFIG.len() as u64);
        let manifest = serde_json::to_string(&Manifest::new(config, vec![])).unwrap();
        let digest = Digest::of(manifest.as_bytes());
        let mut entry = Descriptor::manifest(None, digest.clone(), manifest.len() as u64);
        let note = (
            "io.containerd.image.name".into(),
            "docker.io/library/app:2".into(),
        );
        entry.annotations = Some([note].into());
        let index = serde_json::to_string(&Index::new(vec![entry])).unwrap();
        let found = images(&[
            ("index.json", &index),
            (&MemberKey::blob(&digest).to_string(), &manifest),
            (&MemberKey::blob(&id).to_string(), CONFIG),
        ])
        .unwrap();
        assert_eq!(found[0].references[0].to_string(), "app:2");
        assert_eq!(found[0].manifest.as_deref(), Some(manifest.as_bytes()));
    }

    #[test]
    fn names_that_leave_the_archive_are_refused() {
        for config in ["../../etc/passwd", "/etc/passwd", ".."] {
            let table = format!(r#"[{{"Config":"{config}","Layers":[]}}]"#);
            assert!(matches!(
                images(&[("manifest.json", &table)]),
                Err(Error::MemberName(_))
            ));
        }
        let key = MemberKey::parse("a/layer.tar").unwrap();
        assert_eq!(
            key.sibling("../b/layer.tar").unwrap().to_string(),
            "b/layer.tar"
        );
        assert!(key.sibling("../../b").is_err());
        assert!(key.sibling("/etc/shadow").is_err());
    }

    #[test]
    fn a_blob_that_is_not_what_its_name_says_is_refused() {
        let name = MemberKey::blob(&Digest::of(b"other")).to_string();
        let table = format!(r#"[{{"Config":"{name}","Layers":[]}}]"#);
        let found = images(&[("manifest.json", &table), (&name, CONFIG)]);
        assert!(matches!(found, Err(Error::Digest { .. })));
    }

    #[test]
    fn links_in_a_circle_end() {
        let mut documents = documents(&[]);
        let (a, b) = (
            MemberKey::parse("a").unwrap(),
            MemberKey::parse("b").unwrap(),
        );
        documents.link(a.clone(), b.clone());
        documents.link(b, a.clone());
        assert!(documents.lookup("a").is_none());
    }

    #[test]
    fn layers_must_be_as_many_as_diff_ids() {
        let table = r#"[{"Config":"c","Layers":["l"]}]"#;
        assert!(matches!(
            images(&[("manifest.json", table), ("c", CONFIG)]),
            Err(Error::LayerCount {
                config: 0,
                manifest: 1
            })
        ));
    }
}
