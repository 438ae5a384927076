//! Writes a member's content to its file.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom, Write as _},
};

/// Which side of a copy failed: the stream's or the disk's.
#[derive(Debug)]
pub enum CopyError {
    /// The stream is broken.
    Read(io::Error),
    /// The file could not be written.
    Write(io::Error),
}

/// Copies to the end, through `buffer`; of a sparse file, stretches of zeros stay holes.
///
/// # Errors
/// When either side fails.
pub fn copy(
    content: &mut impl Read,
    file: &mut File,
    sparse: bool,
    buffer: &mut [u8],
) -> Result<(), CopyError> {
    let mut total = 0_u64;
    loop {
        let count = content.read(buffer).map_err(CopyError::Read)?;
        let chunk = buffer.get(..count).unwrap_or_default();
        if chunk.is_empty() {
            break;
        }
        total += count as u64;
        match sparse && chunk.iter().all(|byte| *byte == 0) {
            true => drop(
                file.seek(SeekFrom::Start(total))
                    .map_err(CopyError::Write)?,
            ),
            false => file.write_all(chunk).map_err(CopyError::Write)?,
        }
    }
    match sparse {
        true => file.set_len(total).map_err(CopyError::Write),
        false => Ok(()),
    }
}
