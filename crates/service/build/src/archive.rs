//! ADD of a local archive: what is one is unpacked, what is none is copied.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    path::Path,
};

use hakone_image_model::{Compression, Limits};
use hakone_mount::Root;
use hakone_tar::{Devices, Ids, Inflated, Options, Privileges, extract};

/// Bytes of a tar header.
const BLOCK: usize = 512;

/// Unpacks a file into a folder if it is an archive; tells whether it was one.
pub(crate) fn unpack(
    source: &Root,
    path: &Path,
    target: &Root,
    to: &Path,
    owner: Option<(u32, u32)>,
) -> Result<bool, String> {
    let file = source.read_file(path).map_err(|error| error.to_string())?;
    let mut file = File::from(file);
    let mut head = [0; Compression::HEAD];
    let length = file.read(&mut head).map_err(|error| error.to_string())?;
    let head = head.get(..length).unwrap_or_default();
    let packing = Compression::sniff(head);
    if !is_tar(&mut file, packing) {
        return Ok(false);
    }
    let limits = Limits::default();
    rewind(&mut file)?;
    let inflated = Inflated::new(file, packing, &limits).map_err(|error| error.to_string())?;
    target
        .ensure_folder(to)
        .map_err(|error| error.to_string())?;
    // Docker keeps the owners of an archive unless --chown says otherwise.
    let options = options(owner.filter(|owner| *owner != (0, 0)));
    extract(target, to, inflated, &options).map_err(|error| error.to_string())?;
    Ok(true)
}

/// Unpacks a bare tar that no packing is looked for in.
pub(crate) fn unpack_bare(archive: &Path, target: &Root) -> Result<(), String> {
    let file = File::open(archive).map_err(|error| error.to_string())?;
    extract(target, Path::new("/"), file, &options(ROOT)).map_err(|error| error.to_string())
}

/// The owner of all that a context brings.
pub(crate) const ROOT: Option<(u32, u32)> = Some((0, 0));

/// How an archive of a build is taken in.
pub(crate) fn options(owner: Option<(u32, u32)>) -> Options {
    Options {
        keep_kinds: false,
        owner,
        ids: Ids::default(),
        devices: Devices::Common,
        privileges: Privileges::Keep,
    }
}

fn rewind(file: &mut File) -> Result<(), String> {
    file.rewind().map_err(|error| error.to_string())
}

/// Reports whether the first block is a header whose checksum is right.
fn is_tar(file: &mut File, packing: Compression) -> bool {
    let mut block = [0; BLOCK];
    let mut read = || -> io::Result<()> {
        file.rewind()?;
        let inflated = Inflated::new(&mut *file, packing, &Limits::default())?;
        inflated.take(BLOCK as u64).read_exact(&mut block)
    };
    if read().is_err() {
        return false;
    }
    let field = block.get(148..156).unwrap_or_default();
    let text: String = field
        .iter()
        .map(|byte| char::from(*byte))
        .filter(char::is_ascii_digit)
        .collect();
    let told = u64::from_str_radix(&text, 8).ok();
    let sum = |(at, byte): (usize, &u8)| match (148..156).contains(&at) {
        true => u64::from(b' '),
        false => u64::from(*byte),
    };
    let sum: u64 = block.iter().enumerate().map(sum).sum();
    told == Some(sum) && block.iter().any(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lab(content: &[u8]) -> (tempfile::TempDir, Root, Root) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["source", "target"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let mut file = File::create(at("source/a")).unwrap();
        file.write_all(content).unwrap();
        let open = |name: &str| Root::open(&at(name)).unwrap();
        let (source, target) = (open("source"), open("target"));
        (folder, source, target)
    }

    fn unpack_of(content: &[u8]) -> (Result<bool, String>, tempfile::TempDir) {
        let (folder, source, target) = lab(content);
        let done = unpack(&source, Path::new("a"), &target, Path::new("/to"), None);
        (done, folder)
    }

    fn archive(name: &str) -> Vec<u8> {
        let (folder, ..) = lab(b"inside");
        let ids = Ids::default();
        let mut packer = hakone_tar::Packer::new(Vec::new(), &ids).unwrap();
        let open = File::open(folder.path().join("source")).unwrap();
        packer
            .one(std::os::fd::AsFd::as_fd(&open), b"a", name.as_bytes())
            .unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn an_archive_is_unpacked_and_anything_else_is_not_one() {
        let (done, folder) = unpack_of(&archive("f"));
        assert_eq!(done, Ok(true));
        let text = std::fs::read_to_string(folder.path().join("target/to/f")).unwrap();
        assert_eq!(text, "inside");
        assert_eq!(unpack_of(b"just text").0, Ok(false));
        assert_eq!(unpack_of(&[0; 1024]).0, Ok(false));
        // As dockerd: what only begins as a packed file is a file.
        assert_eq!(unpack_of(b"BZh91AY").0, Ok(false));
    }

    #[test]
    fn a_member_that_leads_out_is_refused() {
        let (done, folder) = unpack_of(&archive("../../out"));
        assert!(done.is_err(), "{done:?}");
        assert!(!folder.path().join("out").exists());
    }
}
