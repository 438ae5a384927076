//! A cache of build steps as BuildKit publishes it (`application/vnd.buildkit.cacheconfig.v0`), read and written.
//!
//! A record says which layers stand after a step, under a digest that only who made it can make again: ours are the [`Key`]s of
//! steps, those of BuildKit are of its own graph and fit none of ours, which is a miss. A cache comes from strangers: indexes may
//! point anywhere, chains may bite their tails, and what it says of a layer is believed of no bytes.

use std::collections::BTreeMap;

use hakone_base::Digest;
use hakone_image_model::{Descriptor, MediaType};
use serde::{Deserialize, Serialize};

use crate::{Effect, Key};

/// The media type of the list of records.
pub const CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";
/// Says in a descriptor which tar a compressed layer holds.
pub const UNCOMPRESSED: &str = "containerd.io/uncompressed";
/// Bytes of a list of records.
pub const LARGEST_CONFIG: u64 = 16 << 20;
/// Records, and layers, that are read.
const MOST: usize = 20_000;
/// Layers that lie upon each other, as an image may have.
const DEEPEST: usize = 125;

/// What stands after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The step's key.
    pub key: Digest,
    /// The layers, lowest first, by their tars.
    pub layers: Vec<Digest>,
    /// When it was made, as histories have it.
    pub created: String,
}

