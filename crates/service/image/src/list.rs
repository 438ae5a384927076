//! `GET /images/json`.

use std::collections::BTreeMap;

use hakone_base::{Digest, Timestamp};
use hakone_engine_api::{Filters, wire};
use hakone_image_model::glob_matches;

use crate::{
    Error, Usage,
    catalog::{Catalog, Entry},
};

/// What a list of images shows.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent columns of the list"
)]
pub struct ListOptions {
    /// Keys `before`, `dangling`, `label`, `reference`, `since`, `until`.
    pub filters: Filters,
    /// Whether to compute what each image shares with others (otherwise -1).
    pub shared_size: bool,
    /// Whether to count the containers of each image (otherwise -1).
    pub containers: bool,
    /// Whether to say what each image's name means to a registry.
    pub descriptors: bool,
    /// Whether to list the manifests below that.
    pub manifests: bool,
}

/// The filters with their values looked up.
struct Sieve<'a> {
    filters: &'a Filters,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    dangling: Option<bool>,
}

/// Lists the images, newest first.
pub(crate) fn list(
    catalog: &Catalog,
    usages: &[Usage],
    options: &ListOptions,
    now: Timestamp,
) -> Result<Vec<wire::ImageSummary>, Error> {
    let sieve = Sieve::new(catalog, &options.filters, now)?;
    let shared = shared_layers(catalog);
    let mut entries: Vec<(&Entry, Vec<String>)> = catalog
        .visible()
        .filter_map(|entry| Some((entry, sieve.pass(catalog, entry)?)))
        .collect();
    entries.sort_by_key(|(entry, _)| std::cmp::Reverse(entry.image.created()));
    let summaries = entries.into_iter().map(|(entry, tags)| {
        let mut summary = summary(catalog, entry, tags);
        if options.shared_size {
            summary.shared_size = shared_size(entry, &shared);
        }
        if options.containers {
            summary.containers = count(usages, &entry.record.id);
        }
        summary
    });
    Ok(summaries.collect())
}

impl<'a> Sieve<'a> {
    fn new(catalog: &Catalog, filters: &'a Filters, now: Timestamp) -> Result<Self, Error> {
        let created = |key| {
            let images = filters.get(key).map(|text| catalog.find(text));
            images
                .map(|found| Ok(found?.entry.image.created()))
                .collect::<Result<Vec<_>, Error>>()
        };
        Ok(Self {
            filters,
            before: created("before")?.into_iter().min(),
            since: created("since")?.into_iter().max(),
            until: filters.until(now)?,
            dangling: filters.flag("dangling")?,
        })
    }

    /// Gives the tags to show when the image passes.
    fn pass(&self, catalog: &Catalog, entry: &Entry) -> Option<Vec<String>> {
        let created = entry.image.created();
        let tags = catalog.tags_of(&entry.record.id);
        let passes = self.before.is_none_or(|time| created < time)
            && self.since.is_none_or(|time| created > time)
            && self.until.is_none_or(|time| created < time)
            && self.dangling.is_none_or(|wanted| wanted == tags.is_empty())
            && self.filters.labels(|key| entry.image.label(key));
        if !passes {
            return None;
        }
        if !self.filters.has("reference") {
            return Some(tags);
        }
        let fits = |tag: &String| {
            self.filters
                .any("reference", |glob| fits_reference(glob, tag))
        };
        let tags: Vec<String> = tags.into_iter().filter(fits).collect();
        (!tags.is_empty()).then_some(tags)
    }
}

/// A pattern fits the whole name, or the name without its tag.
fn fits_reference(glob: &str, tag: &str) -> bool {
    let bare = tag.rsplit_once(':').map_or(tag, |(name, _)| name);
    glob_matches(glob, tag) || glob_matches(glob, bare)
}

fn summary(catalog: &Catalog, entry: &Entry, tags: Vec<String>) -> wire::ImageSummary {
    let id = &entry.record.id;
    let labels = entry.image.config.as_ref().and_then(|c| c.labels.clone());
    wire::ImageSummary {
        id: id.to_string(),
        repo_tags: tags,
        repo_digests: catalog.digests_of(id),
        created: entry.image.created().seconds(),
        size: signed(entry.size()),
        shared_size: -1,
        labels: labels.unwrap_or_default(),
        containers: -1,
        ..wire::ImageSummary::default()
    }
}

fn shared_layers(catalog: &Catalog) -> BTreeMap<&Digest, usize> {
    let mut users = BTreeMap::new();
    for entry in catalog.images.values() {
        for layer in &entry.record.layers {
            *users.entry(&layer.diff_id).or_default() += 1;
        }
    }
    users
}

fn shared_size(entry: &Entry, users: &BTreeMap<&Digest, usize>) -> i64 {
    let layers = entry.record.layers.iter();
    let shared = layers.filter(|layer| users.get(&layer.diff_id).is_some_and(|n| *n > 1));
    signed(shared.map(|layer| layer.size).sum())
}

fn count(usages: &[Usage], image: &Digest) -> i64 {
    let using = usages.iter().filter(|usage| usage.image == *image);
    i64::try_from(using.count()).unwrap_or(i64::MAX)
}

pub(crate) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::catalog;

    const KEYS: &[&str] = &["before", "dangling", "label", "reference", "since", "until"];

    fn listed(filters: &str) -> Vec<String> {
        let catalog = catalog(&[("a", &["app:1", "me/app:2"]), ("b", &[])]);
        let options = ListOptions {
            filters: Filters::parse(filters, KEYS).unwrap(),
            ..ListOptions::default()
        };
        let found = list(&catalog, &[], &options, Timestamp::from_nanos(i64::MAX)).unwrap();
        found
            .into_iter()
            .flat_map(|image| match image.repo_tags.is_empty() {
                true => vec!["<none>".to_owned()],
                false => image.repo_tags,
            })
            .collect()
    }

    #[test]
    fn filters_choose_images_and_tags() {
        assert_eq!(listed(r#"{"dangling":["true"]}"#), ["<none>"]);
        assert_eq!(listed(r#"{"dangling":["false"]}"#), ["app:1", "me/app:2"]);
        assert_eq!(listed(r#"{"reference":["app"]}"#), ["app:1"]);
        assert_eq!(listed(r#"{"reference":["*/app:*"]}"#), ["me/app:2"]);
        assert_eq!(listed(r#"{"label":["seed=b"]}"#), ["<none>"]);
        assert!(listed(r#"{"before":["app:1"]}"#).is_empty());
        assert!(listed(r#"{"until":["2020-01-01"]}"#).is_empty());
    }
}
