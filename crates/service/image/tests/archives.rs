//! The service as its callers see it: archives in, archives out, nothing left behind.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::indexing_slicing, reason = "helpers of tests")]

use std::{
    collections::BTreeSet,
    fs,
    io::{Cursor, Write as _},
    path::Path,
    sync::{Arc, Mutex},
};

use hakone_base::{ContainerId, Digest, Fault as _, Kind};
use hakone_engine_api::Filters;
use hakone_events::Bus;
use serde_json::json;
use tar::{Builder, EntryType, Header};
use tokio::io::AsyncReadExt as _;

use hakone_image::{
    Error, ImportOptions, Limits, ListOptions, Options, Outgoing, Platform, Service, Usage,
};
use hakone_image_model::Descriptor;

struct Lab {
    folder: tempfile::TempDir,
    service: Service,
}

impl Lab {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = open(folder.path(), limits).await;
        Self { folder, service }
    }

    async fn load(&self, archive: Vec<u8>) -> Result<Vec<String>, Error> {
        let lines = self
            .service
            .load(Cursor::new(archive), None, true)
            .finish()
            .await?;
        Ok(lines
            .iter()
            .map(|line| line["stream"].as_str().unwrap().trim().to_owned())
            .collect())
    }

    async fn save(&self, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = self.service.save(&[name.to_owned()]).unwrap();
        archive.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    /// Lists what lies in the store, except empty folders.
    fn contents(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for folder in ["blobs/sha256", "layers", "images", "image-staging"] {
            for entry in fs::read_dir(self.folder.path().join(folder)).unwrap() {
                found.insert(format!("{folder}/{}", entry.unwrap().file_name().display()));
            }
        }
        found
    }

    /// Loads and expects a refusal that leaves nothing behind.
    async fn refusal(&self, archive: Vec<u8>) -> Error {
        let before = self.contents();
        let error = self.load(archive).await.unwrap_err();
        assert_eq!(self.contents(), before);
        error
    }
}

async fn open(root: &Path, limits: Limits) -> Service {
    let options = Options {
        limits,
        ..Options::new(root)
    };
    Service::open(options, Bus::default()).await.unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = json!({
        "os": "linux", "architecture": "amd64", "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": ["/x"], "Labels": {"l": "v"}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": "COPY x", "created": "2026-01-01T00:00:00Z"}],
    });
    serde_json::to_vec(&config).unwrap()
}

/// A docker-archive as before version 25: folders with `layer.tar`.
fn docker_archive(layer: &[u8], tag: &str) -> Vec<u8> {
    let table =
        json!([{"Config": "c.json", "RepoTags": [tag], "Layers": ["l/layer.tar"]}]).to_string();
    tar(&[
        ("l/layer.tar", layer),
        ("c.json", &config(&[layer])),
        ("manifest.json", table.as_bytes()),
    ])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

/// An OCI layout with a gzip layer.
fn oci_archive(layer: &[u8], name: &str) -> Vec<u8> {
    let (packed, config) = (gzip(layer), config(&[layer]));
    let descriptor = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &packed)],
    })
    .to_string();
    let mut entry = descriptor(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.as_bytes(),
    );
    entry["annotations"] = json!({"io.containerd.image.name": name});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    tar(&[
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        ("index.json", index.as_bytes()),
        (&blob_name(manifest.as_bytes()), manifest.as_bytes()),
        (&blob_name(&config), &config),
        (&blob_name(&packed), &packed),
    ])
}

fn layer() -> Vec<u8> {
    tar(&[("etc/motd", b"hello")])
}

#[tokio::test]
async fn an_old_docker_archive_is_loaded_and_unpacked() {
    let lab = Lab::new().await;
    let said = lab.load(docker_archive(&layer(), "app:1")).await.unwrap();
    assert_eq!(said, ["Loaded image: app:1"]);
    let image = lab.service.resolve("app:1").unwrap();
    assert_eq!(
        image.config.cmd.as_deref(),
        Some(["/x".to_owned()].as_slice())
    );
    assert_eq!(
        fs::read_to_string(image.layers[0].join("etc/motd")).unwrap(),
        "hello"
    );
    assert_eq!(image.size, 5);
}

