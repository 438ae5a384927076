//! Finds where the last entries of a log begin, reading backwards, so that the tail of a huge log costs little.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

/// Bytes read at once.
const BLOCK: u64 = 64 * 1024;

/// A place in a log: the index of a file, and the offset in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Which file.
    pub file: usize,
    /// Where in it.
    pub offset: u64,
}

/// Finds the beginning of the last `count` lines of files, oldest first.
///
/// # Errors
/// When a file cannot be read.
pub fn position(files: &[PathBuf], count: u64) -> io::Result<Position> {
    let mut missing = count;
    for (index, path) in files.iter().enumerate().rev() {
        let Ok(mut file) = crate::open(path) else {
            continue;
        };
        match search(&mut file, missing)? {
            Found::Offset(offset) => {
                return Ok(Position {
                    file: index,
                    offset,
                });
            }
            Found::Fewer(lines) => missing = missing.saturating_sub(lines),
        }
    }
    Ok(Position::default())
}

enum Found {
    /// The lines begin here.
    Offset(u64),
    /// The file has fewer, namely so many.
    Fewer(u64),
}

fn search(file: &mut File, count: u64) -> io::Result<Found> {
    let length = file.seek(SeekFrom::End(0))?;
    if count == 0 {
        return Ok(Found::Offset(length));
    }
    let mut ends = 0;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let block = read(file, start, end - start)?;
        let newline = |(_, byte): &(u64, &u8)| **byte == b'\n';
        let mut offsets = (start..end).rev().zip(block.iter().rev()).filter(newline);
        // The newline before the first wanted line is the one after `count` others.
        let before = offsets
            .clone()
            .nth(usize::try_from(count - ends).unwrap_or(usize::MAX));
        if let Some((offset, _)) = before {
            return Ok(Found::Offset(offset + 1));
        }
        ends += offsets.by_ref().map(|_| 1).sum::<u64>();
        end = start;
    }
    match ends >= count {
        true => Ok(Found::Offset(0)),
        false => Ok(Found::Fewer(ends)),
    }
}

fn read(file: &mut File, start: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut block = Vec::new();
    file.take(length).read_to_end(&mut block)?;
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file(text: &[u8]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        File::create(&path).unwrap().write_all(text).unwrap();
        (folder, vec![path])
    }

    #[test]
    fn the_last_lines_begin_after_the_newline_before_them() {
        let (_folder, files) = file(b"one\ntwo\nthree\n");
        let offset = |count| position(&files, count).unwrap().offset;
        assert_eq!(
            [offset(0), offset(1), offset(2), offset(3), offset(9)],
            [14, 8, 4, 0, 0]
        );
    }

    #[test]
    fn blocks_are_searched_backwards_over_their_seams() {
        let line = [b'x'; 999];
        let mut text = Vec::new();
        for _ in 0..200 {
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
        let (_folder, files) = file(&text);
        assert_eq!(position(&files, 150).unwrap().offset, 50_000);
    }
}
