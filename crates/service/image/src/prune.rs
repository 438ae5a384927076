//! `POST /images/prune`: which images nobody needs.

use hakone_base::{Digest, Timestamp};
use hakone_engine_api::Filters;

use crate::{
    Error, Usage,
    catalog::{Catalog, Entry},
};

/// Chooses the images to remove: without a name, or with `dangling=false` all that no container uses.
pub(crate) fn plan(
    catalog: &Catalog,
    usages: &[Usage],
    filters: &Filters,
    now: Timestamp,
) -> Result<Vec<Digest>, Error> {
    let dangling_only = filters.flag("dangling")?.unwrap_or(true);
    let until = filters.until(now)?;
    let unused = |entry: &&Entry| usages.iter().all(|usage| usage.image != entry.record.id);
    let chosen = |entry: &&Entry| {
        let named = !catalog.tags_of(&entry.record.id).is_empty();
        let label = |key: &str| entry.image.label(key);
        !(dangling_only && named)
            && until.is_none_or(|until| entry.image.created() <= until)
            && filters.labels(label)
            && !filters.excluded(label)
    };
    let images = catalog.visible().filter(unused).filter(chosen);
    Ok(images.map(|entry| entry.record.id.clone()).collect())
}

#[cfg(test)]
mod tests {
    use hakone_base::ContainerId;

    use super::*;
    use crate::catalog::tests::catalog;

    fn pruned(filters: &str, usages: &[Usage]) -> Vec<Digest> {
        let catalog = catalog(&[("named", &["app:1"]), ("dangling", &[])]);
        let filters = Filters::parse(filters, &["dangling", "until", "label", "label!"]).unwrap();
        plan(&catalog, usages, &filters, Timestamp::from_nanos(i64::MAX)).unwrap()
    }

    #[test]
    fn only_dangling_images_go_unless_all_are_asked_for() {
        assert_eq!(pruned("", &[]), [Digest::of(b"dangling")]);
        assert_eq!(pruned(r#"{"dangling":["false"]}"#, &[]).len(), 2);
        assert!(pruned(r#"{"until":["2020-01-01"]}"#, &[]).is_empty());
        assert!(pruned(r#"{"label!":["seed=dangling"]}"#, &[]).is_empty());
    }

    #[test]
    fn used_images_stay() {
        let usage = Usage {
            container: ContainerId::from_bytes([1; 32]),
            image: Digest::of(b"dangling"),
            running: false,
        };
        assert!(pruned("", &[usage]).is_empty());
    }
}
