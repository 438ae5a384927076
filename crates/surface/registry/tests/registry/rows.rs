//! The bare protocol, row by row, and the attacks on it.

use std::{io::Write as _, net::TcpStream, path::Path, time::Duration};

use hakone_registry_service::api::{Algorithm, ContentDigest};

use crate::served::{Answer, INDEX, MANIFEST, Served, image, refused, served};

/// `bob` with the password `s3cret`, and `eve` with the same.
const USERS: &str = "bob:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\neve:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";
const BOB: &str = "Authorization: Basic Ym9iOnMzY3JldA==\r\n";
const EVE: &str = "Authorization: Basic ZXZlOnMzY3JldA==\r\n";

#[test]
fn a_blob_comes_in_one_request_and_goes_in_parts() {
    let (_folder, reg) = served();
    let base = reg.get("/v2/");
    assert_eq!((base.status, base.body().as_str()), (200, "{}"));
    assert_eq!(
        base.header("docker-distribution-api-version").unwrap(),
        "registry/2.0"
    );
    let digest = reg.push("a/b", b"0123456789");
    let place = format!("/v2/a/b/blobs/{digest}");
    let whole = reg.get(&place);
    assert_eq!((whole.status, whole.body().as_str()), (200, "0123456789"));
    assert_eq!(
        whole.header("docker-content-digest").unwrap(),
        digest.to_string()
    );
    let head = reg.ask(&format!("HEAD {place}"), "", b"");
    assert_eq!(
        (
            head.status,
            head.header("content-length").unwrap().as_str(),
            head.body.len()
        ),
        (200, "10", 0)
    );
    let part = reg.ask(&format!("GET {place}"), "Range: bytes=2-4\r\n", b"");
    assert_eq!((part.status, part.body().as_str()), (206, "234"));
    assert_eq!(part.header("content-range").unwrap(), "bytes 2-4/10");
    assert_eq!(
        reg.ask(&format!("GET {place}"), "Range: bytes=10-\r\n", b"")
            .status,
        416
    );
}