/// The sizes in the headers run ahead of what was read: no limit may compare the two.
#[tokio::test]
async fn one_large_file_at_the_beginning_is_no_bomb() {
    let limits = Limits {
        ratio_free: 1 << 20,
        ..Limits::default()
    };
    let noise: Vec<u8> = (0..8_u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let layer = tar(&[("big", &noise)]);
    for layer in [layer.clone(), gzip(&layer)] {
        let lab = Lab::with(limits.clone()).await;
        let table =
            json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["l"]}]).to_string();
        let config = config(&[&tar(&[("big", &noise)])]);
        lab.load(tar(&[
            ("l", &layer),
            ("c.json", &config),
            ("manifest.json", table.as_bytes()),
        ]))
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn an_oci_layout_is_loaded_whole_or_compressed() {
    let archive = oci_archive(&layer(), "docker.io/library/app:2");
    for bytes in [
        archive.clone(),
        gzip(&archive),
        zstd::encode_all(archive.as_slice(), 1).unwrap(),
    ] {
        let lab = Lab::new().await;
        assert_eq!(lab.load(bytes).await.unwrap(), ["Loaded image: app:2"]);
        assert_eq!(
            lab.service.resolve("app:2").unwrap().id,
            Digest::of(&config(&[&layer()]))
        );
    }
}

#[tokio::test]
async fn what_is_saved_loads_with_the_same_digests_and_saves_the_same_again() {
    for archive in [
        docker_archive(&layer(), "app:1"),
        oci_archive(&layer(), "app:1"),
    ] {
        let (first, second) = (Lab::new().await, Lab::new().await);
        first.load(archive).await.unwrap();
        let saved = first.save("app:1").await;
        second.load(saved.clone()).await.unwrap();
        assert_eq!(second.save("app:1").await, saved);
        let id = |lab: &Lab| lab.service.resolve("app:1").unwrap().id;
        assert_eq!(id(&first), id(&second));
    }
}

#[tokio::test]
async fn several_names_go_into_one_archive() {
    let (first, second) = (Lab::new().await, Lab::new().await);
    first.load(docker_archive(&layer(), "app:1")).await.unwrap();
    first
        .load(docker_archive(&tar(&[("y", b"y")]), "other:1"))
        .await
        .unwrap();
    first.service.tag("app:1", "app:2").await.unwrap();
    let mut bytes = Vec::new();
    let names = ["app".to_owned(), "other:1".to_owned()];
    first
        .service
        .save(&names)
        .unwrap()
        .read_to_end(&mut bytes)
        .await
        .unwrap();
    let said = second.load(bytes).await.unwrap();
    assert_eq!(
        said,
        [
            "Loaded image: app:1",
            "Loaded image: app:2",
            "Loaded image: other:1"
        ]
    );
}

#[tokio::test]
async fn a_layer_linked_twice_in_an_old_archive_is_found() {
    let lab = Lab::new().await;
    let layer = layer();
    let table = json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["l/layer.tar", "m/layer.tar"]}]).to_string();
    let mut archive = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(layer.len() as u64);
    archive
        .append_data(&mut header, "l/layer.tar", layer.as_slice())
        .unwrap();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_size(0);
    archive
        .append_link(&mut header, "m/layer.tar", "../l/layer.tar")
        .unwrap();
    for (name, content) in [
        ("c.json", config(&[&layer, &layer])),
        ("manifest.json", table.into_bytes()),
    ] {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        archive
            .append_data(&mut header, name, content.as_slice())
            .unwrap();
    }
    lab.load(archive.into_inner().unwrap()).await.unwrap();
    let shown = lab
        .service
        .inspect("app:1", false)
        .unwrap()
        .root_fs
        .unwrap();
    assert_eq!(shown.layers.unwrap().len(), 2);
    // No overlay takes a folder twice, and the upper one hides the lower.
    assert_eq!(lab.service.resolve("app:1").unwrap().layers.len(), 1);
}

