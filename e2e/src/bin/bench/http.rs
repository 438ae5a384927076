//! A client that keeps one connection: what is measured is the engine, not the start of a program.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

/// A connection to an engine.
pub(crate) struct Client(BufReader<UnixStream>);

/// What the head of a reply says of its body.
#[derive(Default)]
struct Head {
    length: usize,
    is_chunked: bool,
}

impl Client {
    /// Connects.
    #[expect(clippy::expect_used, reason = "a bench without its engine is no bench")]
    pub(crate) fn connect(socket: &Path) -> Self {
        Self(BufReader::new(
            UnixStream::connect(socket).expect("the engine listens"),
        ))
    }

    /// Sends a request and gives the body of the reply.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: e\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).ok();
        let head = self.head();
        let mut reply = self.bytes(head.length);
        let mut goes_on = head.is_chunked;
        while goes_on {
            let size = usize::from_str_radix(self.line().trim(), 16).unwrap_or(0);
            let chunk = self.bytes(size + 2);
            reply.extend_from_slice(chunk.get(..size).unwrap_or_default());
            goes_on = size > 0;
        }
        String::from_utf8_lossy(&reply).into_owned()
    }

    /// Sends a request that takes the connection over, and reads to its end.
    pub(crate) fn call_to_end(mut self, path: &str, body: &str) -> Vec<u8> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).ok();
        let mut reply = Vec::new();
        self.0.read_to_end(&mut reply).ok();
        reply
    }

    fn head(&mut self) -> Head {
        let mut head = Head::default();
        loop {
            let line = self.line().to_ascii_lowercase();
            if let Some(text) = line.strip_prefix("content-length:") {
                head.length = text.trim().parse().unwrap_or(0);
            }
            head.is_chunked |= line.starts_with("transfer-encoding: chunked");
            if line.trim().is_empty() {
                return head;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).ok();
        line
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).ok();
        bytes
    }
}