#[test]
fn a_blob_comes_in_a_stream_and_in_chunks() {
    let (_folder, reg) = served();
    // In a stream of unknown length, as docker sends it.
    let location = reg.begin("a/b");
    let streamed = reg.ask(
        &format!("PATCH {location}"),
        "Transfer-Encoding: chunked\r\n",
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    assert_eq!(
        (streamed.status, streamed.header("range").unwrap().as_str()),
        (202, "0-4")
    );
    let digest = ContentDigest::of(b"abcde");
    assert_eq!(
        reg.ask(&format!("PUT {location}?digest={digest}"), "", b"")
            .status,
        201
    );
    // In chunks, of which one comes out of order.
    let location = reg.begin("a/b");
    let chunk = |range: &str, body: &[u8]| {
        reg.ask(
            &format!("PATCH {location}"),
            &format!("Content-Range: {range}\r\n"),
            body,
        )
    };
    assert_eq!(chunk("0-2", b"xyz").status, 202);
    let early = chunk("5-6", b"..");
    assert_eq!(early.code(), refused(416, "BLOB_UPLOAD_INVALID"));
    assert_eq!(
        (
            early.header("range").unwrap().as_str(),
            early.header("location").unwrap()
        ),
        ("0-2", location.clone())
    );
    assert_eq!(chunk("3-9", b"..").code(), refused(400, "SIZE_INVALID"));
    let told = reg.get(&location);
    assert_eq!(
        (told.status, told.header("range").unwrap().as_str()),
        (204, "0-2")
    );
    let digest = ContentDigest::of(b"xyz!");
    let last = reg.ask(
        &format!("PUT {location}?digest={digest}"),
        "Content-Range: 3-3\r\n",
        b"!",
    );
    assert_eq!(
        (last.status, last.header("location").unwrap()),
        (201, format!("/v2/a/b/blobs/{digest}"))
    );
    assert_eq!(
        reg.get(&location).code(),
        refused(404, "BLOB_UPLOAD_UNKNOWN")
    );
}

#[test]
fn what_is_not_what_it_says_is_no_blob() {
    let (folder, reg) = served();
    let wrong = ContentDigest::of(b"something else");
    let sent = reg.ask(
        &format!("POST /v2/a/blobs/uploads/?digest={wrong}"),
        "",
        b"this",
    );
    assert_eq!(sent.code(), refused(400, "DIGEST_INVALID"));
    assert_eq!(
        reg.get(&format!("/v2/a/blobs/{wrong}")).code(),
        refused(404, "BLOB_UNKNOWN")
    );
    for odd in [
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:../../x",
        "sha256:",
        "sha512:abc",
    ] {
        let location = reg.begin("a");
        assert_eq!(
            reg.ask(&format!("PUT {location}?digest={odd}"), "", b"x")
                .code(),
            refused(400, "DIGEST_INVALID"),
            "{odd}"
        );
        assert_eq!(reg.ask(&format!("DELETE {location}"), "", b"").status, 204);
    }
    assert_eq!(
        std::fs::read_dir(folder.path().join("registry/uploads"))
            .unwrap()
            .count(),
        0
    );
    // The other algorithm, told at the end, at the beginning, and not at all.
    let long = ContentDigest::with(Algorithm::Sha512, b"long");
    for query in ["", "?digest-algorithm=sha512"] {
        let begun = reg.ask(&format!("POST /v2/a/blobs/uploads/{query}"), "", b"");
        let location = begun.header("location").unwrap();
        assert_eq!(
            reg.ask(&format!("PUT {location}?digest={long}"), "", b"long")
                .status,
            201
        );
    }
    assert_eq!(reg.get(&format!("/v2/a/blobs/{long}")).body(), "long");
    assert_eq!(
        reg.ask("POST /v2/a/blobs/uploads/?digest-algorithm=md5", "", b"")
            .code(),
        refused(400, "DIGEST_INVALID")
    );
}

#[test]
fn a_manifest_is_kept_as_it_came_when_all_it_needs_is_there() {
    let (_folder, reg) = served();
    assert_eq!(
        reg.put("a", "v1", &image("x", "")).code(),
        refused(400, "MANIFEST_BLOB_UNKNOWN")
    );
    let (manifest, digest) = reg.image("a", "v1", "layer");
    for reference in ["v1", digest.as_str()] {
        let got = reg.get(&format!("/v2/a/manifests/{reference}"));
        assert_eq!((got.status, got.body()), (200, manifest.clone()));
        assert_eq!(
            (
                got.header("content-type").unwrap().as_str(),
                got.header("docker-content-digest").unwrap()
            ),
            (MANIFEST, digest.to_string())
        );
        let head = reg.ask(&format!("HEAD /v2/a/manifests/{reference}"), "", b"");
        assert_eq!(
            (
                head.status,
                head.header("content-length").unwrap(),
                head.body.len()
            ),
            (200, manifest.len().to_string(), 0)
        );
    }
    assert_eq!(
        reg.get("/v2/a/manifests/v2").code(),
        refused(404, "MANIFEST_UNKNOWN")
    );
    assert_eq!(
        reg.get("/v2/a/manifests/sha256:zz").code(),
        refused(400, "DIGEST_INVALID")
    );
    assert_eq!(
        reg.get("/v2/a/manifests/.x").code(),
        refused(404, "MANIFEST_UNKNOWN")
    );
    let other = ContentDigest::of(b"other");
    assert_eq!(
        reg.put("a", other.as_str(), &manifest).code(),
        refused(400, "DIGEST_INVALID")
    );
    assert_eq!(
        reg.put("a", "v2", "{").code(),
        refused(400, "MANIFEST_INVALID")
    );
    let wrong_size = manifest.replace("\"size\":5", "\"size\":6");
    assert_eq!(
        reg.put("a", "v2", &wrong_size).code(),
        refused(400, "MANIFEST_INVALID")
    );
}

#[test]
fn an_index_needs_its_manifests_and_no_manifest_is_endless() {
    let (_folder, reg) = served();
    let (manifest, digest) = reg.image("a", "v1", "layer");
    // In the same repository.
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{}}}]}}"#,
        manifest.len()
    );
    assert_eq!(reg.put("a", "all", &index).status, 201);
    assert_eq!(
        reg.put("b", "all", &index).code(),
        refused(400, "MANIFEST_BLOB_UNKNOWN")
    );
    let both = index.replace("\"manifests\"", "\"layers\":[],\"manifests\"");
    assert_eq!(
        reg.put("a", "both", &both).code(),
        refused(400, "MANIFEST_INVALID")
    );
    // By sha512.
    let long = ContentDigest::with(Algorithm::Sha512, manifest.as_bytes());
    assert_eq!(
        reg.put("a", long.as_str(), &manifest)
            .header("docker-content-digest")
            .unwrap(),
        long.to_string()
    );
    assert_eq!(reg.get(&format!("/v2/a/manifests/{long}")).status, 200);
    // Four megabytes and no more, told or not.
    let large = format!("{}{}", manifest, " ".repeat((4 << 20) - manifest.len()));
    assert_eq!(reg.put("a", "large", &large).status, 201);
    assert_eq!(
        reg.put("a", "larger", &format!("{large} ")).code(),
        refused(413, "SIZE_INVALID")
    );
    let chunked = format!("{:x}\r\n{large} \r\n0\r\n\r\n", large.len() + 1);
    let headers = format!("Content-Type: {MANIFEST}\r\nTransfer-Encoding: chunked\r\n");
    assert_eq!(
        reg.ask("PUT /v2/a/manifests/larger", &headers, chunked.as_bytes())
            .code(),
        refused(413, "SIZE_INVALID")
    );
}

