//! Puts the tars of a repository and of its submodules into one.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use crate::Error;

/// The unit of a tar.
const BLOCK: u64 = 512;

/// Appends the members of archives to the first one, in their order. Blocks.
///
/// # Errors
/// When one cannot be read or the first not be written.
pub fn join(archives: &[PathBuf]) -> Result<(), Error> {
    let [first, others @ ..] = archives else {
        return Ok(());
    };
    if others.is_empty() {
        return Ok(());
    }
    append(first, others).map_err(|source| Error::Disk {
        path: first.clone(),
        source,
    })
}

fn append(first: &Path, others: &[PathBuf]) -> io::Result<()> {
    let mut into = File::options().read(true).write(true).open(first)?;
    let end = end(&into)?;
    into.set_len(end)?;
    into.seek(SeekFrom::Start(end))?;
    for other in others {
        let mut from = File::open(other)?;
        let length = self::end(&from)?;
        from.seek(SeekFrom::Start(0))?;
        io::copy(&mut from.take(length), &mut into)?;
    }
    // Two blocks of nothing end a tar.
    io::copy(&mut io::repeat(0).take(2 * BLOCK), &mut into).map(drop)
}

/// Finds where the last member ends.
fn end(archive: &File) -> io::Result<u64> {
    let mut reader = archive;
    reader.seek(SeekFrom::Start(0))?;
    let mut tar = tar::Archive::new(reader);
    let mut end = 0;
    for entry in tar.entries()?.raw(true) {
        let entry = entry?;
        end = entry.raw_file_position() + entry.size().next_multiple_of(BLOCK);
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(path: &Path, members: &[(&str, &str)]) {
        let mut tar = tar::Builder::new(File::create(path).unwrap());
        for (name, text) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        tar.finish().unwrap();
    }

    #[test]
    fn members_of_all_are_in_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
        archive(&paths[0], &[("one", "1"), ("long", &"x".repeat(600))]);
        archive(&paths[1], &[("lib/two", "2")]);
        archive(&paths[2], &[]);
        join(&paths).unwrap();
        let mut tar = tar::Archive::new(File::open(&paths[0]).unwrap());
        let entries = tar.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text.len())
        });
        let found: Vec<_> = entries.collect();
        let wanted = [("one", 1), ("long", 600), ("lib/two", 1)];
        assert_eq!(
            found,
            wanted.map(|(name, length)| (name.to_owned(), length))
        );
    }
}
