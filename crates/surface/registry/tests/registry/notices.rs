//! Listeners: what they are told, how long a failing one is asked again, and that none of them holds a push up.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::served::Served;

/// An envelope as it arrived.
#[derive(Clone)]
struct Told {
    at: Instant,
    head: String,
    body: Value,
}

impl Told {
    fn events(&self) -> &[Value] {
        self.body["events"].as_array().unwrap()
    }
}

/// A listener on a port of its own; it answers what the test says, given how many came before.
struct Listener {
    at: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Listener {
    fn start(answer: impl Fn(usize) -> u16 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let log = Arc::clone(&told);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let heard = read(&stream);
                let before = log.lock().unwrap().len();
                log.lock().unwrap().push(heard);
                let status = answer(before);
                let text = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                stream.write_all(text.as_bytes()).ok();
            }
        });
        Self { at, told }
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until so many events have come.
    fn wait(&self, count: usize) -> Vec<Told> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let told = self.told();
            if told.iter().map(|one| one.events().len()).sum::<usize>() >= count {
                return told;
            }
            assert!(
                Instant::now() < deadline,
                "only {} envelopes came",
                told.len()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn read(stream: &TcpStream) -> Told {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = text.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Told {
        at: Instant::now(),
        head,
        body: serde_json::from_slice(&body).unwrap(),
    }
}

fn told_by(listener: &Listener, more: &str) -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "instance = \"here\"\n[[listener]]\nname = \"ears\"\nurl = \"http://{}/hook\"\n{more}",
        listener.at
    );
    let served = Served::start(folder.path(), &config);
    (folder, served)
}

#[test]
fn a_push_is_told_in_the_format_of_dockers_registry() {
    let listener = Listener::start(|_| 200);
    let (_folder, reg) = told_by(
        &listener,
        "headers = { Authorization = \"Bearer ears\" }\nignore-actions = [\"pull\"]",
    );
    let (manifest, digest) = reg.image("team/app", "v1", "layer");
    assert_eq!(reg.get("/v2/team/app/manifests/v1").status, 200);
    let told = listener.wait(3);
    assert!(
        told[0].head.starts_with("POST /hook HTTP/1.1"),
        "{}",
        told[0].head
    );
    let head = told[0].head.to_ascii_lowercase();
    assert!(
        head.contains("content-type: application/vnd.docker.distribution.events.v1+json"),
        "{head}"
    );
    assert!(head.contains("authorization: bearer ears"), "{head}");
    let events: Vec<Value> = told.iter().flat_map(|one| one.events().to_vec()).collect();
    let event = events
        .iter()
        .find(|event| event["target"]["digest"] == digest.as_str())
        .unwrap();
    assert_eq!(event["action"], "push");
    assert_eq!(event["target"]["repository"], "team/app");
    assert_eq!(event["target"]["tag"], "v1");
    assert_eq!(event["target"]["size"], manifest.len());
    assert_eq!(event["request"]["method"], "PUT");
    assert_eq!(event["request"]["host"], "reg.test");
    assert_eq!(event["source"]["instanceID"], "here");
    assert!(event["timestamp"].as_str().unwrap().contains('T'));
    assert!(
        events.iter().all(|event| event["action"] != "pull"),
        "{events:?}"
    );
    let ids: std::collections::BTreeSet<&str> = events
        .iter()
        .map(|event| event["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), events.len(), "each has a name of its own");
}

#[test]
fn a_listener_that_fails_is_asked_again_after_growing_pauses_and_then_left() {
    let listener = Listener::start(|before| if before < 2 { 500 } else { 200 });
    let (_folder, reg) = told_by(&listener, "attempts = 3\nbackoff = \"1s\"");
    reg.push("app", b"one");
    let told = listener.wait(3);
    let bodies: Vec<&Value> = told.iter().map(|one| &one.body).collect();
    assert!(
        bodies[0] == bodies[1] && bodies[1] == bodies[2],
        "the same envelope again"
    );
    let pauses = [told[1].at - told[0].at, told[2].at - told[1].at];
    assert!(
        pauses[0] >= Duration::from_secs(1) && pauses[1] >= Duration::from_secs(2),
        "{pauses:?}"
    );
    // What was given up is not brought up again: the next envelope is about the next thing.
    let deaf = Listener::start(|before| if before < 2 { 503 } else { 200 });
    let (_folder, reg) = told_by(&deaf, "attempts = 2\nbackoff = \"1s\"");
    let lost = reg.push("app", b"lost");
    deaf.wait(2);
    let heard = reg.push("app", b"heard");
    let told = deaf.wait(3);
    assert_eq!(told[0].events()[0]["target"]["digest"], lost.as_str());
    assert_eq!(told[2].events()[0]["target"]["digest"], heard.as_str());
}

#[test]
fn a_dead_listener_holds_nobody_up_and_its_queue_has_an_end() {
    let awake = Arc::new(AtomicBool::new(false));
    let asleep = Arc::clone(&awake);
    let listener = Listener::start(move |_| {
        while !asleep.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
        200
    });
    let (_folder, reg) = told_by(&listener, "timeout = \"600s\"");
    let begun = Instant::now();
    let digest = reg.push("app", b"content");
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    // Each reading is a notice; all over one connection.
    let mut stream = TcpStream::connect(reg.at).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..1200 {
        let ask = format!("GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: reg.test\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{line}");
        while line != "\r\n" {
            line.clear();
            answers.read_line(&mut line).unwrap();
        }
        answers.read_exact(&mut [0; 7]).unwrap();
    }
    awake.store(true, Ordering::Relaxed);
    let told = listener.wait(1000);
    std::thread::sleep(Duration::from_millis(500));
    let heard: usize = listener.told().iter().map(|one| one.events().len()).sum();
    assert!((1000..=1050).contains(&heard), "{heard} of 1201");
    assert!(told.iter().all(|one| one.events().len() <= 50));
}
