//! What a hostile registry tries, and what becomes of it: refused, with nothing left behind.

use std::{io::Write as _, net::TcpStream, thread, time::Duration};

use hakone_base::Digest;
use serde_json::{Value, json};

use crate::{
    Lab, Seen, image, serve,
    server::{CONFIG, INDEX, Image, LAYER, MANIFEST, Server, describe, head, reply},
};

/// Answers for a layer.
fn on_layer(
    image: &Image,
    answer: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static {
    let path = format!("/blobs/{}", Digest::of(&image.layers[0]));
    move |seen, stream| {
        let ours = seen.path.ends_with(&path);
        if ours {
            answer(stream);
        }
        ours
    }
}

/// Answers for every path with `part` in it.
fn on(
    part: &'static str,
    answer: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static {
    move |seen, stream| {
        let ours = seen.path.contains(part);
        if ours {
            answer(stream);
        }
        ours
    }
}

/// Sends bytes without end.
fn flood(stream: &mut TcpStream, byte: u8) {
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    stream.write_all(head).ok();
    while stream.write_all(&[byte; 65536]).is_ok() {}
}

/// Answers for every manifest.
fn on_manifest(
    kind: &'static str,
    body: String,
) -> impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static {
    move |seen, stream| {
        let ours = seen.path.contains("/manifests/");
        if ours {
            reply(stream, "200 OK", &[("Content-Type", kind)], body.as_bytes());
        }
        ours
    }
}

/// A service of this host that no registry has business with.
fn canary() -> Server {
    Server::start(|_, stream| {
        reply(stream, "200 OK", &[], b"secrets of this host");
        true
    })
}

#[tokio::test]
async fn a_layer_with_other_content_is_refused() {
    let (lab, image) = (Lab::new().await, image());
    let mut forged = image.layers[0].clone();
    let last = forged.len() - 1;
    forged[last / 2] ^= 1;
    let server = serve(
        &image,
        on_layer(&image, move |stream| reply(stream, "200 OK", &[], &forged)),
    );
    let error = lab.refused(&server.name("app:1")).await;
    // Either the digest tells, or the broken packing told before.
    assert!(
        error.contains("verification failed") || error.contains("could not read the layer"),
        "{error}"
    );
}

#[tokio::test]
async fn a_layer_of_another_image_is_refused_by_its_digest() {
    let (lab, image) = (Lab::new().await, image());
    let mut other = image.layers[1].clone();
    other.resize(image.layers[0].len(), 0);
    let server = serve(
        &image,
        on_layer(&image, move |stream| reply(stream, "200 OK", &[], &other)),
    );
    let error = lab.refused(&server.name("app:1")).await;
    assert!(
        error.contains("verification failed") || error.contains("could not read the layer"),
        "{error}"
    );
}

#[tokio::test]
async fn a_layer_that_is_shorter_or_longer_than_promised_is_refused() {
    for difference in [-1_isize, 1] {
        let (lab, image) = (Lab::new().await, image());
        let mut body = image.layers[0].clone();
        body.resize(body.len().saturating_add_signed(difference), 0);
        let server = serve(
            &image,
            on_layer(&image, move |stream| reply(stream, "200 OK", &[], &body)),
        );
        let error = lab.refused(&server.name("app:1")).await;
        assert!(error.contains("has not the"), "{error}");
    }
}

#[tokio::test]
async fn an_endless_layer_ends_at_its_size() {
    let (lab, image) = (Lab::new().await, image());
    let server = serve(&image, on_layer(&image, |stream| flood(stream, 0)));
    let error = lab.refused(&server.name("app:1")).await;
    assert!(
        error.contains("has not the") || error.contains("could not read the layer"),
        "{error}"
    );
}

#[tokio::test]
async fn a_layer_that_dribbles_is_given_up() {
    let (lab, image) = (Lab::hasty().await, image());
    let length = image.layers[0].len();
    let server = serve(
        &image,
        on_layer(&image, move |stream| {
            head(stream, "200 OK", &[], length);
            while stream.write_all(&[0x1f]).is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        }),
    );
    let error = lab.refused(&server.name("app:1")).await;
    assert!(
        error.contains("too slowly") || error.contains("has not the"),
        "{error}"
    );
}

#[tokio::test]
async fn a_layer_that_always_breaks_off_is_given_up() {
    let (lab, image) = (Lab::new().await, image());
    let length = image.layers[0].len();
    let server = serve(
        &image,
        on_layer(&image, move |stream| head(stream, "200 OK", &[], length)),
    );
    lab.refused(&server.name("app:1")).await;
    let asked = server.seen(Digest::of(&image.layers[0]).as_str()).len();
    assert_eq!(asked, 6, "the first attempt and five more");
}

#[tokio::test]
async fn a_resumed_layer_from_elsewhere_in_the_blob_is_refused() {
    let (lab, image) = (Lab::new().await, image());
    let layer = image.layers[0].clone();
    let path = format!("/blobs/{}", Digest::of(&layer));
    let server = serve(&image, move |seen, stream| {
        if !seen.path.ends_with(&path) {
            return false;
        }
        if seen.header("range").is_empty() {
            head(stream, "200 OK", &[], layer.len());
            stream.write_all(&layer[..1000]).ok();
        } else {
            let range = format!("bytes 0-{}/{}", layer.len() - 1, layer.len());
            reply(
                stream,
                "206 Partial Content",
                &[("Content-Range", &range)],
                &layer,
            );
        }
        true
    });
    assert!(
        lab.refused(&server.name("app:1"))
            .await
            .contains("has not the")
    );
}

#[tokio::test]
async fn a_manifest_of_another_digest_is_refused() {
    let (lab, image) = (Lab::new().await, image());
    let body = image.manifest_with(LAYER) + " ";
    let server = serve(&image, on_manifest(MANIFEST, body));
    let name = format!("{}@{}", server.name("app"), image.digest());
    let error = lab.refused(&name).await;
    assert_eq!(
        error,
        format!("manifest verification failed for digest {}", image.digest())
    );
}

#[tokio::test]
async fn a_manifest_that_is_not_what_its_header_says_is_refused_by_tag_too() {
    let (lab, image) = (Lab::new().await, image());
    let (body, digest) = (image.manifest_with(LAYER) + " ", image.digest());
    let server = serve(&image, move |seen, stream| {
        let ours = seen.path.contains("/manifests/");
        if ours {
            let headers = [
                ("Content-Type", MANIFEST),
                ("Docker-Content-Digest", digest.as_str()),
            ];
            reply(stream, "200 OK", &headers, body.as_bytes());
        }
        ours
    });
    assert!(
        lab.refused(&server.name("app:1"))
            .await
            .contains("verification failed")
    );
}

#[tokio::test]
async fn a_huge_manifest_is_not_read() {
    let (lab, image) = (Lab::new().await, image());
    // Said beforehand, and just sent.
    let said = serve(
        &image,
        on("/manifests/", |stream| {
            head(stream, "200 OK", &[("Content-Type", MANIFEST)], 300 << 20);
        }),
    );
    let sent = serve(&image, on("/manifests/", |stream| flood(stream, b' ')));
    for server in [said, sent] {
        let error = lab.refused(&server.name("app:1")).await;
        assert_eq!(
            error,
            format!("manifest has more than the limit of {} bytes", 4 << 20)
        );
    }
}

#[tokio::test]
async fn a_document_of_two_kinds_is_refused() {
    let (lab, image) = (Lab::new().await, image());
    let mut both: Value = serde_json::from_slice(&image.manifest).unwrap();
    both["manifests"] = json!([describe(MANIFEST, &image.manifest)]);
    let server = serve(&image, on_manifest(MANIFEST, both.to_string()));
    assert!(
        lab.refused(&server.name("app:1"))
            .await
            .contains("ambiguous")
    );
    // Said to be an index, and written as a manifest.
    let server = serve(&image, on_manifest(INDEX, image.manifest_with(LAYER)));
    assert!(
        lab.refused(&server.name("app:1"))
            .await
            .contains("media type")
    );
}

#[tokio::test]
async fn an_index_that_leads_to_indexes_ends() {
    let (lab, image) = (Lab::new().await, image());
    let platform = json!(hakone_image_model::Platform::of(std::env::consts::ARCH));
    let mut chain: Vec<String> = vec![String::from_utf8(image.manifest.clone()).unwrap()];
    for _ in 0..6 {
        let below = chain.last().unwrap();
        let kind = if chain.len() == 1 { MANIFEST } else { INDEX };
        let mut entry = describe(kind, below.as_bytes());
        entry["platform"] = platform.clone();
        chain.push(
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).to_string(),
        );
    }
    let server = serve(&image, move |seen, stream| {
        let ours = seen.path.contains("/manifests/");
        let named = chain
            .iter()
            .find(|text| seen.path.ends_with(Digest::of(text.as_bytes()).as_str()));
        if ours {
            reply(
                stream,
                "200 OK",
                &[("Content-Type", INDEX)],
                named.unwrap_or(&chain[6]).as_bytes(),
            );
        }
        ours
    });
    assert!(
        lab.refused(&server.name("app:1"))
            .await
            .contains("without end")
    );
}

#[tokio::test]
async fn a_foreign_layer_is_neither_fetched_nor_taken() {
    let (lab, image, canary) = (Lab::new().await, image(), canary());
    let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["layers"][0]["mediaType"] =
        json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    manifest["layers"][0]["urls"] = json!([format!("http://{}/layer", canary.address)]);
    let server = serve(&image, on_manifest(MANIFEST, manifest.to_string()));
    assert!(lab.refused(&server.name("app:1")).await.contains("foreign"));
    assert!(canary.seen("").is_empty());
}

#[tokio::test]
async fn an_artifact_is_no_image() {
    let (lab, image) = (Lab::new().await, image());
    let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["config"]["mediaType"] = json!("application/vnd.oci.empty.v1+json");
    let server = serve(&image, on_manifest(MANIFEST, manifest.to_string()));
    assert!(
        lab.refused(&server.name("app:1"))
            .await
            .contains("unsupported media type")
    );
}

#[tokio::test]
async fn a_config_of_another_digest_or_with_other_layers_is_refused() {
    let (lab, image) = (Lab::new().await, image());
    let path = format!("/blobs/{}", Digest::of(&image.config));
    let mut forged = image.config.clone();
    let at = forged.windows(2).position(|pair| pair == b"sh").unwrap();
    forged[at] = b'S';
    let server = serve(&image, move |seen, stream| {
        let ours = seen.path.ends_with(&path);
        if ours {
            reply(stream, "200 OK", &[], &forged);
        }
        ours
    });
    assert!(
        lab.refused(&server.name("app:1"))
            .await
            .contains("image config verification failed")
    );
    // Two layers in the manifest, whose config promises others.
    let other = Image::new("2026-01-01T00:00:00Z", &["x", "y"]);
    let mixed = Image {
        config: other.config,
        ..image
    };
    let mixed = Image {
        manifest: mixed.manifest_with(LAYER).into_bytes(),
        ..mixed
    };
    let server = serve(&mixed, |_, _| false);
    assert!(
        lab.refused(&server.name("app:1"))
            .await
            .contains("invalid diffID")
    );
}

#[tokio::test]
async fn sizes_that_cannot_be_are_refused() {
    let (lab, image) = (Lab::new().await, image());
    for size in [json!(-1), json!(1e30), json!("7")] {
        let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
        manifest["layers"][0]["size"] = size;
        let server = serve(&image, on_manifest(MANIFEST, manifest.to_string()));
        assert!(
            lab.refused(&server.name("app:1"))
                .await
                .contains("invalid manifest")
        );
    }
    let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["config"] =
        json!({"mediaType": CONFIG, "size": 1_u64 << 40, "digest": Digest::of(&image.config)});
    let server = serve(&image, on_manifest(MANIFEST, manifest.to_string()));
    assert!(
        lab.refused(&server.name("app:1"))
            .await
            .contains("more than the limit")
    );
}

#[tokio::test]
async fn no_redirect_leads_to_another_service_of_this_host_or_its_metadata() {
    let (lab, image, canary) = (Lab::new().await, image(), canary());
    let targets = [
        format!("http://{}/", canary.address),
        format!("http://localhost:{}/", canary.address.port()),
        format!("http://[::ffff:127.0.0.1]:{}/", canary.address.port()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.99.0.1/".to_owned(),
        "http://0.0.0.0:1/".to_owned(),
    ];
    for (what, target) in ["/blobs/", "/manifests/"]
        .iter()
        .flat_map(|what| targets.iter().map(move |target| (what, target)))
    {
        let to = target.clone();
        let away = move |stream: &mut TcpStream| {
            reply(stream, "307 Temporary Redirect", &[("Location", &to)], b"");
        };
        let server = serve(&image, on(what, away));
        let error = lab.refused(&server.name("app:1")).await;
        assert!(error.contains("refusing to follow"), "{target}: {error}");
    }
    assert!(canary.seen("").is_empty());
}

#[tokio::test]
async fn redirects_to_files_or_in_circles_end() {
    let (lab, image) = (Lab::new().await, image());
    let server = serve(&image, |seen, stream| {
        let ours = seen.path.contains("/manifests/");
        let to = if seen.path.ends_with("file") {
            "file:///etc/passwd"
        } else {
            seen.path.as_str()
        };
        if ours {
            reply(stream, "302 Found", &[("Location", to)], b"");
        }
        ours
    });
    assert!(
        lab.refused(&server.name("app:1"))
            .await
            .contains("too many redirects")
    );
    assert!(
        lab.refused(&server.name("app:file"))
            .await
            .contains("http or https is expected")
    );
}

#[tokio::test]
async fn an_upload_is_not_sent_to_another_service_of_this_host() {
    let (lab, image, canary) = (Lab::new().await, image(), canary());
    let to = format!("http://{}/upload", canary.address);
    let server = serve(&image, move |seen, stream| {
        let begins = seen.method == "POST";
        if begins {
            reply(stream, "202 Accepted", &[("Location", &to)], b"");
        }
        begins
            || seen.method == "HEAD" && seen.path.contains("/blobs/") && {
                reply(stream, "404 Not Found", &[], b"");
                true
            }
    });
    let name = server.name("app:1");
    lab.pull(&name).await.unwrap();
    let request = hakone_image::PushRequest {
        name: name.parse().unwrap(),
        credentials: hakone_registry::Credentials::None,
    };
    let error = lab
        .service
        .push(request)
        .finish()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("refusing to follow"), "{error}");
    assert!(canary.seen("").is_empty());
}

#[tokio::test]
async fn an_older_image_for_the_same_tag_is_said_and_in_hardened_mode_refused() {
    let (old, new) = (
        Image::new("2026-01-01T00:00:00Z", &["old"]),
        Image::new("2026-02-01T00:00:00Z", &["new"]),
    );
    for hardened in [false, true] {
        let lab = Lab::with(hakone_registry::Settings::default(), hardened).await;
        let now = std::sync::Arc::new(std::sync::Mutex::new(new.clone()));
        let shown = std::sync::Arc::clone(&now);
        let server =
            Server::start(move |seen, stream| shown.lock().unwrap().clone().serve(seen, stream));
        let name = server.name("app:1");
        lab.pull(&name).await.unwrap();
        *now.lock().unwrap() = old.clone();
        let pulled = lab.pull(&name).await;
        match hardened {
            true => assert!(pulled.unwrap_err().to_string().contains("was rolled back")),
            false => assert!(
                crate::statuses(&pulled.unwrap())
                    .iter()
                    .any(|line| line.starts_with("WARNING"))
            ),
        }
        assert_eq!(lab.layer_file(&name, "new"), hardened);
        // By its digest it may be had.
        lab.pull(&format!("{}@{}", server.name("app"), old.digest()))
            .await
            .unwrap();
    }
}
