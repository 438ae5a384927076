//! Slow clients: each holds a connection for a bounded time, and the others are served meanwhile.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use hakone_registry_service::api::ContentDigest;

use crate::served::{Answer, Served};

fn hurried() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let config = "[limits]\nhead = \"3s\"\nwindow = \"3s\"\nconnections = 4";
    let served = Served::start(folder.path(), config);
    (folder, served)
}

/// Writes a byte every tenth of a second until the registry hangs up, which takes it a minute at most; gives what it said.
fn dribble(reg: &Served, head: &str) -> Answer {
    let mut stream = TcpStream::connect(reg.at).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let (begun, mut heard) = (Instant::now(), Vec::new());
    loop {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it waits for ever"
        );
        let mut block = [0; 4096];
        match stream.read(&mut block) {
            Ok(0) => break,
            Ok(count) => heard.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        stream.write_all(b"x").ok();
    }
    Answer::of(&heard)
}

#[test]
fn a_head_that_does_not_end_is_hung_up_on() {
    let (_folder, reg) = hurried();
    for head in ["", "GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
        dribble(&reg, head);
    }
    let idle = TcpStream::connect(reg.at).unwrap();
    idle.set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let ended = (&idle).read(&mut [0; 10]).map_err(|error| error.kind());
    assert!(
        matches!(ended, Ok(0) | Err(ErrorKind::ConnectionReset)),
        "one that says nothing at all: {ended:?}"
    );
}

#[test]
fn bodies_that_dribble_end_and_leave_no_upload_in_use() {
    let (_folder, reg) = hurried();
    let location = reg.begin("app");
    let digest = ContentDigest::of(b"never");
    for head in [
        format!("PATCH {location} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"),
        format!("PUT {location}?digest={digest} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"),
        "PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: 1000\r\n\r\n".to_owned(),
    ] {
        let answer = dribble(&reg, &head);
        assert!((400..500).contains(&answer.status) || answer.status == 0, "{head}: {}", answer.status);
    }
    // What came of it is whole as far as it goes, and another may go on.
    assert_eq!(reg.get(&location).status, 204);
}

#[test]
fn readers_that_do_not_read_end_too_and_others_are_served() {
    let (_folder, reg) = hurried();
    let large = vec![7; 8 << 20];
    let digest = reg.push("app", &large);
    // As many as there is room for, none of which takes its blob.
    let greedy: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(reg.at).unwrap();
            let ask = format!("GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: a\r\n\r\n");
            stream.write_all(ask.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(reg.get("/v2/").status, 200);
    drop(greedy);
}
