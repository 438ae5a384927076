//! What a pull promises of an honest registry.

use std::{
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use hakone_base::Digest;
use serde_json::json;

use crate::{
    Lab, image, serve,
    server::{INDEX, Image, MANIFEST, Server, head, reply},
    statuses,
};

#[tokio::test]
async fn an_image_comes_with_its_layers_its_tag_and_its_digest() {
    let (lab, image) = (Lab::new().await, image());
    let server = serve(&image, |_, _| false);
    let name = server.name("app:1");
    let lines = lab.pull(&name).await.unwrap();
    assert!(lab.layer_file(&name, "one") && lab.layer_file(&name, "two"));
    let inspected = lab.service.inspect(&name, false).unwrap();
    let by_digest = format!("{}@{}", server.name("app"), image.digest());
    assert_eq!(
        inspected.repo_digests.unwrap(),
        std::slice::from_ref(&by_digest)
    );
    assert_eq!(inspected.repo_tags.unwrap(), std::slice::from_ref(&name));
    assert!(lab.service.resolve(&by_digest).is_ok());
    let said = statuses(&lines);
    assert_eq!(said.first().unwrap(), "Pulling from app");
    assert_eq!(lines[0]["id"], "1");
    for status in [
        "Pulling fs layer",
        "Verifying Checksum",
        "Download complete",
        "Pull complete",
    ] {
        assert_eq!(
            said.iter().filter(|one| *one == status).count(),
            2,
            "{status}"
        );
    }
    let last = [
        format!("Digest: {}", image.digest()),
        format!("Status: Downloaded newer image for {name}"),
    ];
    assert_eq!(said[said.len() - 2..], last);
}

#[tokio::test]
async fn what_is_here_is_not_fetched_again() {
    let (lab, image) = (Lab::new().await, image());
    let server = serve(&image, |_, _| false);
    lab.pull(&server.name("app:1")).await.unwrap();
    let said = statuses(&lab.pull(&server.name("app:1")).await.unwrap());
    assert_eq!(
        said.last().unwrap(),
        &format!("Status: Image is up to date for {}", server.name("app:1"))
    );
    let blobs = server.seen("/blobs/").len();
    // Another image on the same layers.
    let said = statuses(&lab.pull(&server.name("other:1")).await.unwrap());
    assert_eq!(
        said.iter().filter(|one| *one == "Already exists").count(),
        2
    );
    // Its config alone.
    assert_eq!(server.seen("/blobs/").len(), blobs + 1);
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_resumed_where_it_broke() {
    let (lab, image) = (Lab::new().await, image());
    let (layer, breaks) = (image.layers[0].clone(), AtomicUsize::new(0));
    let path = format!("/blobs/{}", Digest::of(&layer));
    let server = serve(&image, move |seen, stream| {
        let breaks = seen.path.ends_with(&path) && breaks.fetch_add(1, Ordering::SeqCst) < 1;
        if breaks {
            head(stream, "200 OK", &[], layer.len());
            stream.write_all(&layer[..70_000]).unwrap();
        }
        breaks
    });
    lab.pull(&server.name("app:1")).await.unwrap();
    let asked = server.seen(Digest::of(&image.layers[0]).as_str());
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].header("range"), "bytes=70000-");
    assert!(lab.layer_file(&server.name("app:1"), "one"));
}

#[tokio::test]
async fn a_registry_that_knows_no_ranges_is_read_again() {
    let (lab, image) = (Lab::new().await, image());
    let (layer, breaks) = (image.layers[0].clone(), AtomicUsize::new(0));
    let path = format!("/blobs/{}", Digest::of(&layer));
    let server = serve(&image, move |seen, stream| {
        if !seen.path.ends_with(&path) {
            return false;
        }
        head(stream, "200 OK", &[], layer.len());
        let part = if breaks.fetch_add(1, Ordering::SeqCst) < 1 {
            70_000
        } else {
            layer.len()
        };
        stream.write_all(&layer[..part]).ok();
        true
    });
    lab.pull(&server.name("app:1")).await.unwrap();
    assert!(lab.layer_file(&server.name("app:1"), "one"));
}

