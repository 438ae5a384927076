//! Cuts a growing file into lines; a line too long to be an entry is dropped without being held.

use std::io;

use tokio::io::{AsyncBufRead as _, AsyncBufReadExt as _, AsyncRead, BufReader};

/// The longest line taken for an entry. Docker cuts output at 16 KiB, which escaping makes at most six times longer;
/// attributes come on top.
const LONGEST: usize = 1 << 20;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// Bytes read at once where few come.
const NARROW: usize = 4 * 1024;

/// The lines of a file.
#[derive(Debug)]
pub struct Lines<R> {
    source: BufReader<R>,
    line: Vec<u8>,
    /// Whether `line` is complete and was given out.
    given: bool,
    /// Whether the rest of the present line is dropped.
    dropping: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Reads lines from where the file stands.
    #[must_use]
    pub fn new(file: R) -> Self {
        Self {
            source: BufReader::with_capacity(BUFFER, file),
            line: Vec::new(),
            given: false,
            dropping: false,
        }
    }

    /// Goes on with little memory, for where lines come one by one and many readers wait. Only at the end, where nothing read
    /// waits to be given.
    #[must_use]
    pub fn waiting(self) -> Self {
        Self {
            source: BufReader::with_capacity(NARROW, self.source.into_inner()),
            ..self
        }
    }

    /// Gives the file.
    #[must_use]
    pub fn get_ref(&self) -> &R {
        self.source.get_ref()
    }

    /// Gives the next whole line; nothing at the end, where more may come later.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if std::mem::take(&mut self.given) {
            self.line.clear();
        }
        loop {
            let bytes = self.source.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            let count = part.len() + usize::from(end.is_some());
            self.dropping |= self.line.len() + part.len() > LONGEST;
            match self.dropping {
                true => self.line.clear(),
                false => self.line.extend_from_slice(part),
            }
            std::pin::Pin::new(&mut self.source).consume(count);
            let dropped = end.is_some() && std::mem::take(&mut self.dropping);
            if end.is_some() && !dropped {
                self.given = true;
                return Ok(Some(&self.line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_huge_line_is_dropped_and_the_next_one_read() {
        let mut text = vec![b'x'; 3 * LONGEST];
        text.extend_from_slice(b"\nshort\nunfinished");
        let mut lines = Lines::new(&text[..]);
        assert_eq!(lines.next().await.unwrap(), Some(&b"short"[..]));
        assert_eq!(lines.next().await.unwrap(), None);
        assert!(lines.line.capacity() <= 2 * LONGEST);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_line_is_given_when_its_end_came() {
        use tokio::io::AsyncWriteExt as _;
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut lines = Lines::new(reader);
        writer.write_all(b"one\ntw").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), Some(&b"one"[..]));
        writer.write_all(b"o\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), Some(&b"two"[..]));
    }
}
