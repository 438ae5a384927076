//! Where a file has content and where only holes, told in the GNU form that every tar reader knows.
//!
//! A file of a terabyte that is all hole costs its owner nothing: written out in full it would be an attack on whoever
//! copies or exports it.

use std::os::fd::BorrowedFd;

use rustix::{
    fs::{SeekFrom, Stat, seek},
    io::Errno,
};
use tar::{EntryType, Header};

use crate::header::{BLOCK, Member, seal};

/// Below this the holes are not worth a map.
const WORTH: u64 = 64 * 1024;
/// Stretches of content told apart at most; what follows counts as one.
const STRETCHES: usize = 16 * 1024;
/// Stretches in the header itself, and in each block after it.
const FIRST: usize = 4;
const MORE: usize = 21;
/// Where the map stands in the header, its continuation mark, and the real size.
const MAP: usize = 386;
const CONTINUED: usize = 482;
const REAL_SIZE: usize = 483;
/// Bytes of a number.
const DIGITS: usize = 12;

/// A stretch of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Finds the stretches of a file that has enough holes; none for an ordinary one.
pub(crate) fn stretches(file: BorrowedFd<'_>, stat: &Stat) -> Option<Vec<Stretch>> {
    let size = u64::try_from(stat.st_size).ok()?;
    let blocks = u64::try_from(stat.st_blocks).ok()?;
    if size < WORTH || blocks.saturating_mul(512) >= size {
        return None;
    }
    find(file, size).ok()
}

fn find(file: BorrowedFd<'_>, size: u64) -> Result<Vec<Stretch>, Errno> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < size {
        let offset = match seek(file, SeekFrom::Data(at)) {
            Ok(offset) => offset,
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno),
        };
        let end = match found.len() {
            0..STRETCHES => seek(file, SeekFrom::Hole(offset))?.min(size),
            _ => size,
        };
        if offset >= end {
            break;
        }
        // Readers want every stretch but the last to end at a whole block.
        let offset = offset - offset % BLOCK as u64;
        found.push(Stretch {
            offset,
            length: end - offset,
        });
        at = end;
    }
    // The end of the file is told by a stretch without content.
    found.push(Stretch {
        offset: size,
        length: 0,
    });
    seek(file, SeekFrom::Start(0))?;
    Ok(found)
}

/// Writes the header of a sparse member and the blocks that go on with its map.
pub(crate) fn write(member: &Member<'_>, map: &[Stretch], size: u64, out: &mut Vec<u8>) {
    member.write_records(out);
    let mut header = member.block(Header::new_gnu());
    header.set_entry_type(EntryType::GNUSparse);
    let (first, rest) = map.split_at(map.len().min(FIRST));
    let bytes = header.as_mut_bytes();
    stretches_into(bytes, MAP, first);
    set(bytes, CONTINUED, &[u8::from(!rest.is_empty())]);
    set(bytes, REAL_SIZE, &number(size));
    seal(&mut header);
    out.extend_from_slice(header.as_bytes());
    let mut chunks = rest.chunks(MORE).peekable();
    while let Some(chunk) = chunks.next() {
        let mut block = [0; BLOCK];
        stretches_into(&mut block, 0, chunk);
        set(
            &mut block,
            MORE * 2 * DIGITS,
            &[u8::from(chunks.peek().is_some())],
        );
        out.extend_from_slice(&block);
    }
}

fn stretches_into(block: &mut [u8], start: usize, map: &[Stretch]) {
    for (index, stretch) in map.iter().enumerate() {
        let at = start + index * 2 * DIGITS;
        set(block, at, &number(stretch.offset));
        set(block, at + DIGITS, &number(stretch.length));
    }
}

fn set(block: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(field) = block.get_mut(at..at + bytes.len()) {
        field.copy_from_slice(bytes);
    }
}

/// A number of twelve bytes: octal digits and a zero, or binary with the highest bit set where they do not suffice.
fn number(value: u64) -> [u8; DIGITS] {
    let mut field = [0; DIGITS];
    if value <= 0o777_7777_7777 {
        set(&mut field, 0, format!("{value:011o}").as_bytes());
    } else {
        set(&mut field, 0, &[0x80]);
        set(&mut field, DIGITS - 8, &value.to_be_bytes());
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_binary() {
        assert_eq!(&number(8), b"00000000010\0");
        let field = number(1 << 40);
        assert_eq!((field[0], field[6]), (0x80, 1));
    }
}
