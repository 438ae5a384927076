//! Images put together: what comes out is what went in, packed, noted and tied as was asked for.

use super::*;

/// A layout of one image whose layers are packed so.
fn source(layers: &[(&[u8], Compression)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut known = std::collections::BTreeSet::new();
    let mut blob = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        // As in every layout, a blob that two name is there once.
        if !known.insert(digest.clone()) {
            return (digest, bytes.len() as u64);
        }
        member(&mut tar, &format!("{BLOBS}{}", digest.hex()), bytes).unwrap();
        (digest, bytes.len() as u64)
    };
    let mut listed = Vec::new();
    for (bytes, packing) in layers {
        let packed = match packing {
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            _ => bytes.to_vec(),
        };
        let (digest, size) = blob(&packed);
        listed.push(Descriptor::new(packing.layer_type(), digest, size));
    }
    let (config, size) = blob(b"{}");
    let manifest = Manifest::new(Descriptor::config(config, size), listed);
    let (digest, size) = blob(&serde_json::to_vec(&manifest).unwrap());
    let index = Index::new(vec![Descriptor::manifest(None, digest, size)]);
    member(&mut tar, "index.json", &serde_json::to_vec(&index).unwrap()).unwrap();
    member(&mut tar, "manifest.json", b"[]").unwrap();
    tar.into_inner().unwrap()
}

fn shape(packing: Packing) -> Shape {
    Shape {
        packing: Some(packing),
        ..Shape::default()
    }
}

fn piece<'a>(source: &'a [u8], platform: &str) -> (&'a [u8], Said) {
    let platform = platform.parse().unwrap();
    (source, (platform, Vec::new(), "pkg:docker/app@1".into()))
}

fn assembled(pieces: Vec<(&[u8], Said)>, shape: Shape) -> Result<Assembled, Error> {
    let folder = crate::receive::scratch(&std::env::temp_dir()).unwrap();
    together(pieces, folder, shape)
}

fn repacked(source: &[u8], packing: Packing) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    Ok(members(&assembled(
        vec![piece(source, "linux/amd64")],
        shape(packing),
    )?))
}

fn members(assembled: &Assembled) -> BTreeMap<String, Vec<u8>> {
    let mut written = Vec::new();
    let index = top(&assembled.whole.root, &[], &assembled.notes).unwrap();
    assembled.write(&mut written, &index).unwrap();
    let mut archive = tar::Archive::new(written.as_slice());
    let members = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    members.collect()
}

fn blob<'a>(members: &'a BTreeMap<String, Vec<u8>>, named: &Descriptor) -> &'a [u8] {
    let bytes = &members[&format!("{BLOBS}{}", named.digest.hex())];
    assert_eq!(
        (Digest::of(bytes), bytes.len() as u64),
        (named.digest.clone(), named.size)
    );
    bytes
}

/// Gives the layers of the one image, each with what is in it.
fn layers(members: &BTreeMap<String, Vec<u8>>) -> Vec<(Compression, Vec<u8>)> {
    let index: Index = serde_json::from_slice(&members["index.json"]).unwrap();
    assert_eq!(index.manifests.len(), 1);
    let manifest: Manifest = serde_json::from_slice(blob(members, &index.manifests[0])).unwrap();
    assert_eq!(blob(members, &manifest.config), b"{}");
    // All that goes on is named: the config, the manifest, each layer, the index, the layout's mark.
    let different: std::collections::BTreeSet<_> =
        manifest.layers.iter().map(|layer| &layer.digest).collect();
    assert_eq!(members.len(), 4 + different.len());
    let open = |layer: &Descriptor| {
        let MediaType::Layer(packing) = MediaType::of(&layer.media_type) else {
            panic!("{layer:?}");
        };
        let packed = blob(members, layer);
        assert_eq!(Compression::sniff(packed), packing);
        let mut text = Vec::new();
        Inflated::new(packed, packing, &Limits::default())
            .unwrap()
            .read_to_end(&mut text)
            .unwrap();
        (packing, text)
    };
    manifest.layers.iter().map(open).collect()
}

fn packing(kind: Compression, force: bool) -> Packing {
    let level = None;
    Packing { kind, level, force }
}