#[tokio::test]
async fn an_index_leads_to_the_image_of_this_machine() {
    let (lab, image) = (Lab::new().await, image());
    let here = hakone_image_model::Platform::of(std::env::consts::ARCH);
    let other = Image::new("2026-01-01T00:00:00Z", &["foreign"]);
    let entry = |image: &Image, platform: serde_json::Value| json!({"mediaType": MANIFEST, "size": image.manifest.len(), "digest": image.digest(), "platform": platform});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        entry(&other, json!({"architecture": "unknown", "os": "unknown"})),
        entry(&other, json!({"architecture": "s390x", "os": "linux"})),
        entry(&image, json!(here)),
    ]})
    .to_string();
    let body = index.clone();
    let server = serve(&image, move |seen, stream| {
        let top = seen.path.ends_with("/manifests/1");
        if top {
            reply(
                stream,
                "200 OK",
                &[("Content-Type", INDEX)],
                body.as_bytes(),
            );
        }
        top
    });
    lab.pull(&server.name("app:1")).await.unwrap();
    assert!(lab.layer_file(&server.name("app:1"), "one"));
    // Known by what the name meant: the index.
    let by_digest = format!("{}@{}", server.name("app"), Digest::of(index.as_bytes()));
    assert!(lab.service.resolve(&by_digest).is_ok());
}

#[tokio::test]
async fn all_tags_come_when_none_is_named() {
    let (lab, image) = (Lab::new().await, image());
    let server = serve(&image, |seen, stream| {
        let first = seen.path == "/v2/app/tags/list";
        let second = seen.path == "/v2/app/tags/list?last=1";
        if first {
            let link = "</v2/app/tags/list?last=1>; rel=\"next\"";
            reply(stream, "200 OK", &[("Link", link)], b"{\"tags\":[\"1\"]}");
        } else if second {
            reply(stream, "200 OK", &[], b"{\"tags\":[\"2\",\"not a tag\"]}");
        }
        first || second
    });
    let said = statuses(&lab.pull(&server.name("app")).await.unwrap());
    assert!(lab.service.resolve(&server.name("app:1")).is_ok());
    assert!(lab.service.resolve(&server.name("app:2")).is_ok());
    assert_eq!(
        said.iter().filter(|one| *one == "Pulling from app").count(),
        2
    );
}

#[tokio::test]
async fn a_mirror_stands_in_for_the_hub_and_never_sees_a_password() {
    let image = image();
    let mirror = serve(&image, |_, _| false);
    let settings = hakone_registry::Settings {
        mirrors: vec![format!("http://{}", mirror.address).parse().unwrap()],
        ..hakone_registry::Settings::default()
    };
    let lab = Lab::with(settings, false).await;
    let bob = hakone_registry::Credentials::password("bob".into(), "hunter2".into());
    lab.pull_as("debian:12", bob).await.unwrap();
    assert!(lab.service.resolve("debian:12").is_ok());
    assert!(
        mirror
            .seen("")
            .iter()
            .all(|seen| seen.header("authorization").is_empty())
    );
    assert!(!mirror.seen("/v2/library/debian/manifests/12").is_empty());
}

#[tokio::test]
async fn a_missing_image_is_said_in_dockers_words() {
    let lab = Lab::new().await;
    let server = Server::start(|seen, stream| {
        let body = match seen.path.contains("/manifests/") {
            true => {
                &br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#[..]
            }
            false => b"{}",
        };
        let status = if seen.path == "/v2/" {
            "200 OK"
        } else {
            "404 Not Found"
        };
        reply(stream, status, &[], body);
        true
    });
    let name = server.name("nope:1");
    let wanted = format!("manifest for {name} not found: manifest unknown: manifest unknown");
    assert_eq!(lab.refused(&name).await, wanted);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_pull_and_nothing_stays() {
    let (lab, image) = (Lab::new().await, image());
    let server = serve(&image, |seen, stream| {
        let stalls = seen.path.contains("/blobs/") && seen.header("range").is_empty();
        if stalls {
            head(stream, "200 OK", &[], 1 << 20);
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
        stalls
    });
    let before = lab.contents();
    let request = hakone_image::PullRequest {
        name: server.name("app:1").parse().unwrap(),
        platform: None,
        credentials: hakone_registry::Credentials::None,
    };
    let mut progress = lab.service.pull(request);
    while server.seen("/blobs/").is_empty() {
        tokio::select! {
            _ = progress.next() => {}
            () = tokio::time::sleep(std::time::Duration::from_millis(10)) => {}
        }
    }
    drop(progress);
    while lab.contents() != before {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(lab.service.resolve(&server.name("app:1")).is_err());
}
