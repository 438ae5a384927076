//! `POST /images/load`: an archive becomes images, in one pass over a stream that may come from anybody.
//!
//! The table of contents may stand at the end, so every member that looks like a layer is unpacked into the staging folder
//! at once, and matched with the table afterwards. Nothing enters the store before all digests and diff ids are verified.

use std::{
    cell::Cell,
    collections::BTreeMap,
    io::{self, Cursor, Read},
    sync::Arc,
};

use hakone_base::{Digest, ImageRef};
use hakone_image_model::{
    ArchiveImage, Compression, Document, Documents, Error as Refused, Limits, MemberKey, Platform,
    Source,
};
use tar::{Entry as Member, EntryType};

use crate::{
    Error,
    catalog::Entry,
    inner::{Inner, now},
    progress::Reporter,
    record::ImageRecord,
    stage::{Area, Staged, StagedLayer, digest_of, limit_or_stream},
    unpack::Inflated,
};

/// First bytes that tell what a member is: one tar header.
const HEAD: usize = 512;
/// A progress line is worth sending after so many bytes.
const STEP: u64 = 1 << 20;

/// Loads an archive.
pub(crate) fn load(
    inner: &Inner,
    reader: impl Read,
    (platform, quiet): (Option<&Platform>, bool),
    reporter: &Reporter,
) -> Result<(), Error> {
    let mut loading = Loading {
        inner,
        area: Area::new(&inner.store)?,
        documents: Documents::default(),
        layers: BTreeMap::new(),
        reporter: (!quiet).then_some(reporter),
    };
    loading.read(reader)?;
    let wanted = platform.unwrap_or(&inner.host);
    let images = loading.documents.images(wanted, &inner.limits)?;
    images
        .iter()
        .try_for_each(|image| of_platform(image, platform))?;
    let staged: Vec<(Staged, Vec<ImageRef>)> = images
        .into_iter()
        .map(|image| loading.assemble(image))
        .collect::<Result<_, _>>()?;
    staged
        .into_iter()
        .try_for_each(|(staged, names)| enter(inner, staged, &names, reporter))
}

/// Refuses an image of another platform than the one that was asked for; when none was, all that the archive holds are taken.
fn of_platform(found: &ArchiveImage, wanted: Option<&Platform>) -> Result<(), Error> {
    let has = Platform {
        architecture: found.image.architecture.clone(),
        os: "linux".to_owned(),
        variant: found.image.variant.clone(),
    };
    match wanted.filter(|wanted| !has.runs(wanted)) {
        None => Ok(()),
        Some(wanted) => Err(Error::OtherPlatform {
            name: found
                .references
                .first()
                .map_or_else(|| found.id.to_string(), ToString::to_string),
            has: has.to_string(),
            wanted: wanted.to_string(),
        }),
    }
}

/// Takes a verified image into the store and says so.
fn enter(
    inner: &Inner,
    staged: Staged,
    names: &[ImageRef],
    reporter: &Reporter,
) -> Result<(), Error> {
    let id = staged.entry.record.id.clone();
    let changing = inner.change();
    let lost = inner.commit(staged, names)?;
    drop(changing);
    for (name, old) in lost {
        reporter.stream(&format!(
            "The image {name} already exists, renaming the old one with ID {old} to empty string"
        ));
    }
    if names.is_empty() {
        reporter.stream(&format!("Loaded image ID: {id}"));
    }
    for name in names {
        reporter.stream(&format!("Loaded image: {name}"));
    }
    inner.announce("load", &id, id.as_str());
    Ok(())
}

struct Loading<'a> {
    inner: &'a Inner,
    area: Area,
    documents: Documents,
    layers: BTreeMap<MemberKey, StagedLayer>,
    reporter: Option<&'a Reporter>,
}

