//! A cache and the registry behind it: what is asked again, what is served when nobody answers there, what goes with time.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use crate::served::Served;

fn cache_of(folder: &Path, behind: SocketAddr, life: &str) -> Served {
    let config =
        format!("[collect]\ngrace = \"0s\"\n[cache]\nremote = \"{behind}\"\nlife = \"{life}\"\n");
    Served::start(folder, &config)
}

fn tag(reg: &Served) -> (u16, String, bool) {
    let answer = reg.get("/v2/app/manifests/v1");
    let digest = answer.header("docker-content-digest").unwrap_or_default();
    (answer.status, digest, answer.header("warning").is_some())
}

#[test]
fn a_tag_is_asked_for_again_and_what_is_known_stands_in_for_a_registry_that_is_away() {
    let (front, back) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let origin = Served::start(back.path(), "");
    let (_, first) = origin.image("app", "v1", "one");
    let cache = cache_of(front.path(), origin.at, "1h");
    assert_eq!(tag(&cache), (200, first.to_string(), false));
    let (_, second) = origin.image("app", "v1", "two");
    assert_eq!(
        tag(&cache),
        (200, second.to_string(), false),
        "it moved behind"
    );
    drop(origin);
    assert_eq!(
        tag(&cache),
        (200, second.to_string(), true),
        "nobody answers"
    );
    // What is named by its digest needs nobody: it cannot have changed.
    let known = cache.get(&format!("/v2/app/manifests/{first}"));
    assert_eq!((known.status, known.header("warning")), (200, None));
    assert_eq!(cache.get("/v2/app/manifests/v9").status, 503);
}

#[test]
fn what_nobody_asks_a_cache_for_goes_and_comes_again_from_behind() {
    let (front, back) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let origin = Served::start(back.path(), "");
    let (_, wanted) = origin.image("app", "v1", "wanted");
    let (_, forgotten) = origin.image("old", "v1", "forgotten");
    let layer = origin.push("old", b"forgotten");
    let cache = cache_of(front.path(), origin.at, "8s");
    let blob = |digest: &str| {
        front
            .path()
            .join("blobs/sha256")
            .join(digest.trim_start_matches("sha256:"))
    };
    assert_eq!(cache.get("/v2/old/manifests/v1").status, 200);
    assert_eq!(
        cache.get(&format!("/v2/old/blobs/{layer}")).body,
        b"forgotten"
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    while blob(forgotten.as_str()).exists() || blob(layer.as_str()).exists() {
        assert!(Instant::now() < deadline, "nothing is forgotten");
        assert_eq!(tag(&cache).0, 200);
        cache.collect();
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(blob(wanted.as_str()).exists(), "what is asked for stays");
    assert_eq!(cache.get("/v2/old/tags/list").status, 404);
    assert_eq!(cache.get("/v2/old/manifests/v1").status, 200);
    assert_eq!(
        cache.get(&format!("/v2/old/blobs/{layer}")).body,
        b"forgotten"
    );
}