#[tokio::test]
async fn a_layer_that_is_a_link_to_a_host_file_is_refused() {
    for target in ["/etc/passwd", "../../../../etc/passwd"] {
        let lab = Lab::new().await;
        let mut archive = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        archive
            .append_link(&mut header, "l/layer.tar", target)
            .unwrap();
        let error = lab.refusal(archive.into_inner().unwrap()).await;
        assert!(
            error.to_string().contains("does not name a member"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn names_in_the_table_are_keys_and_never_paths() {
    let lab = Lab::new().await;
    for (config, layer) in [
        ("../../etc/passwd", "l"),
        ("c.json", "/etc/passwd"),
        ("c.json", "../x"),
    ] {
        let table = json!([{"Config": config, "RepoTags": null, "Layers": [layer]}]).to_string();
        let archive = tar(&[
            ("manifest.json", table.as_bytes()),
            ("c.json", &self::config(&[&self::layer()])),
        ]);
        let error = lab.refusal(archive).await;
        assert!(
            error.to_string().contains("does not name a member"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn content_that_does_not_match_its_diff_id_is_refused() {
    let lab = Lab::new().await;
    let other = tar(&[("etc/motd", b"other")]);
    let table =
        json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["l/layer.tar"]}]).to_string();
    let archive = tar(&[
        ("l/layer.tar", &other),
        ("c.json", &config(&[&layer()])),
        ("manifest.json", table.as_bytes()),
    ]);
    let error = lab.refusal(archive).await;
    assert!(
        error.to_string().starts_with("invalid diffID for layer 0"),
        "{error}"
    );
    assert_eq!(error.kind(), Kind::InvalidParameter);
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_name_says_is_refused() {
    let lab = Lab::new().await;
    let name = blob_name(b"something else");
    let error = lab.refusal(tar(&[(&name, &gzip(&layer()))])).await;
    assert!(error.to_string().starts_with("layer has digest"), "{error}");
}

#[tokio::test]
async fn a_gzip_bomb_is_refused() {
    let limits = Limits {
        ratio_free: 1 << 20,
        ..Limits::default()
    };
    let lab = Lab::with(limits).await;
    let bomb = gzip(&tar(&[("zeros", &vec![0; 16 << 20])]));
    assert!(bomb.len() < 100_000);
    let table = json!([{"Config": "c.json", "Layers": ["l"]}]).to_string();
    let inner = lab
        .refusal(tar(&[("l", &bomb), ("manifest.json", table.as_bytes())]))
        .await;
    assert!(matches!(inner, Error::Limit(_)), "{inner}");
    let outer = lab
        .refusal(gzip(&tar(&[("zeros.tar", &vec![0; 16 << 20])])))
        .await;
    assert!(matches!(outer, Error::Limit(_)), "{outer}");
}

#[tokio::test]
async fn a_document_of_two_kinds_is_refused() {
    let lab = Lab::new().await;
    let index = json!({"schemaVersion": 2, "manifests": [], "layers": []}).to_string();
    let error = lab.refusal(tar(&[("index.json", index.as_bytes())])).await;
    assert!(error.to_string().contains("ambiguous"), "{error}");
}

#[tokio::test]
async fn a_hostile_layer_takes_the_whole_archive_with_it() {
    let lab = Lab::new().await;
    let mut bad = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Char);
    header.set_size(0);
    bad.append_data(&mut header, "dev/mem", std::io::empty())
        .unwrap();
    let bad = bad.into_inner().unwrap();
    for layer in [bad.clone(), gzip(&bad)] {
        let error = lab.refusal(docker_archive(&layer, "app:1")).await;
        assert!(error.to_string().contains("device node"), "{error}");
    }
}

#[tokio::test]
async fn garbage_is_refused() {
    let lab = Lab::new().await;
    for archive in [
        b"nonsense".to_vec(),
        Vec::new(),
        tar(&[("readme", b"x")]),
        gzip(b"nonsense"),
    ] {
        assert_eq!(lab.refusal(archive).await.kind(), Kind::InvalidParameter);
    }
    let whole = docker_archive(&layer(), "app:1");
    lab.refusal(whole[..whole.len() / 2].to_vec()).await;
}

#[tokio::test]
async fn what_a_killed_load_left_is_gone_after_the_next_start() {
    let lab = Lab::new().await;
    lab.load(docker_archive(&layer(), "app:1")).await.unwrap();
    let whole = lab.contents();
    let orphan = Digest::of(b"orphan");
    let root = lab.folder.path();
    fs::create_dir_all(root.join("image-staging/new-7/layer-1/etc")).unwrap();
    fs::create_dir_all(root.join("layers").join(orphan.hex())).unwrap();
    fs::copy("/etc/passwd", root.join("blobs/sha256").join(orphan.hex())).unwrap();
    let service = open(root, Limits::default()).await;
    assert_eq!(lab.contents(), whole);
    assert!(service.resolve("app:1").is_ok());
}

#[tokio::test]
async fn one_unreadable_record_does_not_hide_the_other_images() {
    let lab = Lab::new().await;
    lab.load(docker_archive(&layer(), "app:1")).await.unwrap();
    fs::copy("/etc/passwd", lab.folder.path().join("images/torn.json")).unwrap();
    let service = open(lab.folder.path(), Limits::default()).await;
    assert_eq!(service.count(), 1);
}

#[tokio::test]
async fn a_name_moves_and_the_old_image_dangles_until_it_is_pruned() {
    let lab = Lab::new().await;
    lab.load(docker_archive(&layer(), "app:1")).await.unwrap();
    let said = lab
        .load(docker_archive(&tar(&[("y", b"y")]), "app:1"))
        .await
        .unwrap();
    assert!(
        said[0].starts_with("The image app:1 already exists, renaming the old one with ID sha256:")
    );
    let filters = |text| Filters::parse(text, &["dangling"]).unwrap();
    let dangling = ListOptions {
        filters: filters(r#"{"dangling":["true"]}"#),
        ..ListOptions::default()
    };
    assert_eq!(lab.service.list(&dangling).unwrap().len(), 1);
    let pruned = lab.service.prune(&filters("")).await.unwrap();
    assert_eq!(pruned.space_reclaimed, Some(5));
    assert_eq!(pruned.images_deleted.unwrap().len(), 2);
    assert_eq!((lab.service.count(), lab.contents().len()), (1, 4));
}

#[tokio::test]
async fn shared_layers_stay_until_the_last_image_goes() {
    let lab = Lab::new().await;
    let (base, top) = (layer(), tar(&[("top", b"t")]));
    lab.load(docker_archive(&base, "base:1")).await.unwrap();
    let table =
        json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["a", "b"]}]).to_string();
    let archive = tar(&[
        ("a", &base),
        ("b", &top),
        ("c.json", &config(&[&base, &top])),
        ("manifest.json", table.as_bytes()),
    ]);
    lab.load(archive).await.unwrap();
    assert!(
        lab.service
            .descends(&lab.service.resolve("app:1").unwrap().id, "base:1")
    );
    lab.service.remove("base:1", false, false).await.unwrap();
    let app = lab.service.resolve("app:1").unwrap();
    assert!(app.layers.iter().all(|layer| layer.exists()));
    let removed = lab.service.remove("app:1", false, false).await.unwrap();
    assert_eq!(removed.len(), 4, "one untagged, the image, two layers");
    assert!(lab.contents().is_empty());
}

#[tokio::test]
async fn an_image_removed_by_force_keeps_its_layers_for_its_containers() {
    let lab = Lab::new().await;
    lab.load(docker_archive(&layer(), "app:1")).await.unwrap();
    let image = lab.service.resolve("app:1").unwrap();
    let usage = Usage {
        container: ContainerId::from_bytes([7; 32]),
        image: image.id.clone(),
        running: false,
    };
    let usages = Arc::new(Mutex::new(vec![usage]));
    let told = Arc::clone(&usages);
    lab.service
        .join_users(Arc::new(move || told.lock().unwrap().clone()));
    let refused = lab.service.remove("app:1", false, false).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    lab.service.remove("app:1", true, false).await.unwrap();
    assert!(lab.service.resolve("app:1").is_err());
    assert_eq!(lab.service.count(), 0);
    assert!(lab.service.resolve(image.id.as_str()).unwrap().layers[0].exists());
    usages.lock().unwrap().clear();
    lab.service.collect().await.unwrap();
    assert!(lab.contents().is_empty());
}

#[tokio::test]
async fn an_imported_root_becomes_an_image_of_one_layer() {
    let lab = Lab::new().await;
    let options = ImportOptions {
        name: Some("base".parse().unwrap()),
        changes: vec![r#"CMD ["sh"]"#.to_owned()],
        ..ImportOptions::default()
    };
    let root = Cursor::new(gzip(&layer()));
    let lines = lab
        .service
        .import(root, options.clone())
        .finish()
        .await
        .unwrap();
    assert!(lines[0]["status"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(
        lab.service
            .resolve("base:latest")
            .unwrap()
            .config
            .cmd
            .unwrap(),
        ["sh"]
    );
    assert_eq!(
        lab.service.history("base").unwrap()[0].comment,
        "Imported from -"
    );
    let wrong = ImportOptions {
        changes: vec!["RUN x".to_owned()],
        ..options
    };
    let refused = lab
        .service
        .import(Cursor::new(layer()), wrong)
        .finish()
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "RUN is not a valid change command");
}

#[tokio::test]
async fn the_embedded_image_is_the_same_everywhere() {
    let (first, second) = (Lab::new().await, Lab::new().await);
    let id = first.service.ensure_hello().await.unwrap();
    assert_eq!(first.service.ensure_hello().await.unwrap(), id);
    assert_eq!(second.service.ensure_hello().await.unwrap(), id);
    let image = first.service.resolve("hakone/hello").unwrap();
    assert_eq!(image.config.cmd.unwrap(), ["/hello"]);
    let target = fs::read_link(image.layers[0].join("bin/true")).unwrap();
    assert_eq!(target, Path::new("/hello"));
    assert!(
        first
            .contents()
            .iter()
            .all(|path| !path.starts_with("image-staging"))
    );
}

#[tokio::test]
async fn a_tag_needs_an_image_and_a_plain_name() {
    let lab = Lab::new().await;
    let missing = lab.service.tag("nope", "app:1").await.unwrap_err();
    assert_eq!(missing.to_string(), "No such image: nope:latest");
    let digest = format!("app@{}", Digest::of(b""));
    let refused = lab.service.tag("nope", &digest).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "refusing to create a tag with a digest reference"
    );
}

#[tokio::test]
async fn a_name_given_again_writes_nothing_and_its_time_is_kept() {
    let lab = Lab::new().await;
    lab.load(docker_archive(&layer(), "app:1")).await.unwrap();
    let id = lab.service.resolve("app:1").unwrap().id;
    let written = || {
        let record = format!("images/{}.json", id.hex());
        ["image-names.json", record.as_str()].map(|name| {
            let file = fs::metadata(lab.folder.path().join(name)).unwrap();
            std::os::unix::fs::MetadataExt::ino(&file)
        })
    };
    let tagged = |service: &Service| {
        let metadata = service.inspect("app:1", false).unwrap().metadata.unwrap();
        metadata.last_tag_time.unwrap()
    };
    let (files, before) = (written(), tagged(&lab.service));
    lab.service.tag("app:1", "app:1").await.unwrap();
    let after = tagged(&lab.service);
    assert_ne!(after, before);
    assert_eq!(written(), files);
    let next = open(lab.folder.path(), Limits::default()).await;
    assert_eq!(tagged(&next), after);
    lab.service.tag("app:1", "other:1").await.unwrap();
    assert_ne!(written()[0], files[0], "a new name is written");
}

#[tokio::test]
async fn an_image_above_another_is_whole_when_what_is_its_own_is_there() {
    let lab = Lab::new().await;
    let (base, top) = (layer(), tar(&[("top", b"t")]));
    lab.load(docker_archive(&base, "base:1")).await.unwrap();
    let table =
        json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["a", "b"]}]).to_string();
    let archive = tar(&[
        ("a", &base),
        ("b", &top),
        ("c.json", &config(&[&base, &top])),
        ("manifest.json", table.as_bytes()),
    ]);
    lab.load(archive).await.unwrap();
    let ids = ["base:1", "app:1"].map(|name| lab.service.resolve(name).unwrap().id);
    let [below, above] = ids;
    let found = lab.service.ground_above(&above, &below).unwrap();
    let layers = lab.service.layers(&found.id).unwrap();
    assert_eq!(layers.len(), 2);
    // Another image that it does not stand on vouches for nothing.
    fs::remove_dir_all(&layers[0]).unwrap();
    assert!(lab.service.ground_above(&above, &Digest::of(b"")).is_err());
    fs::remove_dir_all(&layers[1]).unwrap();
    assert!(lab.service.ground_above(&above, &below).is_err());
}

#[tokio::test]
async fn a_load_whose_caller_has_gone_is_finished() {
    let lab = Lab::new().await;
    let mut events = {
        let options = Options::new(lab.folder.path().join("other"));
        let bus = Bus::default();
        let service = Service::open(options, bus.clone()).await.unwrap();
        drop(service.load(Cursor::new(docker_archive(&layer(), "app:1")), None, false));
        bus.subscribe()
    };
    let action = match events.past.pop() {
        Some(event) => event.action,
        None => events.live.recv().await.unwrap().action,
    };
    assert_eq!(action, "load");
}

#[tokio::test]
async fn what_is_of_another_platform_is_neither_saved_nor_loaded_when_one_is_named() {
    let lab = Lab::new().await;
    lab.load(docker_archive(&layer(), "app:1")).await.unwrap();
    let other: Platform = "linux/s390x".parse().unwrap();
    let names = ["app:1".to_owned()];
    let refused = lab.service.require(&names, &other).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("does not match the specified platform (linux/s390x)")
    );
    let archive = lab.save("app:1").await;
    lab.service.remove("app:1", true, false).await.unwrap();
    let loading = lab
        .service
        .load(Cursor::new(archive.clone()), Some(other), true);
    assert!(loading.finish().await.is_err());
    assert!(lab.service.resolve("app:1").is_err());
    let own = Platform::of(std::env::consts::ARCH);
    lab.service
        .load(Cursor::new(archive), Some(own), true)
        .finish()
        .await
        .unwrap();
    assert!(lab.service.resolve("app:1").is_ok());
}

