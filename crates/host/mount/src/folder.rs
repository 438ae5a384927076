//! What a held folder holds, by name: whoever walks a tree that others may change walks it by descriptors.

use std::os::fd::AsFd;

use rustix::{fs::Dir, io::Errno};

/// Gives the names in a folder, in the order of their bytes.
///
/// # Errors
/// When the folder cannot be read, or is none.
pub fn names(folder: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_bytes().to_vec());
        }
    }
    names.sort_unstable();
    Ok(names)
}
