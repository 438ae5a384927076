//! Walks the members of a tar stream, with a bound on what their headers may take.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use tar::Entry;

/// Bytes that the headers of one member may have, long names and attributes included.
const MAX_HEADERS: u64 = 2 << 20;

/// Calls `visit` for each member, in order, and gives what stands after the archive.
///
/// # Errors
/// What `visit` gives, or `broken` when the stream is no archive.
pub fn each_member<R: Read, E>(
    source: R,
    broken: impl Fn(io::Error) -> E,
    mut visit: impl FnMut(&mut Entry<'_, Gate<R>>) -> Result<(), E>,
) -> Result<Gate<R>, E> {
    let allowance = Rc::new(Cell::new(u64::MAX));
    let mut archive = tar::Archive::new(Gate {
        source,
        allowance: Rc::clone(&allowance),
    });
    let mut entries = archive.entries().map_err(&broken)?;
    loop {
        allowance.set(MAX_HEADERS);
        let Some(entry) = entries.next() else {
            break;
        };
        allowance.set(u64::MAX);
        visit(&mut entry.map_err(&broken)?)?;
    }
    allowance.set(u64::MAX);
    Ok(archive.into_inner())
}

/// Stops the tar reader from taking endless extended headers into memory.
#[derive(Debug)]
pub struct Gate<R> {
    source: R,
    allowance: Rc<Cell<u64>>,
}

impl<R: Read> Read for Gate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = usize::try_from(self.allowance.get()).unwrap_or(usize::MAX);
        let length = buffer.len().min(allowed);
        if length == 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a member's headers are too large",
            ));
        }
        let count = self
            .source
            .read(buffer.get_mut(..length).unwrap_or_default())?;
        self.allowance
            .set(self.allowance.get().saturating_sub(count as u64));
        Ok(count)
    }
}
