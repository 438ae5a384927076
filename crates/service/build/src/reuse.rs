//! What need not be done again: a step that this host did before, or that an image of `--cache-from` shows to be done.

use std::sync::Arc;

use hakone_build_model::Key;
use hakone_image_model::Image;

use crate::{
    Error,
    cache::{Entry, now},
    neighbour::Top,
    stage::{Work, enter},
};

/// Uses a remembered result. It must stand on what the stage stands on: another run of the steps below may have given
/// another image.
pub(crate) fn remembered(work: &mut Work<'_>, history: &str) -> Result<bool, Error> {
    let build = work.build;
    let Some(entry) = build.inner.cache.find(&work.key) else {
        return Ok(false);
    };
    let Some(id) = &entry.image else {
        work.advance(history.to_owned(), entry.created);
        return Ok(true);
    };
    build.hold(id);
    // An image that people removed is a result that is gone.
    let images = &build.inner.images;
    let found = match &work.ground {
        Some(below) => images.find_above(id, below),
        None => images.find(id.as_str()),
    };
    let Ok(found) = found else {
        return Ok(false);
    };
    if !stands_on(&found.image, &work.image, history) {
        return Ok(false);
    }
    work.image = Arc::clone(&found.image);
    work.ground = Some(found);
    Ok(true)
}

fn stands_on(found: &Image, below: &Image, history: &str) -> bool {
    let (steps, before) = (found.history(), below.history());
    let layers = found.rootfs.diff_ids.starts_with(&below.rootfs.diff_ids);
    let last = steps.last().and_then(|step| step.created_by.as_deref());
    layers && steps.len() == before.len() + 1 && steps.starts_with(before) && last == Some(history)
}

/// Takes a step's layer from an image that shows the same steps on the same layers.
pub(crate) async fn borrowed(
    work: &mut Work<'_>,
    history: &str,
    parent: &Key,
    text: &str,
) -> Result<bool, Error> {
    let build = work.build;
    for name in &build.request.cache_from {
        // One that is not here is no help, and no fault.
        let Ok(lender) = build.inner.images.find(name) else {
            continue;
        };
        let Some((created, layer)) = loan(&lender.image, &work.image, history) else {
            continue;
        };
        work.advance(history.to_owned(), created.clone());
        let mut image = None;
        if let Some(layer) = layer {
            let top = Top::Known(layer);
            let ground = enter(build, work.ground.as_ref(), top, &work.image).await?;
            work.image = Arc::clone(&ground.image);
            image = Some(ground.id.clone());
            work.ground = Some(ground);
        }
        build.inner.cache.keep(Entry {
            key: work.key.digest().clone(),
            parent: parent.digest().clone(),
            image,
            created,
            text: text.to_owned(),
            size: 0,
            made: now(),
        })?;
        return Ok(true);
    }
    Ok(false)
}

/// Finds the next step in another image: when it was done, and its layer.
fn loan(
    lender: &Image,
    below: &Image,
    history: &str,
) -> Option<(String, Option<hakone_base::Digest>)> {
    let count = below.history().len();
    let same = |one: &hakone_image_model::History, other: &hakone_image_model::History| {
        one.created_by == other.created_by && one.empty_layer == other.empty_layer
    };
    let before = lender.history().get(..count)?;
    let alike = before
        .iter()
        .zip(below.history())
        .all(|(one, other)| same(one, other));
    let layers = lender.rootfs.diff_ids.starts_with(&below.rootfs.diff_ids);
    let next = lender.history().get(count)?;
    if !alike || !layers || next.created_by.as_deref() != Some(history) {
        return None;
    }
    let layer = match next.empty_layer {
        true => None,
        false => Some(
            lender
                .rootfs
                .diff_ids
                .get(below.rootfs.diff_ids.len())?
                .clone(),
        ),
    };
    Some((next.created.clone()?, layer))
}

#[cfg(test)]
mod tests {
    use hakone_base::Digest;
    use hakone_image_model::{History, RootFs};

    use super::*;

    fn image(steps: &[(&str, bool)]) -> Image {
        let layers = steps.iter().filter(|(_, empty)| !empty);
        let history = steps.iter().map(|(text, empty)| History {
            created: Some("2026-01-01T00:00:00Z".to_owned()),
            created_by: Some((*text).to_owned()),
            empty_layer: *empty,
            ..History::default()
        });
        let rootfs = RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers
                .map(|(text, _)| Digest::of(text.as_bytes()))
                .collect(),
        };
        let text = r#"{"os":"linux","rootfs":{"type":"layers"}}"#;
        let base = Image::parse(text.as_bytes(), &hakone_image_model::Limits::default()).unwrap();
        Image {
            rootfs,
            history: Some(history.collect()),
            ..base
        }
    }

    #[test]
    fn a_layer_is_lent_by_an_image_of_the_same_steps_alone() {
        let lender = image(&[("base", false), ("ENV", true), ("RUN", false)]);
        let below = image(&[("base", false), ("ENV", true)]);
        let lent = loan(&lender, &below, "RUN").unwrap();
        assert_eq!(lent.1, Some(Digest::of(b"RUN")));
        assert!(loan(&lender, &below, "RUN other").is_none());
        assert!(loan(&lender, &image(&[("other", false), ("ENV", true)]), "RUN").is_none());
        let first = loan(&lender, &image(&[("base", false)]), "ENV").unwrap();
        assert_eq!(first.1, None);
    }

    #[test]
    fn a_result_counts_on_the_very_steps_it_was_made_on() {
        let found = image(&[("base", false), ("RUN", false)]);
        assert!(stands_on(&found, &image(&[("base", false)]), "RUN"));
        assert!(!stands_on(&found, &image(&[("other", false)]), "RUN"));
        assert!(!stands_on(&found, &image(&[("base", false)]), "RUN other"));
    }
}
