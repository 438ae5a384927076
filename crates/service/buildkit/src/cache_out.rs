//! Caches that a build leaves with `--cache-to`: the layers of its steps and what they stand after, in BuildKit's format.
//!
//! Layers go as they are stored, so what comes back has the digests of the image. The manifest goes last: a cache that broke off
//! is none. What a cache says of keys tells nothing of the steps: keys are digests.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use hakone_base::{Digest, ImageRef};
use hakone_build_model::{Trace, shelf};
use hakone_buildkit_model::{CacheExport, CachePlace};
use hakone_image_model::{Descriptor, Index, Manifest};

use crate::{
    Error,
    content::Content,
    export::Answers,
    frontend::{Bench, Product},
    materials,
    neighbour::Parcel,
    report::{Count, now},
    solve::Solve,
};

/// The answer by which clients find a cache in their own folder.
const MANIFEST: &str = "cache.manifest";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A cache as it is sent.
struct Packed {
    layers: Vec<(Descriptor, PathBuf)>,
    ids: Vec<Digest>,
    config: Vec<u8>,
    manifest: (String, Vec<u8>),
}

/// Carries out all cache exports of a build.
pub(crate) async fn all(
    bench: &Bench,
    solve: &Solve,
    results: &[Arc<Product>],
) -> Result<Answers, Error> {
    let mut answers = Answers::new();
    if results.is_empty() {
        return Ok(answers);
    }
    for export in &solve.caches {
        let done = match &export.place {
            // Told in the image itself.
            CachePlace::Inline => continue,
            CachePlace::Registry(name) => registry(bench, solve, (export, name), results).await,
            CachePlace::Client(store) => folder(bench, solve, (export, store), results).await,
        };
        match done {
            Ok(told) => answers.extend(told),
            Err(error) if export.optional => {
                tracing::debug!(%error, "a cache was not exported");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}

async fn registry(
    bench: &Bench,
    solve: &Solve,
    (export, name): (&CacheExport, &ImageRef),
    results: &[Arc<Product>],
) -> Result<Answers, Error> {
    let work = async |digest: &str| {
        let packed = pack(bench, export, results)?;
        let session = bench.sessions.wait(&solve.request.session).await?;
        let credentials = materials::credentials(&session, name.domain()).await?;
        let said = told(&packed);
        let parcel = Parcel {
            layers: packed.ids,
            config: packed.config,
            manifest: packed.manifest,
        };
        bench.builder.put(name, credentials, parcel).await?;
        said.iter().for_each(|line| count(solve, digest, line));
        Ok::<_, Error>(Answers::new())
    };
    solve
        .report
        .during("exporting cache to registry", work)
        .await
}

async fn folder(
    bench: &Bench,
    solve: &Solve,
    (export, store): (&CacheExport, &str),
    results: &[Arc<Product>],
) -> Result<Answers, Error> {
    let work = async |digest: &str| {
        let packed = pack(bench, export, results)?;
        let session = bench.sessions.wait(&solve.request.session).await?;
        let content = Content::new(session, store.to_owned(), None);
        for (blob, path) in &packed.layers {
            let file = tokio::fs::File::open(path).await;
            let file = file.map_err(Error::host("open a layer"))?;
            content.write(blob, file).await?;
        }
        let config = Descriptor::new(
            shelf::CACHE_CONFIG,
            Digest::of(&packed.config),
            packed.config.len() as u64,
        );
        content.write(&config, packed.config.as_slice()).await?;
        let (kind, text) = &packed.manifest;
        let top = Descriptor::new(kind, Digest::of(text), text.len() as u64);
        content.write(&top, text.as_slice()).await?;
        for line in told(&packed) {
            count(solve, digest, &line);
        }
        let top = serde_json::to_string(&top).unwrap_or_default();
        Ok(Answers::from([(MANIFEST.to_owned(), top)]))
    };
    solve
        .report
        .during("exporting cache to client directory", work)
        .await
}

/// Says what was written, as BuildKit does.
fn told(packed: &Packed) -> Vec<String> {
    let layers = packed.layers.iter();
    let layers = layers.map(|(blob, _)| format!("writing layer {}", blob.digest));
    let config = format!("writing config {}", Digest::of(&packed.config));
    let manifest = format!("writing cache manifest {}", Digest::of(&packed.manifest.1));
    layers.chain([config, manifest]).collect()
}

fn count(solve: &Solve, digest: &str, line: &str) {
    let at = Some(now());
    let count = Count {
        id: line.to_owned(),
        started: at,
        completed: at,
        ..Count::default()
    };
    solve.report.count(digest, count);
}

fn pack(bench: &Bench, export: &CacheExport, results: &[Arc<Product>]) -> Result<Packed, Error> {
    let traces = results.iter().flat_map(|product| match export.all {
        true => &product.built.trails,
        false => &product.built.trail,
    });
    let traces: Vec<Trace> = traces.cloned().collect();
    let mut blobs = BTreeMap::new();
    let mut paths = BTreeMap::new();
    for id in traces.iter().flat_map(|trace| &trace.layers) {
        if !blobs.contains_key(id) {
            let (blob, path) = bench.builder.layer(id)?;
            paths.insert(blob.digest.clone(), (id.clone(), path));
            blobs.insert(id.clone(), blob);
        }
    }
    let printed = shelf::print(&traces, &blobs);
    let (config, layers) = printed.map_err(shelf::ShelfError::from)?;
    let manifest = manifest(export, &config, layers.clone())?;
    let ids = layers.iter().filter_map(|blob| paths.get(&blob.digest));
    let ids = ids.map(|(id, _)| id.clone()).collect();
    let layers = layers.into_iter();
    let layers = layers.filter_map(|blob| {
        let path = paths.get(&blob.digest)?.1.clone();
        Some((blob, path))
    });
    Ok(Packed {
        layers: layers.collect(),
        ids,
        config,
        manifest,
    })
}

fn manifest(
    export: &CacheExport,
    config: &[u8],
    mut layers: Vec<Descriptor>,
) -> Result<(String, Vec<u8>), Error> {
    let config = Descriptor::new(shelf::CACHE_CONFIG, Digest::of(config), config.len() as u64);
    let printed = match export.index {
        true => {
            layers.push(config);
            (INDEX_TYPE, serde_json::to_vec(&Index::new(layers)))
        }
        false => (
            MANIFEST_TYPE,
            serde_json::to_vec(&Manifest::new(config, layers)),
        ),
    };
    let text = printed.1.map_err(shelf::ShelfError::from)?;
    Ok((printed.0.to_owned(), text))
}
