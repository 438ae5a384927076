//! Reads and writes the small files of a control group.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use rustix::io::Errno;

use crate::Error;

/// The whole of a file.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| Error::Read {
        path: path.into(),
        source: errno(&error),
    })
}

/// A file that holds one number; `max` reads as the largest.
pub(crate) fn number(path: &Path) -> Result<u64, Error> {
    parse(read(path)?.trim()).ok_or_else(|| Error::Read {
        path: path.into(),
        source: Errno::INVAL,
    })
}

/// A number, or `max`.
pub(crate) fn parse(text: &str) -> Option<u64> {
    if text == "max" {
        return Some(u64::MAX);
    }
    text.parse().ok()
}

/// The value of `key` in a file of `key value` lines; 0 when the file or key is missing.
pub(crate) fn keyed(path: &Path, key: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    lines(&text)
        .find_map(|(name, value)| (name == key).then_some(value))
        .unwrap_or_default()
}

/// The `key value` lines of a text.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, parse(value.trim())?))
    })
}

/// Writes `value` in one call, as these files want it.
pub(crate) fn write(path: &Path, value: &str) -> Result<(), Error> {
    write_raw(path, value).map_err(|source| Error::Limit {
        path: path.into(),
        value: value.into(),
        source,
    })
}

/// As [`write`], with the bare error.
pub(crate) fn write_raw(path: &Path, value: &str) -> Result<(), Errno> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(|error| errno(&error))?;
    file.write_all(value.as_bytes())
        .map_err(|error| errno(&error))
}

/// The number behind an I/O error.
pub(crate) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