#[test]
fn lists_are_in_order_and_in_pages() {
    let (_folder, reg) = served();
    assert_eq!(
        reg.get("/v2/a/tags/list").code(),
        refused(404, "NAME_UNKNOWN")
    );
    for tag in ["b", "a", "B", "c"] {
        reg.image("z", tag, "same");
    }
    reg.image("a/b", "x", "same");
    assert_eq!(
        reg.get("/v2/z/tags/list").body(),
        r#"{"name":"z","tags":["B","a","b","c"]}"#
    );
    let page = reg.get("/v2/z/tags/list?n=2");
    assert_eq!(page.body(), r#"{"name":"z","tags":["B","a"]}"#);
    assert_eq!(
        page.header("link").unwrap(),
        r#"</v2/z/tags/list?last=a&n=2>; rel="next""#
    );
    let last = reg.get("/v2/z/tags/list?n=2&last=a");
    assert_eq!(
        (last.body().as_str(), last.header("link")),
        (r#"{"name":"z","tags":["b","c"]}"#, None)
    );
    assert_eq!(
        reg.get("/v2/z/tags/list?n=-1").code(),
        refused(400, "PAGINATION_NUMBER_INVALID")
    );
    let catalog = reg.get("/v2/_catalog?n=1");
    assert_eq!(
        (
            catalog.body().as_str(),
            catalog.header("link").unwrap().as_str()
        ),
        (
            r#"{"repositories":["a/b"]}"#,
            r#"</v2/_catalog?last=a%2Fb&n=1>; rel="next""#
        )
    );
    assert!(
        reg.get("/v1/search?q=/b&n=25")
            .body()
            .contains(r#""name":"a/b""#)
    );
}

/// Asks what is about a manifest: kind and note of each, in order.
fn list(reg: &Served, path: &str) -> Vec<String> {
    let got = reg.get(path);
    assert_eq!(
        (got.status, got.header("content-type").unwrap().as_str()),
        (200, INDEX)
    );
    let value: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
    let mut all: Vec<String> = value["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{} {}",
                one["artifactType"].as_str().unwrap(),
                one["annotations"]["k"].as_str().unwrap()
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn what_is_about_a_manifest_is_listed_and_gone_with_it() {
    let (_folder, reg) = served();
    let (manifest, digest) = reg.image("a", "v1", "layer");
    let subject = format!(
        r#","subject":{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{}}},"annotations":{{"k":"v"}},"artifactType":"#,
        manifest.len()
    );
    let put = |kind: &str| {
        let about = image("layer", &format!("{subject}\"{kind}\""));
        let named = ContentDigest::of(about.as_bytes());
        let put = reg.put("a", named.as_str(), &about);
        assert_eq!(
            (put.status, put.header("oci-subject").unwrap()),
            (201, digest.to_string())
        );
        named
    };
    let (first, _second) = (put("text/sbom"), put("text/signature"));
    let place = format!("/v2/a/referrers/{digest}");
    let all = list(&reg, &place);
    assert_eq!(all, ["text/sbom v", "text/signature v"]);
    assert_eq!(
        list(&reg, &format!("{place}?artifactType=text/sbom")),
        ["text/sbom v"]
    );
    assert_eq!(
        reg.get(&format!("{place}?artifactType=x"))
            .header("oci-filters-applied")
            .unwrap(),
        "artifactType"
    );
    assert_eq!(list(&reg, &format!("/v2/none/referrers/{digest}")), [""; 0]);
    assert_eq!(
        reg.get("/v2/a/referrers/sha256:x").code(),
        refused(400, "DIGEST_INVALID")
    );
    assert_eq!(
        reg.ask(&format!("DELETE /v2/a/manifests/{first}"), "", b"")
            .status,
        202
    );
    assert_eq!(list(&reg, &place), ["text/signature v"]);
}

#[test]
fn what_older_clients_kept_under_the_fallback_tag_is_listed_too() {
    let (_folder, reg) = served();
    let (_, digest) = reg.image("a", "v1", "layer");
    let place = format!("/v2/a/referrers/{digest}");
    let plain = image(
        "layer",
        r#","annotations":{"k":"old"},"artifactType":"text/old""#,
    );
    let named = ContentDigest::of(plain.as_bytes());
    assert_eq!(reg.put("a", named.as_str(), &plain).status, 201);
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{{"mediaType":"{MANIFEST}","digest":"{named}","size":{},"artifactType":"text/old","annotations":{{"k":"old"}}}}]}}"#,
        plain.len()
    );
    assert_eq!(
        reg.put("a", &digest.to_string().replace(':', "-"), &index)
            .status,
        201
    );
    let all = list(&reg, &place);
    assert_eq!(all, ["text/old old"]);
}

#[test]
fn what_is_deleted_is_gone_and_no_more_than_that() {
    let (folder, reg) = served();
    let (_, digest) = reg.image("a", "v1", "layer");
    reg.image("a", "v2", "layer");
    let layer = ContentDigest::of(b"layer");
    let delete = |path: String| reg.ask(&format!("DELETE {path}"), "", b"");
    assert_eq!(
        delete(format!("/v2/a/blobs/{layer}")).code(),
        refused(405, "UNSUPPORTED")
    );
    assert_eq!(delete("/v2/a/manifests/v1".into()).status, 202);
    assert_eq!(reg.get(&format!("/v2/a/manifests/{digest}")).status, 200);
    assert_eq!(
        delete("/v2/a/manifests/v1".into()).code(),
        refused(404, "MANIFEST_UNKNOWN")
    );
    assert_eq!(delete(format!("/v2/a/manifests/{digest}")).status, 202);
    assert_eq!(reg.get("/v2/a/manifests/v2").status, 404);
    assert_eq!(
        reg.get("/v2/a/tags/list").body(),
        r#"{"name":"a","tags":[]}"#
    );
    assert_eq!(delete(format!("/v2/a/blobs/{layer}")).status, 202);
    assert_eq!(
        delete(format!("/v2/a/blobs/{layer}")).code(),
        refused(404, "BLOB_UNKNOWN")
    );
    drop(reg);
    let off = Served::start(folder.path(), "delete = false");
    off.image("b", "v1", "layer");
    assert_eq!(
        off.ask("DELETE /v2/b/manifests/v1", "", b"").code(),
        refused(405, "UNSUPPORTED")
    );
}

#[test]
fn hostile_addresses_and_heads_are_refused_and_never_our_failure() {
    let (_folder, reg) = served();
    reg.image("a", "v1", "layer");
    let paths = [
        "/v2/../../etc/passwd",
        "/v2/a/../../../etc/manifests/passwd",
        "/v2/%2e%2e/%2e%2e/etc/manifests/passwd",
        "/v2/a/blobs/sha256:../../../../etc/passwd",
        "/v2/a/blobs/uploads/../../../x",
        "/v2/A/tags/list",
        "/v2/a/manifests/v1%00",
        "/v2/a//manifests/v1",
        "/v2/a+b/tags/list",
        "//v2/a/tags/list",
        "/v2/a/blobs/sha256:",
        "/v2/_catalog/x",
    ];
    for path in paths {
        let got = reg.get(path);
        assert!((400..500).contains(&got.status), "{path}: {}", got.status);
    }
    for method in ["OPTIONS", "TRACE", "CONNECT", "BREW", "PATCH", "PUT"] {
        let got = reg.ask(&format!("{method} /v2/"), "", b"");
        assert!((400..500).contains(&got.status), "{method}: {}", got.status);
    }
    // Two lengths of one body.
    let smuggled = reg.ask(
        "PUT /v2/a/manifests/x",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"0\r\n\r\nDELETE /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    assert_eq!(smuggled.status, 400);
    assert_eq!(reg.get("/v2/a/manifests/v1").status, 200);
    let huge = reg.raw(
        format!(
            "GET /v2/ HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "a".repeat(1 << 20)
        )
        .as_bytes(),
    );
    assert!(huge.status == 431 || huge.status == 0, "{}", huge.status);
    let many: String = (0..500).map(|n| format!("X{n}: y\r\n")).collect();
    assert!((400..500).contains(&reg.ask("GET /v2/", &many, b"").status));
}

#[test]
fn what_breaks_off_goes_on_in_its_own_repository() {
    let (_folder, reg) = served();
    let digest = ContentDigest::of(b"layer");
    // An upload of another repository is none, and a body that ends early stays resumable.
    let location = reg.begin("a");
    assert_eq!(
        reg.get(&location.replace("/v2/a/", "/v2/b/")).code(),
        refused(404, "BLOB_UPLOAD_UNKNOWN")
    );
    let mut stream = TcpStream::connect(reg.at).unwrap();
    stream
        .write_all(
            format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nlay")
                .as_bytes(),
        )
        .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    drop(stream);
    let resumed = (0..3000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        let sent = reg.ask(
            &format!("PUT {location}?digest={digest}"),
            "Content-Range: 3-4\r\n",
            b"er",
        );
        (sent.status == 201).then_some(())
    });
    assert!(resumed.is_some());
}

const TEAM: &str = r#"
[auth]
mode = "basic"
htpasswd = "HTPASSWD"
[[rule]]
who = ["bob"]
repositories = ["secret/*", "open/*"]
rights = ["pull", "push", "delete"]
[[rule]]
who = ["eve"]
repositories = ["open/*"]
rights = ["pull", "push"]
[[rule]]
who = ["anyone"]
repositories = ["public/**"]
rights = ["pull"]
"#;

fn team(folder: &Path, more: &str) -> Served {
    let users = folder.join("users");
    std::fs::File::create(&users)
        .unwrap()
        .write_all(USERS.as_bytes())
        .unwrap();
    let config = TEAM.replace("HTPASSWD", users.to_str().unwrap());
    Served::start(folder, &format!("{config}\n{more}"))
}

fn put_as(reg: &Served, name: &str, who: &str) -> Answer {
    let headers = format!("{who}Content-Type: {MANIFEST}\r\n");
    let line = format!("PUT /v2/{name}/manifests/v1");
    reg.ask(&line, &headers, image("layer", "").as_bytes())
}

/// Bob pushes to `secret/app`; gives the layer.
fn secret(reg: &Served) -> ContentDigest {
    for content in [&b"layer"[..], b"{}"] {
        let digest = ContentDigest::of(content);
        let line = format!("POST /v2/secret/app/blobs/uploads/?digest={digest}");
        assert_eq!(reg.ask(&line, BOB, content).status, 201);
    }
    assert_eq!(put_as(reg, "secret/app", BOB).status, 201);
    ContentDigest::of(b"layer")
}

#[test]
fn nobody_learns_of_what_they_may_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let reg = team(folder.path(), "");
    let anonymous = reg.get("/v2/");
    assert_eq!(
        (
            anonymous.status,
            anonymous.header("www-authenticate").unwrap().as_str()
        ),
        (401, "Basic realm=\"hakone-registry\"")
    );
    secret(&reg);
    // Refused alike, whether it is there or not.
    for name in ["secret/app", "secret/none"] {
        assert_eq!(
            reg.ask(&format!("GET /v2/{name}/manifests/v1"), EVE, b"")
                .code(),
            refused(403, "DENIED")
        );
        assert_eq!(
            reg.ask(&format!("GET /v2/{name}/manifests/v1"), "", b"")
                .code(),
            refused(401, "UNAUTHORIZED")
        );
    }
}

