//! `GET /images/{name}/json` and `/history`.

use hakone_base::{Digest, Timestamp};
use hakone_engine_api::wire;
use hakone_image_model::{History, chain_ids};

use crate::{
    catalog::{Catalog, Entry},
    list::signed,
    store::Store,
};

/// Describes an image in full.
pub(crate) fn inspect(catalog: &Catalog, store: &Store, entry: &Entry) -> wire::ImageInspect {
    let (id, image) = (&entry.record.id, &entry.image);
    wire::ImageInspect {
        id: Some(id.to_string()),
        repo_tags: Some(catalog.tags_of(id)),
        repo_digests: Some(catalog.digests_of(id)),
        comment: Some(image.comment.clone().unwrap_or_default()),
        created: image.created.clone(),
        author: Some(image.author.clone().unwrap_or_default()),
        config: Some(image.config.clone().unwrap_or_default()),
        architecture: Some(image.architecture.clone()),
        variant: image.variant.clone(),
        os: Some("linux".to_owned()),
        os_version: image.os_version.clone(),
        size: Some(signed(entry.size())),
        graph_driver: Some(graph_driver(store, entry)),
        root_fs: Some(wire::ImageInspectRootFs {
            typ: "layers".to_owned(),
            layers: Some(diff_ids(entry).map(ToString::to_string).collect()),
        }),
        metadata: Some(wire::ImageInspectMetadata {
            last_tag_time: Some(entry.record.tagged.to_string()),
        }),
        ..wire::ImageInspect::default()
    }
}

/// Tells how an image came about, newest step first.
pub(crate) fn history(catalog: &Catalog, entry: &Entry) -> Vec<wire::ImageHistoryResponseItem> {
    let mut sizes = entry.record.layers.iter().map(|layer| layer.size);
    let mut steps: Vec<_> = entry
        .image
        .history()
        .iter()
        .map(|step| {
            let size = match step.empty_layer {
                true => 0,
                false => sizes.next().unwrap_or(0),
            };
            item(step, size)
        })
        .collect();
    // Layers that no step accounts for: an image made without a history.
    let made = entry.image.created();
    steps.extend(sizes.map(|size| unexplained(made, size)));
    steps.reverse();
    if let Some(top) = steps.first_mut() {
        top.id = entry.record.id.to_string();
        top.tags = catalog.tags_of(&entry.record.id);
    }
    steps
}

fn item(step: &History, size: u64) -> wire::ImageHistoryResponseItem {
    wire::ImageHistoryResponseItem {
        created: step.created().seconds(),
        created_by: step.created_by.clone().unwrap_or_default(),
        comment: step.comment.clone().unwrap_or_default(),
        ..unexplained(Timestamp::NEVER, size)
    }
}

fn unexplained(made: Timestamp, size: u64) -> wire::ImageHistoryResponseItem {
    wire::ImageHistoryResponseItem {
        id: "<missing>".to_owned(),
        created: made.seconds(),
        size: signed(size),
        ..wire::ImageHistoryResponseItem::default()
    }
}

fn graph_driver(store: &Store, entry: &Entry) -> wire::DriverData {
    let mut layers: Vec<String> = diff_ids(entry)
        .map(|diff_id| store.layer(diff_id).display().to_string())
        .collect();
    let upper = layers.pop();
    layers.reverse();
    let mut data = std::collections::HashMap::new();
    data.extend(upper.map(|path| ("UpperDir".to_owned(), path)));
    if !layers.is_empty() {
        data.insert("LowerDir".to_owned(), layers.join(":"));
    }
    wire::DriverData {
        name: "overlay2".to_owned(),
        data,
    }
}

fn diff_ids(entry: &Entry) -> impl Iterator<Item = &Digest> {
    entry.record.layers.iter().map(|layer| &layer.diff_id)
}

/// Gives the chain ids of an image's layers, lowest first.
pub(crate) fn chains(entry: &Entry) -> Vec<Digest> {
    let diff_ids: Vec<Digest> = diff_ids(entry).cloned().collect();
    chain_ids(&diff_ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::catalog;

    #[test]
    fn a_layer_without_a_step_shows_in_the_history() {
        let catalog = catalog(&[("a", &["app:1"])]);
        let steps = history(&catalog, catalog.find("app:1").unwrap().entry);
        assert_eq!(steps[0].id, Digest::of(b"a").to_string());
        assert_eq!(
            (steps[0].size, steps[0].tags.clone()),
            (7, vec!["app:1".to_owned()])
        );
    }
}
