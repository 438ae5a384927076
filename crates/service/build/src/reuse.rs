//! What need not be done again: a step that this host did before, or that an image of `--cache-from` shows to be done.

use std::sync::Arc;

use hakone_base::{Digest, Timestamp};
use hakone_build_model::{Effect, Key, Trace};
use hakone_image_model::Image;

use crate::{
    Error, Lender,
    cache::{Entry, now},
    neighbour::{Ground, Top},
    stage::{Work, enter},
    tell::Voice,
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

/// Takes a step's result from a cache that the client named. Its layer has to be what the cache says of it; one that is not, or
/// does not come, is a step to be done here.
pub(crate) async fn lent(
    work: &mut Work<'_>,
    planned: (&str, &Effect),
    parent: &Key,
    text: &str,
    voice: &Voice,
) -> Result<bool, Error> {
    let (build, (history, effect)) = (work.build, planned);
    for lender in build.lenders().await {
        let below = &work.image.rootfs.diff_ids;
        let found = lender.shelf.find(&work.key, below, effect);
        let Some(trace) = found.filter(|trace| trace.created.parse::<Timestamp>().is_ok()) else {
            continue;
        };
        let (before, layer) = (Arc::clone(&work.image), trace.layers.get(below.len()));
        work.advance(history.to_owned(), trace.created.clone());
        let ground = match layer {
            None => None,
            Some(layer) => match fetched(work, lender, layer).await {
                Ok(ground) => Some(ground),
                Err(error) => {
                    work.image = before;
                    voice
                        .say(&format!("WARNING: a cache is not used: {error}\n"))
                        .await;
                    continue;
                }
            },
        };
        take_over(work, ground, (parent, trace, text))?;
        return Ok(true);
    }
    Ok(false)
}

/// Brings a layer upon those of the stage, from the store if it is there.
async fn fetched(work: &Work<'_>, lender: &Lender, layer: &Digest) -> Result<Ground, Error> {
    let (build, below) = (work.build, work.ground.as_ref());
    let known = enter(build, below, Top::Known(layer.clone()), &work.image).await;
    if let Ok(ground) = known {
        return Ok(ground);
    }
    let blob = lender.shelf.blob(layer);
    let blob = blob.ok_or_else(|| Error::NoBlob(layer.clone()))?.clone();
    let top = Top::Lent {
        diff_id: layer.clone(),
        source: lender.blobs.open(&blob).await?,
        blob,
    };
    enter(build, below, top, &work.image).await
}

/// Goes on from a result of elsewhere, and remembers it as one of this host.
fn take_over(
    work: &mut Work<'_>,
    ground: Option<Ground>,
    (parent, trace, text): (&Key, &Trace, &str),
) -> Result<(), Error> {
    let image = ground.as_ref().map(|ground| ground.id.clone());
    if let Some(ground) = ground {
        work.image = Arc::clone(&ground.image);
        work.ground = Some(ground);
    }
    work.build.inner.cache.keep(Entry {
        key: work.key.digest().clone(),
        parent: parent.digest().clone(),
        image,
        created: trace.created.clone(),
        text: text.to_owned(),
        size: 0,
        made: now(),
    })
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