#[test]
fn content_is_there_for_those_alone_who_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let reg = team(folder.path(), "");
    let layer = secret(&reg);
    // Content that exists elsewhere does not exist here, and cannot be taken over without the right to read it there.
    assert_eq!(
        reg.ask(&format!("HEAD /v2/open/app/blobs/{layer}"), EVE, b"")
            .status,
        404
    );
    for from in ["&from=secret/app", "&from=secret/none", ""] {
        let mount = reg.ask(
            &format!("POST /v2/open/app/blobs/uploads/?mount={layer}{from}"),
            EVE,
            b"",
        );
        assert_eq!(
            (mount.status, mount.header("location").is_some()),
            (202, true),
            "{from}"
        );
    }
    assert_eq!(
        put_as(&reg, "open/app", EVE).code(),
        refused(400, "MANIFEST_BLOB_UNKNOWN")
    );
    let mount = reg.ask(
        &format!("POST /v2/open/app/blobs/uploads/?mount={layer}&from=secret/app"),
        BOB,
        b"",
    );
    assert_eq!(mount.status, 201);
    assert_eq!(
        reg.ask(&format!("DELETE /v2/open/app/blobs/{layer}"), EVE, b"")
            .code(),
        refused(403, "DENIED")
    );
    assert_eq!(
        reg.ask("GET /v2/_catalog", EVE, b"").body(),
        r#"{"repositories":[]}"#
    );
    assert_eq!(
        reg.ask("GET /v2/_catalog", BOB, b"").body(),
        r#"{"repositories":["secret/app"]}"#
    );
}

