//! A small HTTP client for an engine's socket: many calls over one connection, and no process for any of them.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::Value;

/// A connection to an engine.
#[derive(Debug)]
pub struct Api(BufReader<UnixStream>);

/// What an engine answered: the status, and the body's text.
pub type Answer = (u16, String);

impl Api {
    /// Connects to a socket.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Calls with a JSON body, which may be empty.
    ///
    /// # Errors
    /// When the engine hangs up.
    pub fn call(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        self.send(method, path, ("application/json", body.as_bytes()))?;
        self.answer()
    }

    /// Calls with an archive as the body.
    ///
    /// # Errors
    /// When the engine hangs up.
    pub fn upload(&mut self, path: &str, archive: &[u8]) -> io::Result<Answer> {
        self.send("POST", path, ("application/x-tar", archive))?;
        self.answer()
    }

    /// Asks for a list or an object.
    ///
    /// # Panics
    /// When the engine does not answer, or not with JSON.
    #[expect(
        clippy::expect_used,
        reason = "an engine that does not answer fails its test"
    )]
    pub fn get(&mut self, path: &str) -> Value {
        let (_, text) = self.call("GET", path, "").expect("the engine answers");
        serde_json::from_str(&text).expect("the engine answers in JSON")
    }

    /// Calls what takes the connection over, and gives all that comes before the end: headers, then the stream.
    ///
    /// # Errors
    /// When the engine hangs up.
    pub fn take_over(mut self, path: &str, body: &str) -> io::Result<Vec<u8>> {
        let head = format!(
            "POST /v1.41{path} HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(head.as_bytes())?;
        let mut all = Vec::new();
        self.0.read_to_end(&mut all)?;
        Ok(all)
    }

    /// Sends a request without waiting for its answer.
    ///
    /// # Errors
    /// When the engine hangs up.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        (kind, body): (&str, &[u8]),
    ) -> io::Result<()> {
        let version = if path.starts_with("/v1.") {
            ""
        } else {
            "/v1.41"
        };
        let head = format!(
            "{method} {version}{path} HTTP/1.1\r\nHost: e\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|text| text.parse().ok());
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            chunked |= line.starts_with("transfer-encoding: chunked");
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let body = match chunked {
            true => self.chunks()?,
            false => self.bytes(length)?,
        };
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok((status.unwrap_or(0), text))
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).unwrap_or(0);
            let mut chunk = self.bytes(size + 2)?;
            if size == 0 {
                return Ok(body);
            }
            chunk.truncate(size);
            body.append(&mut chunk);
        }
    }

    fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}