/// Why a cache is not read.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// It is larger than any.
    #[error("the cache has more than {MOST} {0}")]
    Large(&'static str),
    /// It is no such JSON.
    #[error("the cache config is unreadable: {0}")]
    Json(#[from] serde_json::Error),
}

/// A cache that was read: what stands after which step, and where the layers are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    results: BTreeMap<Digest, Vec<Trace>>,
    blobs: BTreeMap<Digest, Descriptor>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Config {
    #[serde(default)]
    layers: Option<Vec<Layer>>,
    #[serde(default)]
    records: Option<Vec<Record>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Layer {
    blob: Digest,
    #[serde(default)]
    parent: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Annotations {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, rename = "diffID", skip_serializing_if = "Option::is_none")]
    diff_id: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Record {
    /// Results whose layers lie as the list of layers says, by the topmost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Top>,
    /// Results that name each of their layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    chains: Vec<Chain>,
    digest: Digest,
}

#[derive(Debug, Deserialize, Serialize)]
struct Top {
    layer: i64,
    #[serde(default, rename = "createdAt", skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Chain {
    layers: Vec<i64>,
    #[serde(default, rename = "createdAt", skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

impl Shelf {
    /// Reads a cache that stands on its own; `blobs` are those that its manifest names.
    ///
    /// # Errors
    /// When it is too large or no such list. What fits nowhere in it is passed over.
    pub fn parse(config: &[u8], blobs: &[Descriptor]) -> Result<Self, ShelfError> {
        let config: Config = serde_json::from_slice(config)?;
        let layers = config.layers.unwrap_or_default();
        if layers.len() > MOST {
            return Err(ShelfError::Large("layers"));
        }
        let named: BTreeMap<&Digest, &Descriptor> =
            blobs.iter().map(|blob| (&blob.digest, blob)).collect();
        let known: Vec<_> = layers.iter().map(|layer| known(layer, &named)).collect();
        let mut shelf = Self::default();
        for (diff_id, blob) in known.iter().flatten() {
            shelf.blobs.insert(diff_id.clone(), (*blob).clone());
        }
        let ids: Vec<_> = known.into_iter().map(|one| Some(one?.0)).collect();
        shelf.fill(config.records.unwrap_or_default(), |top| {
            chain(&layers, &ids, top)
        })?;
        Ok(shelf)
    }

    /// Reads the records that an image has in its config, for its own layers.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn inline(
        records: &[u8],
        diff_ids: &[Digest],
        blobs: &[Descriptor],
    ) -> Result<Self, ShelfError> {
        let records: Vec<Record> = serde_json::from_slice(records)?;
        let pairs = diff_ids.iter().cloned().zip(blobs.iter().cloned());
        let mut shelf = Self {
            results: BTreeMap::new(),
            blobs: pairs.collect(),
        };
        shelf.fill(records, |top| {
            let count = usize::try_from(top).ok()?.checked_add(1)?;
            diff_ids.get(..count).map(<[Digest]>::to_vec)
        })?;
        Ok(shelf)
    }

    fn fill(
        &mut self,
        records: Vec<Record>,
        chain: impl Fn(i64) -> Option<Vec<Digest>>,
    ) -> Result<(), ShelfError> {
        if records.len() > MOST {
            return Err(ShelfError::Large("records"));
        }
        for Record { layers, digest, .. } in records {
            let traces = layers.into_iter().take(DEEPEST).filter_map(|top| {
                Some(Trace {
                    key: digest.clone(),
                    layers: chain(top.layer)?,
                    created: top.created_at?,
                })
            });
            let traces: Vec<Trace> = traces.collect();
            self.results.entry(digest).or_default().extend(traces);
        }
        Ok(())
    }

    /// Finds what stands after a step upon these layers: the same, or one more when the step touches files. Whatever a cache
    /// says, a step that changes the config alone brings no layer.
    #[must_use]
    pub fn find(&self, key: &Key, below: &[Digest], effect: &Effect) -> Option<&Trace> {
        let most = match effect {
            Effect::Config => 0,
            Effect::Folder(_) | Effect::Run(_) | Effect::Copy(_) => 1,
        };
        let fits = |trace: &&Trace| {
            let rest = trace.layers.strip_prefix(below);
            rest.is_some_and(|rest| rest.len() <= most)
        };
        self.results.get(key.digest())?.iter().find(fits)
    }

    /// Gives the blob that holds a layer.
    #[must_use]
    pub fn blob(&self, diff_id: &Digest) -> Option<&Descriptor> {
        self.blobs.get(diff_id)
    }
}

/// Gives the layer's tar and blob, when both are told and the manifest has the blob.
fn known<'a>(
    layer: &Layer,
    named: &BTreeMap<&Digest, &'a Descriptor>,
) -> Option<(Digest, &'a Descriptor)> {
    let blob = named.get(&layer.blob)?;
    let noted = layer
        .annotations
        .as_ref()
        .and_then(|notes| notes.diff_id.clone());
    let noted = noted.or_else(|| blob.annotations.as_ref()?.get(UNCOMPRESSED)?.parse().ok());
    Some((noted?, *blob))
}

/// Lists the layers from the lowest to this one; none when one is unknown or there is no end.
fn chain(layers: &[Layer], ids: &[Option<Digest>], top: i64) -> Option<Vec<Digest>> {
    let (mut at, mut found) = (top, Vec::new());
    while at >= 0 {
        let index = usize::try_from(at).ok()?;
        if found.len() >= DEEPEST {
            return None;
        }
        found.push(ids.get(index)?.clone()?);
        at = layers.get(index)?.parent;
    }
    found.reverse();
    Some(found)
}

/// Prints a cache that stands on its own; `blobs` gives the blob of each layer. Steps with a layer that has none are left out.
///
/// # Errors
/// Never in practice; the serializer's error type wants a place.
pub fn print(
    traces: &[Trace],
    blobs: &BTreeMap<Digest, Descriptor>,
) -> Result<(Vec<u8>, Vec<Descriptor>), serde_json::Error> {
    let mut listed = Listed::default();
    let mut records: BTreeMap<&Digest, Record> = BTreeMap::new();
    for trace in traces {
        let Some(top) = listed.enter(&trace.layers, blobs) else {
            continue;
        };
        let record = Record {
            layers: vec![Top {
                layer: top,
                created_at: Some(trace.created.clone()),
            }],
            chains: Vec::new(),
            digest: trace.key.clone(),
        };
        records.insert(&trace.key, record);
    }
    let config = Config {
        layers: Some(listed.layers),
        records: Some(records.into_values().collect()),
    };
    Ok((serde_json::to_vec(&config)?, listed.blobs))
}

/// Prints the records of an image for its own config: those steps whose layers are the image's lowest.
///
/// # Errors
/// Never in practice; the serializer's error type wants a place.
pub fn print_inline(traces: &[Trace], layers: &[Digest]) -> Result<Vec<u8>, serde_json::Error> {
    let record = |trace: &Trace| {
        let top = i64::try_from(trace.layers.len()).ok()? - 1;
        (top >= 0 && layers.starts_with(&trace.layers)).then(|| Record {
            layers: vec![Top {
                layer: top,
                created_at: Some(trace.created.clone()),
            }],
            chains: Vec::new(),
            digest: trace.key.clone(),
        })
    };
    let records: Vec<Record> = traces.iter().filter_map(record).collect();
    serde_json::to_vec(&records)
}

/// Layers in the order of a list where each names the one below it.
#[derive(Default)]
struct Listed {
    layers: Vec<Layer>,
    blobs: Vec<Descriptor>,
    places: BTreeMap<(i64, Digest), i64>,
}

impl Listed {
    /// Enters a chain; gives the place of its topmost, none for no layers or one that has no blob.
    fn enter(&mut self, chain: &[Digest], blobs: &BTreeMap<Digest, Descriptor>) -> Option<i64> {
        if chain.iter().any(|layer| !blobs.contains_key(layer)) {
            return None;
        }
        let mut below = -1;
        for diff_id in chain {
            below = self.place(below, diff_id, blobs.get(diff_id)?)?;
        }
        (below >= 0).then_some(below)
    }

    fn place(&mut self, below: i64, diff_id: &Digest, blob: &Descriptor) -> Option<i64> {
        let key = (below, diff_id.clone());
        if let Some(place) = self.places.get(&key) {
            return Some(*place);
        }
        let place = i64::try_from(self.layers.len()).ok()?;
        self.layers.push(Layer {
            blob: blob.digest.clone(),
            parent: below,
            annotations: Some(Annotations {
                media_type: Some(blob.media_type.clone()),
                diff_id: Some(diff_id.clone()),
                size: Some(blob.size),
                created_at: None,
            }),
        });
        if self.blobs.iter().all(|other| other.digest != blob.digest) {
            let note = (UNCOMPRESSED.to_owned(), diff_id.to_string());
            self.blobs.push(Descriptor {
                annotations: Some([note].into()),
                ..blob.clone()
            });
        }
        self.places.insert(key, place);
        Some(place)
    }
}

/// Tells what a cache's manifest names: its list of records, and the blobs of layers. None when it is no cache.
#[must_use]
pub fn parts(named: &[Descriptor]) -> Option<(&Descriptor, Vec<Descriptor>)> {
    let config = named.iter().find(|one| one.media_type == CACHE_CONFIG)?;
    let is_layer =
        |one: &&Descriptor| matches!(MediaType::of(&one.media_type), MediaType::Layer(_));
    Some((config, named.iter().filter(is_layer).cloned().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn trace(key: &str, layers: &[&str]) -> Trace {
        Trace {
            key: digest(key),
            layers: layers.iter().map(|layer| digest(layer)).collect(),
            created: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    fn blobs(layers: &[&str]) -> BTreeMap<Digest, Descriptor> {
        let one = |layer: &&str| {
            let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
            let packed = digest(&format!("{layer} packed"));
            (digest(layer), Descriptor::new(media_type, packed, 7))
        };
        layers.iter().map(one).collect()
    }

    fn find(shelf: &Shelf, key: &str, below: &[&str]) -> Option<Vec<Digest>> {
        let below: Vec<_> = below.iter().map(|layer| digest(layer)).collect();
        let effect = Effect::Folder("/".to_owned());
        let found = shelf.find(&Key::from(digest(key)), &below, &effect)?;
        Some(found.layers.clone())
    }

    #[test]
    fn what_is_printed_is_found_upon_the_same_layers_alone() {
        let traces = [
            trace("one", &["a", "b"]),
            trace("two", &["a", "b"]),
            trace("three", &["a", "c"]),
        ];
        let (config, named) = print(&traces, &blobs(&["a", "b", "c"])).unwrap();
        assert_eq!(named.len(), 3);
        let shelf = Shelf::parse(&config, &named).unwrap();
        assert_eq!(
            find(&shelf, "one", &["a"]),
            Some(vec![digest("a"), digest("b")])
        );
        assert_eq!(
            find(&shelf, "two", &["a", "b"]).map(|layers| layers.len()),
            Some(2)
        );
        for (key, below) in [
            ("one", &["c"][..]),
            ("one", &[]),
            ("three", &["a", "b"]),
            ("four", &["a"]),
        ] {
            assert_eq!(find(&shelf, key, below), None, "{key}");
        }
        assert_eq!(shelf.blob(&digest("b")).unwrap().digest, digest("b packed"));
    }

    #[test]
    fn a_step_that_changes_the_config_brings_no_layer_whatever_a_cache_says() {
        let traces = [trace("one", &["a", "b"]), trace("two", &["a"])];
        let (config, named) = print(&traces, &blobs(&["a", "b"])).unwrap();
        let shelf = Shelf::parse(&config, &named).unwrap();
        let find = |key: &str| {
            let below = [digest("a")];
            shelf.find(&Key::from(digest(key)), &below, &Effect::Config)
        };
        assert!(find("one").is_none() && find("two").is_some());
    }

    #[test]
    fn an_images_own_records_speak_of_its_lowest_layers() {
        let traces = [
            trace("one", &["a", "b"]),
            trace("other", &["x"]),
            trace("none", &[]),
        ];
        let layers = [digest("a"), digest("b"), digest("c")];
        let records = print_inline(&traces, &layers).unwrap();
        let shelf = Shelf::inline(&records, &layers, &[]).unwrap();
        assert!(find(&shelf, "one", &["a"]).is_some());
        assert_eq!(
            (find(&shelf, "other", &[]), find(&shelf, "none", &[])),
            (None, None)
        );
    }

    /// As BuildKit prints it: the first layer stands on none, a zero is left out, records have inputs.
    #[test]
    fn a_cache_of_buildkit_is_read() {
        let (a, b, key) = (digest("a packed"), digest("b packed"), digest("key"));
        let (one, two) = (digest("a"), digest("b"));
        let config = format!(
            r#"{{"layers":[{{"blob":"{a}","parent":-1,"annotations":{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","diffID":"{one}","size":7}}}},
                {{"blob":"{b}"}}],"records":[{{"layers":[{{"layer":1,"createdAt":"2026-01-01T00:00:00Z"}}],"digest":"{key}",
                "inputs":[[{{"selector":"sha256:00","link":0}}]]}}]}}"#
        );
        let mut named: Vec<_> = blobs(&["a", "b"]).into_values().collect();
        for (blob, diff_id) in named.iter_mut().zip([&one, &two]) {
            let tar = if blob.digest == a { &one } else { &two };
            let _ = diff_id;
            blob.annotations = Some([(UNCOMPRESSED.to_owned(), tar.to_string())].into());
        }
        let shelf = Shelf::parse(config.as_bytes(), &named).unwrap();
        assert_eq!(find(&shelf, "key", &["a"]), Some(vec![one, two]));
    }

    #[test]
    fn what_points_nowhere_or_has_no_end_is_no_result() {
        let (a, key) = (digest("a packed"), digest("key"));
        let named: Vec<_> = blobs(&["a"]).into_values().collect();
        for (parent, layer, blob) in [
            (0, 0, &a),
            (-1, 7, &a),
            (5, 0, &a),
            (-1, -1, &a),
            (-1, i64::MIN, &a),
            (-1, 0, &key),
        ] {
            let config = format!(
                r#"{{"layers":[{{"blob":"{blob}","parent":{parent},"annotations":{{"diffID":"{}"}}}}],
                   "records":[{{"layers":[{{"layer":{layer},"createdAt":"2026-01-01T00:00:00Z"}}],"digest":"{key}"}}]}}"#,
                digest("a")
            );
            let shelf = Shelf::parse(config.as_bytes(), &named).unwrap();
            let found = find(&shelf, "key", &[]);
            assert!(
                found.is_none_or(|layers| layers.is_empty()),
                "{parent} {layer}"
            );
        }
        assert!(Shelf::parse(b"{\"layers\": 3}", &[]).is_err());
        assert!(
            Shelf::parse(b"[]", &[]).is_err()
                || Shelf::parse(b"[]", &[]).unwrap() == Shelf::default()
        );
    }

    #[test]
    fn a_list_without_end_is_refused() {
        let one = format!(r#"{{"digest":"{}"}}"#, digest("key"));
        let many = vec![one; MOST + 1].join(",");
        let config = format!(r#"{{"layers":[],"records":[{many}]}}"#);
        assert!(matches!(
            Shelf::parse(config.as_bytes(), &[]),
            Err(ShelfError::Large(_))
        ));
    }
}