#[test]
fn layers_are_packed_and_named_anew_and_hold_the_same() {
    let (one, two) = (vec![b'a'; 100_000], vec![b'b'; 100_000]);
    let source = source(&[
        (&one, Compression::None),
        (&two, Compression::Gzip),
        (&one, Compression::None),
    ]);
    for (kind, force, second) in [
        (Compression::Zstd, false, Compression::Gzip),
        (Compression::Zstd, true, Compression::Zstd),
        (Compression::Gzip, true, Compression::Gzip),
        (Compression::None, true, Compression::None),
    ] {
        let members = repacked(&source, packing(kind, force)).unwrap();
        let wanted = [
            (kind, one.clone()),
            (second, two.clone()),
            (kind, one.clone()),
        ];
        assert!(layers(&members) == wanted, "{kind:?} {force}");
    }
}

#[test]
fn levels_are_heard() {
    let text: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(n).to_le_bytes())
        .collect();
    let source = source(&[(&text, Compression::None)]);
    for kind in [Compression::Gzip, Compression::Zstd] {
        let size = |level| {
            let wish = Packing {
                level: Some(level),
                ..packing(kind, false)
            };
            let members = repacked(&source, wish).unwrap();
            members.values().map(Vec::len).max().unwrap()
        };
        assert!(size(9) < size(1), "{kind:?}");
    }
}

#[test]
fn a_layout_that_is_none_is_broken_off() {
    let wish = packing(Compression::Zstd, false);
    let mut strange = tar::Builder::new(Vec::new());
    member(&mut strange, "blobs/sha256/../../../x", b"x").unwrap_err();
    member(&mut strange, &format!("{BLOBS}x"), b"x").unwrap();
    assert!(repacked(&strange.into_inner().unwrap(), wish).is_err());
    assert!(repacked(&[], wish).is_err());
    let whole = source(&[(b"text", Compression::None)]);
    assert!(repacked(&whole, wish).is_ok());
    // Without the index, and in the middle of a blob.
    for length in [1024, 1024 + 600, 2048] {
        assert!(repacked(&whole[..length], wish).is_err(), "{length}");
    }
}

#[test]
fn images_of_two_platforms_share_blobs_and_stand_in_one_index() {
    let (one, two) = (vec![b'a'; 10_000], vec![b'b'; 10_000]);
    let first = source(&[(&one, Compression::None)]);
    let second = source(&[(&one, Compression::None), (&two, Compression::Gzip)]);
    let pieces = vec![piece(&first, "linux/amd64"), piece(&second, "linux/arm64")];
    let notes = [("annotation-manifest[linux/arm64].k", "v")];
    let notes = notes.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let wish = Shape {
        notes: Notes::parse(&notes.into()).unwrap(),
        several: true,
        ..Shape::default()
    };
    let assembled = assembled(pieces, wish).unwrap();
    let delivery = assembled.delivery();
    // The config and the first layer are of both.
    assert_eq!((delivery.files.len(), delivery.manifests.len()), (3, 3));
    for (blob, path) in &delivery.files {
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(
            (Digest::of(&bytes), bytes.len() as u64),
            (blob.digest.clone(), blob.size)
        );
    }
    let (last, text) = delivery.manifests.last().unwrap();
    assert_eq!(&last.digest, assembled.root());
    let index: Index = serde_json::from_slice(text).unwrap();
    let members = members(&assembled);
    for (image, noted) in index.manifests.iter().zip([None, Some("v")]) {
        let manifest: Manifest = serde_json::from_slice(blob(&members, image)).unwrap();
        let notes = manifest.annotations.unwrap_or_default();
        assert_eq!(notes.get("k").map(String::as_str), noted);
    }
}

#[test]
fn an_image_of_which_nothing_is_wanted_keeps_its_digest() {
    let source = source(&[(b"text", Compression::Gzip)]);
    let plain = assembled(vec![piece(&source, "linux/amd64")], Shape::default()).unwrap();
    let named = serde_json::from_slice::<Index>(&take_apart_anew(&source)).unwrap();
    assert_eq!(plain.root(), &named.manifests[0].digest);
}

fn take_apart_anew(source: &[u8]) -> Vec<u8> {
    take_apart(source, tempfile::tempdir().unwrap().path()).unwrap()
}