#[test]
fn guessing_becomes_slow() {
    let folder = tempfile::tempdir().unwrap();
    let reg = team(folder.path(), "");
    let guess = || {
        reg.ask("GET /v2/", "Authorization: Basic Ym9iOndyb25n\r\n", b"")
            .status
    };
    let statuses: Vec<u16> = (0..45).map(|_| guess()).collect();
    assert_eq!((statuses[0], statuses[44]), (401, 429));
    // Who has to wait is not heard: else the right guess would pass however slow the wrong ones are.
    assert_eq!(reg.ask("GET /v2/", BOB, b"").status, 429);
}

#[test]
fn tags_stand_for_ever_quotas_hold_and_the_hurried_wait() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[[repository]]\nmatch = \"release/*\"\nimmutable = true\n[[repository]]\nmatch = \"small\"\nquota = \"1k\"\n[limits]\nblob = \"1M\"\nrate = 0.001\nburst = 40.0";
    let reg = Served::start(folder.path(), config);
    let (manifest, digest) = reg.image("release/app", "v1", "one");
    assert_eq!(reg.put("release/app", "v1", &manifest).status, 201);
    reg.push("release/app", b"two");
    assert_eq!(
        reg.put("release/app", "v1", &image("two", "")).code(),
        refused(403, "DENIED")
    );
    for reference in ["v1", digest.as_str()] {
        assert_eq!(
            reg.ask(
                &format!("DELETE /v2/release/app/manifests/{reference}"),
                "",
                b""
            )
            .code(),
            refused(403, "DENIED")
        );
    }
    let full = vec![7; 1024];
    reg.push("small", &full);
    let digest = ContentDigest::of(b"x");
    assert_eq!(
        reg.ask(
            &format!("POST /v2/small/blobs/uploads/?digest={digest}"),
            "",
            b"x"
        )
        .code(),
        refused(413, "DENIED")
    );
    // What is there already costs nothing; the way there is closed all the same.
    let large = vec![1; (1 << 20) + 1];
    let digest = ContentDigest::of(&large);
    let sent = reg.ask(
        &format!("POST /v2/big/blobs/uploads/?digest={digest}"),
        "",
        &large,
    );
    assert!(sent.status == 413 || sent.status == 0, "{}", sent.status);
    let hurried: Vec<Answer> = (0..40).map(|_| reg.get("/v2/")).collect();
    assert_eq!(hurried[39].code(), refused(429, "TOOMANYREQUESTS"));
    assert!(
        hurried[39]
            .header("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 0
    );
}

