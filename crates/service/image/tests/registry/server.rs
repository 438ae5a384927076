//! A registry for tests, honest unless told otherwise: HTTP/1.1 over plain sockets, so that it can lie in any way.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use flate2::{Compression, write::GzEncoder};
use hakone_base::Digest;
use serde_json::json;
use tar::{Builder, EntryType, Header};

pub(crate) const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Answers a request, or leaves it to the next.
pub(crate) type Answer = dyn Fn(&Seen, &mut TcpStream) -> bool + Send + Sync;

/// A server on a port of its own of this host.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Serves until the test's process ends.
    pub(crate) fn start(
        answer: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer): (_, Arc<Answer>) = (Arc::clone(&seen), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { address, seen }
    }

    /// Gives the requests for paths that hold `part`.
    pub(crate) fn seen(&self, part: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|one| one.path.contains(part))
            .cloned()
            .collect()
    }

    /// Names an image of this server.
    pub(crate) fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.address)
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Seen>>, answer: &Answer) {
    let Some(seen) = read(&stream) else {
        return;
    };
    log.lock().unwrap().push(seen.clone());
    if !answer(&seen, &mut stream) {
        reply(&mut stream, "404 Not Found", &[], b"{}");
    }
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    // What is no HTTP, such as the hello of TLS, is hung up on.
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen {
        method,
        path,
        headers,
        body,
    })
}

/// Sends a whole answer.
pub(crate) fn reply(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
    head(stream, status, headers, body.len());
    stream.write_all(body).ok();
}

/// Sends the head of an answer whose body may be another.
pub(crate) fn head(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], length: usize) {
    let mut head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).ok();
}

/// An image as a registry has it.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    /// Makes an image with a file in each layer.
    pub(crate) fn new(created: &str, files: &[&str]) -> Self {
        let tars: Vec<Vec<u8>> = files.iter().map(|name| tar_of(name)).collect();
        let diff_ids: Vec<Digest> = tars.iter().map(|tar| Digest::of(tar)).collect();
        let config = json!({
            "architecture": hakone_image_model::Platform::of(std::env::consts::ARCH).architecture,
            "os": "linux", "created": created, "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let layers: Vec<Vec<u8>> = tars.iter().map(|tar| gzip(tar)).collect();
        let mut image = Self {
            layers,
            config: config.to_string().into_bytes(),
            manifest: Vec::new(),
        };
        image.manifest = image.manifest_with(LAYER).into_bytes();
        image
    }

    /// Prints the manifest, with layers of a media type.
    pub(crate) fn manifest_with(&self, kind: &str) -> String {
        let layers = self.layers.iter().map(|layer| describe(kind, layer));
        let layers: Vec<_> = layers.collect();
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": describe(CONFIG, &self.config), "layers": layers})
            .to_string()
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    fn blob(&self, digest: &str) -> Option<&[u8]> {
        let mut blobs = self.layers.iter().chain([&self.config]);
        blobs
            .find(|blob| Digest::of(blob).as_str() == digest)
            .map(Vec::as_slice)
    }

    /// Answers as an honest registry would.
    pub(crate) fn serve(&self, seen: &Seen, stream: &mut TcpStream) -> bool {
        let name = seen.path.rsplit('/').next().unwrap_or_default();
        let bare = seen.method == "HEAD";
        if seen.path == "/v2/" {
            reply(stream, "200 OK", &[], b"{}");
            return true;
        }
        if seen.path.contains("/manifests/") {
            let digest = self.digest();
            let headers = [
                ("Content-Type", MANIFEST),
                ("Docker-Content-Digest", digest.as_str()),
            ];
            let body = if bare { &[][..] } else { &self.manifest };
            reply(stream, "200 OK", &headers, body);
            return true;
        }
        let Some(blob) = self.blob(name).filter(|_| seen.path.contains("/blobs/")) else {
            return false;
        };
        let from = seen
            .header("range")
            .strip_prefix("bytes=")
            .and_then(|range| range.strip_suffix('-'));
        match from.and_then(|from| from.parse::<usize>().ok()) {
            None => reply(stream, "200 OK", &[], blob),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", blob.len() - 1, blob.len());
                reply(
                    stream,
                    "206 Partial Content",
                    &[("Content-Range", &range)],
                    &blob[from..],
                );
            }
        }
        true
    }
}

pub(crate) fn describe(kind: &str, bytes: &[u8]) -> serde_json::Value {
    json!({"mediaType": kind, "size": bytes.len(), "digest": Digest::of(bytes)})
}

/// Packs one file of 200 kB that does not compress.
pub(crate) fn tar_of(name: &str) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    let content: Vec<u8> = (0..200_000).map(|_| noise()).collect();
    let mut tar = Builder::new(Vec::new());
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, name, content.as_slice())
        .unwrap();
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}