impl Loading<'_> {
    fn read(&mut self, mut reader: impl Read) -> Result<(), Error> {
        let (head, reader) = peek(&mut reader).map_err(Error::Stream)?;
        let limits = &self.inner.limits;
        let plain =
            Inflated::new(reader, Compression::sniff(&head), limits).map_err(Error::Stream)?;
        let mut archive = tar::Archive::new(plain);
        let mut count = 0;
        for member in archive.entries().map_err(Error::Stream)? {
            count += 1;
            if count > limits.members {
                return Err(Error::Limit(format!(
                    "the archive has more than {} members",
                    limits.members
                )));
            }
            self.member(&mut member.map_err(limit_or_stream)?)?;
        }
        Ok(())
    }

    fn member<R: Read>(&mut self, member: &mut Member<'_, R>) -> Result<(), Error> {
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let kind = member.header().entry_type();
        if kind == EntryType::Directory || kind.is_pax_global_extensions() {
            return Ok(());
        }
        let key = MemberKey::parse(&name)?;
        match kind {
            EntryType::Regular | EntryType::Continuous => self.file(key, member),
            EntryType::Symlink => {
                let target = key.sibling(&link(member))?;
                self.documents.link(key, target);
                Ok(())
            }
            EntryType::Link => {
                let target = MemberKey::parse(&link(member))?;
                self.documents.link(key, target);
                Ok(())
            }
            _ => Err(Refused::MemberName(name).into()),
        }
    }

    fn file<R: Read>(&mut self, key: MemberKey, member: &mut Member<'_, R>) -> Result<(), Error> {
        let size = member.size();
        let (head, mut content) = peek(member).map_err(limit_or_stream)?;
        match Shape::of(&head) {
            Shape::Document if size <= self.inner.limits.document => {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes).map_err(limit_or_stream)?;
                Ok(self.documents.insert(key, bytes)?)
            }
            Shape::Document => Err(Refused::TooLarge {
                what: "document in the archive",
                size,
                limit: self.inner.limits.document,
            }
            .into()),
            Shape::Layer => {
                let layer = self.layer(&key, size, &mut content)?;
                self.layers.insert(key, layer);
                Ok(())
            }
            Shape::Other => Ok(()),
        }
    }

    fn layer(
        &mut self,
        key: &MemberKey,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<StagedLayer, Error> {
        let promised = key.promised_digest();
        let known = promised
            .as_ref()
            .and_then(|digest| self.inner.known_layer(digest));
        let layer = match known {
            Some(record) => {
                let (found, _) = digest_of(content)?;
                check(promised.as_ref(), &found)?;
                return Ok(StagedLayer::known(record));
            }
            None => {
                let mut report = reports(self.reporter, key, size);
                self.area.layer(content, &self.inner.limits, &mut report)?
            }
        };
        check(promised.as_ref(), &layer.record.blob)?;
        Ok(layer)
    }

    /// Ties the documents of an image to its layers.
    fn assemble(&mut self, found: ArchiveImage) -> Result<(Staged, Vec<ImageRef>), Error> {
        let layers = found
            .layers
            .iter()
            .enumerate()
            .map(|(index, source)| self.matched(&found, index, source))
            .collect::<Result<Vec<_>, Error>>()?;
        let manifest = found
            .manifest
            .as_deref()
            .filter(|bytes| describes(bytes, &layers, &self.inner.limits));
        let record = ImageRecord {
            id: found.id.clone(),
            manifest: manifest.map(Digest::of),
            layers: layers.iter().map(|layer| layer.record.clone()).collect(),
            tagged: now(),
            hidden: false,
            outgoing: None,
        };
        let image = Arc::new(found.image.clone());
        let staged = Staged {
            entry: Entry { record, image },
            config: self.area.document(&found.config)?,
            manifest: manifest
                .map(|bytes| self.area.document(bytes))
                .transpose()?,
            layers,
        };
        Ok((staged, found.references))
    }

    fn matched(
        &self,
        image: &ArchiveImage,
        index: usize,
        source: &Source,
    ) -> Result<StagedLayer, Error> {
        let key = self.documents.follow(&source.member);
        let missing = || Refused::MissingMember(source.member.to_string());
        let layer = self.layers.get(key).ok_or_else(missing)?;
        if let Some((digest, size)) = &source.announced {
            check(Some(digest), &layer.record.blob)?;
            check_size(*size, layer.record.blob_size)?;
        }
        match image.image.rootfs.diff_ids.get(index) {
            Some(expected) if *expected != layer.record.diff_id => Err(Refused::DiffId {
                index,
                expected: expected.clone(),
                found: layer.record.diff_id.clone(),
            }
            .into()),
            _ => Ok(layer.clone()),
        }
    }
}

/// What a member is, by its content: names may lie.
enum Shape {
    Document,
    Layer,
    Other,
}

impl Shape {
    fn of(head: &[u8]) -> Self {
        let tar = head.get(257..262) == Some(b"ustar");
        // The layer of an instruction that changed nothing is a tar without members: zeros alone.
        let empty_tar = head.len() == HEAD && head.iter().all(|byte| *byte == 0);
        let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
        match (Compression::sniff(head), first) {
            (Compression::Gzip | Compression::Zstd | Compression::Bzip2 | Compression::Xz, _) => {
                Self::Layer
            }
            _ if tar || empty_tar => Self::Layer,
            (Compression::None, Some(b'{' | b'[')) => Self::Document,
            (Compression::None, _) => Self::Other,
        }
    }
}

/// Reports whether a manifest names exactly these layers, so that it may stand for the image when it is saved.
fn describes(bytes: &[u8], layers: &[StagedLayer], limits: &Limits) -> bool {
    match Document::parse(bytes, limits) {
        Ok(Document::Manifest(manifest)) => {
            let named = manifest.layers.iter().map(|layer| &layer.digest);
            named.eq(layers.iter().map(|layer| &layer.record.blob))
        }
        Ok(Document::Index(_)) | Err(_) => false,
    }
}

fn check(announced: Option<&Digest>, found: &Digest) -> Result<(), Refused> {
    match announced {
        Some(announced) if announced != found => Err(Refused::Digest {
            what: "layer",
            announced: announced.clone(),
            found: found.clone(),
        }),
        _ => Ok(()),
    }
}

fn check_size(announced: u64, found: u64) -> Result<(), Refused> {
    match announced == found {
        true => Ok(()),
        false => Err(Refused::Size {
            what: "layer",
            announced,
            found,
        }),
    }
}

fn link<R: Read>(member: &Member<'_, R>) -> String {
    let target = member.link_name_bytes().unwrap_or_default();
    String::from_utf8_lossy(&target).into_owned()
}

fn reports<'a>(reporter: Option<&'a Reporter>, key: &MemberKey, size: u64) -> impl FnMut(u64) + 'a {
    let name = key.to_string();
    let name = name.strip_prefix("blobs/sha256/").unwrap_or(&name);
    let id: String = name.chars().take(12).collect();
    let next = Cell::new(0);
    move |current| {
        if let Some(reporter) = reporter.filter(|_| current >= next.get() || current == size) {
            next.set(current + STEP);
            reporter.layer(&id, current, size);
        }
    }
}

/// Takes the first bytes of a stream and gives the whole stream back.
pub(crate) fn peek(source: &mut impl Read) -> io::Result<(Vec<u8>, impl Read)> {
    let mut head = Vec::with_capacity(HEAD);
    source.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(source)))
}