#[test]
fn collecting_spares_what_runs_and_a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[collect]\ngrace = 0\nuntagged = true";
    let reg = Served::start(folder.path(), config);
    let (manifest, digest) = reg.image("a", "v1", "layer");
    reg.push("a", b"forgotten");
    reg.image("gone", "v1", "gone");
    assert_eq!(reg.ask("DELETE /v2/gone/manifests/v1", "", b"").status, 202);
    let location = reg.begin("a");
    assert_eq!(
        reg.ask(&format!("PATCH {location}"), "", b"half ").status,
        202
    );
    let collected = reg.collect();
    assert_eq!((collected.manifests, collected.uploads), (1, 0));
    assert_eq!(collected.blobs, 3, "{collected:?}");
    assert_eq!(reg.get("/v2/gone/tags/list").status, 404);
    drop(reg);
    let reg = Served::start(folder.path(), config);
    assert_eq!(reg.get("/v2/a/manifests/v1").body(), manifest);
    assert_eq!(reg.get("/v2/_catalog").body(), r#"{"repositories":["a"]}"#);
    // The upload goes on where it was, hashed anew from the disk.
    let whole = ContentDigest::of(b"half done");
    assert_eq!(reg.get(&location).header("range").unwrap(), "0-4");
    assert_eq!(
        reg.ask(
            &format!("PUT {location}?digest={whole}"),
            "Content-Range: 5-8\r\n",
            b"done"
        )
        .status,
        201
    );
    // A manifest whose bytes are lost is not listed, nor its tag.
    drop(reg);
    std::fs::remove_file(folder.path().join("blobs/sha256").join(digest.hex())).unwrap();
    let reg = Served::start(folder.path(), config);
    assert_eq!(reg.get("/v2/a/manifests/v1").status, 404);
}
