//! Looks at the files of a result, for what is said of it: which packages are in it, and the digest of each file.
//!
//! The files come as a tar stream of our own making with contents of strangers: nothing is unpacked, only databases that are known
//! are kept, and counts have bounds.

use std::io::{self, Read};

use hakone_base::Digest;
use hakone_buildkit_model::Subject;
use hakone_packages::{Databases, Inventory, LARGEST, wanted};
use sha2::{Digest as _, Sha256};

use crate::{Error, neighbour::Reader};

/// Files that one statement may name.
const FILES: usize = 100_000;
/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// What is installed.
    pub(crate) inventory: Inventory,
    /// The files with their digests.
    pub(crate) files: Vec<Subject>,
}

/// Reads a result once.
pub(crate) async fn look(files: Reader) -> Result<Evidence, Error> {
    let source = hakone_tar::inward(files);
    let read = tokio::task::spawn_blocking(move || read(source)).await;
    let read = read.map_err(|_gone| Error::Cancelled)?;
    read.map_err(Error::host("look at the files of the result"))
}

fn read(source: impl Read) -> io::Result<Evidence> {
    let mut archive = tar::Archive::new(source);
    let (mut databases, mut files) = (Databases::default(), Vec::new());
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path
            .trim_start_matches("./")
            .trim_start_matches('/')
            .to_owned();
        let mut kept = wanted(&path).then(Vec::new);
        let digest = digest(&mut entry, kept.as_mut())?;
        if let Some(content) = kept {
            databases.add(&path, content);
        }
        if files.len() >= FILES {
            return Err(io::Error::other(
                "it has too many files to say something of each",
            ));
        }
        files.push(Subject { name: path, digest });
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Evidence {
        inventory: Inventory::read(&databases),
        files,
    })
}

/// Hashes a file; what is kept of it is never more than one byte too long.
fn digest(file: &mut impl Read, mut kept: Option<&mut Vec<u8>>) -> io::Result<Digest> {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        let count = file.read(&mut buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(Digest::from_bytes(hasher.finalize().into()));
        }
        hasher.update(bytes);
        if let Some(kept) = kept.as_mut() {
            let room = (LARGEST + 1).saturating_sub(kept.len()).min(count);
            kept.extend(bytes.iter().take(room));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_digests_and_databases_are_read() {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, text) in [
            ("./var/lib/dpkg/status", "Package: a\nVersion: 1\n"),
            ("etc/x", "x"),
        ] {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        let seen = read(tar.into_inner().unwrap().as_slice()).unwrap();
        assert_eq!(seen.inventory.packages[0].name, "a");
        let expected = Subject {
            name: "etc/x".into(),
            digest: Digest::of(b"x"),
        };
        assert_eq!(seen.files[0], expected);
    }
}
