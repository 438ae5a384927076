//! `POST /images/create?fromSrc=-`: the tar of a root file system becomes an image of one layer.

use std::{io::Read, sync::Arc};

use hakone_base::{Digest, ImageRef, Timestamp};
use hakone_image_model::{History, Image, ImageConfig, RootFs, apply_changes};

use crate::{
    Error,
    catalog::Entry,
    inner::{Inner, now},
    progress::Reporter,
    record::{ImageRecord, LayerRecord},
    stage::{Area, Staged, StagedLayer},
};

/// What the tar does not say about the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Its name; the tag defaults to `latest`.
    pub name: Option<ImageRef>,
    /// Instructions such as `CMD ["sh"]`.
    pub changes: Vec<String>,
    /// The comment in its history; empty means Docker's default.
    pub message: String,
    /// `os/architecture[/variant]`; empty means this machine's.
    pub platform: String,
}

/// Imports a root file system.
pub(crate) fn import(
    inner: &Inner,
    mut reader: impl Read,
    options: ImportOptions,
    reporter: &Reporter,
) -> Result<(), Error> {
    let mut config = ImageConfig::default();
    apply_changes(&mut config, &options.changes)?;
    if options
        .name
        .as_ref()
        .is_some_and(|name| name.digest().is_some())
    {
        return Err(Error::DigestAsTag);
    }
    let area = Area::new(&inner.store)?;
    let layer = area.layer(&mut reader, &inner.limits, &mut |_| {})?;
    let mut image = single(inner, &layer, config, now());
    describe(&mut image, &options);
    let name = options.name.map(ImageRef::with_default_tag);
    let id = enter(inner, &area, Made::of_one(image, layer), name.as_ref())?;
    reporter.status(id.as_str());
    inner.announce("import", &id, id.as_str());
    if let Some(name) = &name {
        inner.announce("tag", &id, &name.to_string());
    }
    Ok(())
}

/// Makes the document of an image with this one layer.
pub(crate) fn single(
    inner: &Inner,
    layer: &StagedLayer,
    config: ImageConfig,
    created: Timestamp,
) -> Image {
    Image {
        architecture: inner.host.architecture.clone(),
        variant: inner.host.variant.clone(),
        os: inner.host.os.clone(),
        os_version: None,
        author: None,
        created: Some(created.to_string()),
        comment: None,
        cache: None,
        config: Some(config),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: vec![layer.record.diff_id.clone()],
        },
        history: Some(vec![History {
            created: Some(created.to_string()),
            ..History::default()
        }]),
    }
}

fn describe(image: &mut Image, options: &ImportOptions) {
    let comment = match options.message.as_str() {
        "" => "Imported from -",
        message => message,
    };
    image.comment = Some(comment.to_owned());
    for step in image.history.iter_mut().flatten() {
        step.comment = Some(comment.to_owned());
    }
    let mut parts = options.platform.split('/').skip(1);
    if let Some(architecture) = parts.next() {
        image.architecture = architecture.to_owned();
        image.variant = parts.next().map(str::to_owned);
    }
}

/// What is made here: an image, all its layers, and those of them that are new.
pub(crate) struct Made {
    pub(crate) image: Image,
    pub(crate) layers: Vec<LayerRecord>,
    pub(crate) staged: Vec<StagedLayer>,
}

/// Takes an image that was made here into the store.
pub(crate) fn enter(
    inner: &Inner,
    area: &Area,
    made: Made,
    name: Option<&ImageRef>,
) -> Result<Digest, Error> {
    let config = made.image.print()?;
    let id = Digest::of(&config);
    let record = ImageRecord {
        id: id.clone(),
        manifest: None,
        layers: made.layers,
        tagged: now(),
        hidden: false,
        outgoing: None,
    };
    let staged = Staged {
        entry: Entry {
            record,
            image: Arc::new(made.image),
        },
        config: area.document(&config)?,
        manifest: None,
        layers: made.staged,
    };
    let _changing = inner.change();
    inner.commit(staged, name.map(std::slice::from_ref).unwrap_or_default())?;
    Ok(id)
}

impl Made {
    /// An image of one layer.
    pub(crate) fn of_one(image: Image, layer: StagedLayer) -> Self {
        Self {
            image,
            layers: vec![layer.record.clone()],
            staged: vec![layer],
        }
    }
}
