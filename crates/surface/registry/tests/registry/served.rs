//! A registry that is served while a test lasts, and requests to it as bytes over a socket: nothing that would tidy them up.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::mpsc,
    time::Duration,
};

use hakone_registry_http::{Place, Settings, open, serve};
use hakone_registry_service::api::ContentDigest;
use tokio::sync::watch;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry that is served on a port of its own until it drops.
pub(crate) struct Served {
    pub(crate) at: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
    pub(crate) registry: hakone_registry_http::Registry,
}

async fn run(
    (settings, place): (Settings, Place),
    stopped: watch::Receiver<bool>,
    said: mpsc::Sender<(SocketAddr, hakone_registry_http::Registry)>,
) {
    let running = open(settings, &place, None).unwrap();
    let registry = running.registry.clone();
    let ready = |at: &[SocketAddr]| said.send((at[0], registry)).unwrap();
    serve(running, stopped, ready).await.unwrap();
}

impl Served {
    pub(crate) fn start(folder: &Path, config: &str) -> Self {
        let text = format!("address = [\"127.0.0.1:0\"]\n{config}");
        let settings = Settings::parse(&text).unwrap();
        let place = Place {
            blobs: folder.join("blobs"),
            state: folder.join("registry"),
        };
        let (stop, stopped) = watch::channel(false);
        let (said, heard) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(run((settings, place), stopped, said));
        });
        let (at, registry) = heard.recv_timeout(Duration::from_secs(60)).unwrap();
        Self {
            at,
            stop,
            thread: Some(thread),
            registry,
        }
    }

    pub(crate) fn collect(&self) -> hakone_registry_service::Collected {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(self.registry.collect()).unwrap()
    }

    /// Sends bytes and reads to the end of the connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        // A registry that refuses early may close while we still send.
        stream.write_all(bytes).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        Answer::of(&answer)
    }

    pub(crate) fn ask(&self, line: &str, headers: &str, body: &[u8]) -> Answer {
        let length = if headers.contains("Content-Length") || headers.contains("chunked") {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let mut bytes = format!(
            "{line} HTTP/1.1\r\nHost: reg.test\r\nConnection: close\r\n{headers}{length}\r\n"
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        self.raw(&bytes)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), "", b"")
    }

    /// Uploads a blob in one request.
    pub(crate) fn push(&self, name: &str, content: &[u8]) -> ContentDigest {
        let digest = ContentDigest::of(content);
        let line = format!("POST /v2/{name}/blobs/uploads/?digest={digest}");
        assert_eq!(self.ask(&line, "", content).status, 201);
        digest
    }

    pub(crate) fn begin(&self, name: &str) -> String {
        let begun = self.ask(&format!("POST /v2/{name}/blobs/uploads/"), "", b"");
        assert_eq!(
            (begun.status, begun.header("range")),
            (202, Some("0-0".into()))
        );
        begun.header("location").unwrap()
    }

    pub(crate) fn put(&self, name: &str, reference: &str, manifest: &str) -> Answer {
        let kind = if manifest.contains("\"manifests\"") {
            INDEX
        } else {
            MANIFEST
        };
        self.ask(
            &format!("PUT /v2/{name}/manifests/{reference}"),
            &format!("Content-Type: {kind}\r\n"),
            manifest.as_bytes(),
        )
    }

    /// Pushes an image of one layer under a tag; gives the manifest.
    pub(crate) fn image(&self, name: &str, tag: &str, seed: &str) -> (String, ContentDigest) {
        self.push(name, b"{}");
        self.push(name, seed.as_bytes());
        let manifest = image(seed, "");
        let put = self.put(name, tag, &manifest);
        assert_eq!(put.status, 201, "{}", put.body());
        (manifest.clone(), ContentDigest::of(manifest.as_bytes()))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.thread.take().unwrap().join().ok();
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .map_or(bytes.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        Self {
            status,
            head,
            body: bytes[end..].to_vec(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    }

    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Gives status and code of a refusal.
    pub(crate) fn code(&self) -> (u16, String) {
        let value: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        (
            self.status,
            value["errors"][0]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }
}

pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

pub(crate) fn image(seed: &str, extra: &str) -> String {
    let (config, layer) = (ContentDigest::of(b"{}"), ContentDigest::of(seed.as_bytes()));
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":{}}}]{extra}}}"#,
        seed.len()
    )
}

pub(crate) fn served() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), "");
    (folder, served)
}
