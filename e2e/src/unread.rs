//! A client that asks for a stream, and reads it later or not at all.

use std::{io, os::unix::net::UnixStream, path::Path, time::Duration};

/// A stream of an engine that is asked for and not read.
#[derive(Debug)]
pub struct Unread(UnixStream);

impl Unread {
    /// Asks for a stream, in the old words so that it comes without chunks, and reads none of it.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(socket: &Path, path: &str) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        let head = format!("GET {path} HTTP/1.0\r\nHost: e\r\n\r\n");
        io::Write::write_all(&mut stream, head.as_bytes())?;
        Ok(Self(stream))
    }

    /// Reads until a text has come; tells whether it has within this time of silence.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn comes(mut self, text: &str, patience: Duration) -> io::Result<bool> {
        self.0.set_read_timeout(Some(patience))?;
        let (mut seen, mut buffer) = (Vec::new(), [0; 8192]);
        while !String::from_utf8_lossy(&seen).contains(text) {
            match io::Read::read(&mut self.0, &mut buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => seen.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads what has come and what comes, until nothing has for a while.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn read_on(mut self, quiet: Duration) -> io::Result<Vec<u8>> {
        self.0.set_read_timeout(Some(quiet))?;
        let mut bytes = Vec::new();
        match io::Read::read_to_end(&mut self.0, &mut bytes) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(bytes),
        }
    }
}
