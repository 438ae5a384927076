//! `POST /commit`: an image of another one and a layer on top of it, which a container has written.

use std::io::Read;

use hakone_base::{Digest, ImageRef};
use hakone_engine_api::wire::ContainerConfig;
use hakone_image_model::{History, Image, ImageConfig, apply_changes};

use crate::{
    Error,
    import::{Made, enter},
    inner::{Inner, now},
    stage::Area,
};

/// What the layer does not say about the image.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitOptions {
    /// What it is made upon.
    pub parent: Digest,
    /// Its name, without tag; empty for none.
    pub repository: String,
    /// Its tag.
    pub tag: String,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// Instructions such as `CMD ["sh"]`.
    pub changes: Vec<String>,
    /// The command that its history tells.
    pub created_by: String,
    /// A configuration that goes before the container's.
    pub config: ContainerConfig,
    /// How the container was configured.
    pub container: ContainerConfig,
}

impl CommitOptions {
    fn name(&self) -> Result<Option<ImageRef>, Error> {
        let text = match (self.repository.as_str(), self.tag.as_str()) {
            ("", _) => return Ok(None),
            (repository, "") => repository.to_owned(),
            (repository, tag) => format!("{repository}:{tag}"),
        };
        let name: ImageRef = text.parse()?;
        match name.digest() {
            Some(_) => Err(Error::DigestAsTag),
            None => Ok(Some(name.with_default_tag())),
        }
    }
}

/// Makes the image; gives its id and the name that it got.
pub(crate) fn commit(
    inner: &Inner,
    layer: Option<impl Read>,
    options: &CommitOptions,
) -> Result<(Digest, Option<ImageRef>), Error> {
    let name = options.name()?;
    let mut config = config(&options.config, &options.container)?;
    apply_changes(&mut config, &options.changes)?;
    let parent = inner.catalog().find(options.parent.as_str())?.entry.clone();
    let area = Area::new(&inner.store)?;
    let staged = layer.map(|mut layer| area.layer(&mut layer, &inner.limits, &mut |_| {}));
    let staged = staged.transpose()?;
    let layers = parent.record.layers.iter().cloned();
    let layers: Vec<_> = layers
        .chain(staged.iter().map(|layer| layer.record.clone()))
        .collect();
    let mut image = child(&parent.image, options, config);
    image.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    if let Some(last) = image.history.iter_mut().flatten().next_back() {
        last.empty_layer = staged.is_none();
    }
    let made = Made {
        image,
        layers,
        staged: staged.into_iter().collect(),
    };
    let id = enter(inner, &area, made, name.as_ref())?;
    if let Some(name) = &name {
        inner.announce("tag", &id, &name.to_string());
    }
    Ok((id, name))
}

/// The container's configuration as an image has it, behind the one that the user gives.
fn config(first: &ContainerConfig, second: &ContainerConfig) -> Result<ImageConfig, Error> {
    let mut all = serde_json::to_value(second)?;
    let over = serde_json::to_value(first)?;
    if let (Some(all), Some(over)) = (all.as_object_mut(), over.as_object()) {
        let told = over.iter().filter(|(_, value)| !is_empty(value));
        all.extend(told.map(|(key, value)| (key.clone(), value.clone())));
        // What a container is and an image is not.
        for key in [
            "Hostname",
            "Domainname",
            "Image",
            "AttachStdin",
            "AttachStdout",
            "AttachStderr",
            "Tty",
            "OpenStdin",
            "StdinOnce",
        ] {
            all.remove(key);
        }
    }
    Ok(serde_json::from_value(all)?)
}

fn is_empty(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::Bool(set) => !set,
        serde_json::Value::String(text) => text.is_empty(),
        serde_json::Value::Array(list) => list.is_empty(),
        serde_json::Value::Object(map) => map.is_empty(),
        serde_json::Value::Number(_) => false,
    }
}

fn child(parent: &Image, options: &CommitOptions, config: ImageConfig) -> Image {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let created = Some(now().to_string());
    let step = History {
        created: created.clone(),
        created_by: text(&options.created_by),
        author: text(&options.author),
        comment: text(&options.comment),
        empty_layer: false,
    };
    let mut history = parent.history().to_vec();
    history.push(step);
    Image {
        author: text(&options.author),
        comment: text(&options.comment),
        created,
        cache: None,
        config: Some(config),
        history: Some(history),
        ..parent.clone()
    }
}