#[tokio::test]
async fn what_is_pushed_in_an_images_place_stays_and_goes_with_it() {
    let lab = Lab::new().await;
    let layer = tar(&[("file", b"text")]);
    lab.load(docker_archive(&layer, "app:1")).await.unwrap();
    let plain = lab.contents();
    let image = Digest::of(&config(&[&layer]));
    let (outside, blob) = (tempfile::tempdir().unwrap(), b"packed otherwise");
    let outgoing = || {
        let file = outside.path().join("blob");
        let mut written = fs::File::create(&file).unwrap();
        written.write_all(blob).unwrap();
        let descriptor = |bytes: &[u8]| Descriptor::new("x", Digest::of(bytes), bytes.len() as u64);
        Outgoing {
            files: vec![(descriptor(blob), file)],
            documents: vec![b"statement".to_vec()],
            manifests: vec![(descriptor(b"{}"), b"{}".to_vec())],
        }
    };
    let kept = |found: &BTreeSet<String>| {
        let all: [&[u8]; 3] = [blob, b"statement", b"{}"];
        let there = all
            .into_iter()
            .filter(|one| found.contains(&blob_name(one)));
        there.count()
    };
    lab.service.send_as(&image, Some(outgoing())).await.unwrap();
    // What needs no image is swept, and a daemon that is started again sweeps, too.
    lab.service.sweep();
    assert_eq!(kept(&lab.contents()), 3);
    let again = open(lab.folder.path(), Limits::default()).await;
    again.sweep();
    assert_eq!(kept(&lab.contents()), 3);
    // As it is kept, from now on.
    lab.service.send_as(&image, None).await.unwrap();
    lab.service.sweep();
    assert_eq!(lab.contents(), plain);
    lab.service.send_as(&image, Some(outgoing())).await.unwrap();
    lab.service.remove("app:1", false, true).await.unwrap();
    assert_eq!(lab.contents(), BTreeSet::new());
    let nobody = lab.service.send_as(&image, Some(outgoing())).await;
    assert_eq!(nobody.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn an_image_shows_what_its_name_means_and_what_is_below() {
    let lab = Lab::new().await;
    let layer = tar(&[("file", b"text")]);
    lab.load(docker_archive(&layer, "app:1")).await.unwrap();
    let text = config(&[&layer]);
    let image = Digest::of(&text);
    let asked = ListOptions {
        descriptors: true,
        manifests: true,
        ..ListOptions::default()
    };
    let listed = || lab.service.list(&asked).unwrap().remove(0);
    // It came without a manifest: the one that it would be pushed with.
    let plain = listed();
    let own = plain.descriptor.clone().unwrap();
    let manifests = plain.manifests.unwrap();
    assert_eq!(manifests.len(), 1);
    assert_eq!(Some(&manifests[0].id), own.digest.as_ref());
    assert!(manifests[0].available, "{manifests:?}");
    let kept = text.len() + layer.len() + usize::try_from(own.size.unwrap()).unwrap();
    assert_eq!(manifests[0].size.content, i64::try_from(kept).unwrap());
    assert_eq!(
        manifests[0].size.total - manifests[0].size.content,
        plain.size
    );
    assert_eq!(lab.service.manifest(&image).unwrap(), own);
    let inspected = lab.service.inspect("app:1", true).unwrap();
    assert_eq!(inspected.descriptor, Some(own.clone()));
    assert_eq!(inspected.manifests, Some(manifests.clone()));
    let unasked = lab.service.list(&ListOptions::default()).unwrap().remove(0);
    assert_eq!((unasked.descriptor, unasked.manifests), (None, None));

    let (outgoing, index, manifest) = attested(&text, &layer);
    lab.service.send_as(&image, Some(outgoing)).await.unwrap();
    let shown = listed();
    let target = shown.descriptor.unwrap();
    assert_eq!(target.digest, Some(Digest::of(&index).to_string()));
    assert!(target.media_type.unwrap().contains("image.index"));
    let below = shown.manifests.unwrap();
    let told: Vec<_> = below
        .iter()
        .map(|one| {
            (
                json!(one)["Kind"].as_str().unwrap().to_owned(),
                one.available,
            )
        })
        .collect();
    let word = |kind: &str, there| (kind.to_owned(), there);
    assert_eq!(
        told,
        [
            word("image", true),
            word("image", false),
            word("attestation", true)
        ]
    );
    assert_eq!(below[1].size.total, 0);
    assert_eq!(
        below[2].attestation_data.as_ref().unwrap()._for,
        Digest::of(&manifest).to_string()
    );
    // What runs here is the same image, whatever is pushed in its place.
    assert_eq!(lab.service.manifest(&image).unwrap(), own);
}

/// An index of an image, of another platform whose content is not here, and of a statement about it; with what is pushed for it.
fn attested(text: &[u8], layer: &[u8]) -> (Outgoing, Vec<u8>, Vec<u8>) {
    let pointer = |bytes: &[u8], kind: &str| json!({"mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": pointer(text, "application/vnd.oci.image.config.v1+json"),
        "layers": [pointer(layer, "application/vnd.oci.image.layer.v1.tar")],
    });
    let statement = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": pointer(b"{}", "application/vnd.oci.image.config.v1+json"), "layers": [],
    });
    let [manifest, statement] = [manifest, statement].map(|value| value.to_string().into_bytes());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let mut entries = [&manifest[..], b"elsewhere", &statement].map(|bytes| pointer(bytes, kind));
    entries[0]["platform"] = json!({"os": "linux", "architecture": "amd64"});
    entries[1]["platform"] = json!({"os": "linux", "architecture": "s390x"});
    entries[2]["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    entries[2]["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": Digest::of(&manifest),
    });
    let kind_of_index = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind_of_index, "manifests": entries});
    let index = index.to_string().into_bytes();
    let described =
        |bytes: &[u8], kind: &str| Descriptor::new(kind, Digest::of(bytes), bytes.len() as u64);
    let outgoing = Outgoing {
        files: Vec::new(),
        documents: vec![b"{}".to_vec()],
        manifests: vec![
            (described(&manifest, kind), manifest.clone()),
            (described(&statement, kind), statement.clone()),
            (described(&index, kind_of_index), index.clone()),
        ],
    };
    (outgoing, index, manifest)
}
