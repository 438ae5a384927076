//! The writable folder of an overlay as a layer: all of it, what hides lower things as whiteouts.
//!
//! Every folder on the way to what changed is in it, so that unpacking it elsewhere changes no folder's owner or mode.

use std::{
    io::Write,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use hakone_mount::names;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, openat, statat};

use crate::{Error, Ids, Packer, change::is_opaque};

/// Folders within folders that a layer may have.
const MAX_DEPTH: usize = 1024;
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What went into a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Files, folders, links and whiteouts.
    pub entries: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// Writes the folder as a layer. Nothing may change in it meanwhile. Devices and sockets are left out.
///
/// # Errors
/// When the folder cannot be read, or the reader went away.
pub fn upper(folder: &Path, out: impl Write) -> Result<Packed, Error> {
    let failed = Error::kernel("open", folder.as_os_str().as_encoded_bytes());
    let root = openat(CWD, folder, FOLDER, Mode::empty()).map_err(failed)?;
    let ids = Ids::default();
    let mut walk = Walk {
        packer: Packer::new(out, &ids)?,
        packed: Packed::default(),
    };
    walk.folder(&root, b"", 0)?;
    walk.packer.finish()?;
    Ok(walk.packed)
}

struct Walk<'a, W> {
    packer: Packer<'a, W>,
    packed: Packed,
}

impl<W: Write> Walk<'_, W> {
    fn folder(&mut self, folder: &OwnedFd, path: &[u8], depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::kernel("read", path)(rustix::io::Errno::NAMETOOLONG));
        }
        for name in names(folder).map_err(Error::kernel("read", path))? {
            let member = [path, name.as_slice()].concat();
            let stat = statat(folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.map_err(Error::kernel("lstat", &member))?;
            self.entry(folder, (&name, &member), &stat, depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        above: &OwnedFd,
        (name, member): (&[u8], &[u8]),
        stat: &Stat,
        depth: usize,
    ) -> Result<(), Error> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice if stat.st_rdev == 0 => self.gone(member, name),
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Socket => Ok(()),
            FileType::Directory => {
                let folder = openat(above, name, FOLDER, Mode::empty());
                let folder = folder.map_err(Error::kernel("open", member))?;
                self.packed.entries += 1;
                self.packer.folder_alone(folder.as_fd(), member)?;
                let inside = [member, b"/"].concat();
                if is_opaque(&folder) {
                    self.packer
                        .whiteout(&[&inside, b".wh..wh..opq".as_slice()].concat())?;
                }
                self.folder(&folder, &inside, depth + 1)
            }
            FileType::RegularFile | FileType::Symlink | FileType::Fifo | FileType::Unknown => {
                self.packed.entries += 1;
                self.packed.bytes += u64::try_from(stat.st_size).unwrap_or(0);
                self.packer.one(above.as_fd(), name, member)
            }
        }
    }

    fn gone(&mut self, member: &[u8], name: &[u8]) -> Result<(), Error> {
        self.packed.entries += 1;
        let above = member.strip_suffix(name).unwrap_or_default();
        self.packer.whiteout(&[above, b".wh.", name].concat())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_on_the_way_are_told_and_what_went_is_a_whiteout() {
        let upper = tempfile::tempdir().unwrap();
        fs::create_dir_all(upper.path().join("etc/new")).unwrap();
        let mut file = fs::File::create(upper.path().join("etc/new/f")).unwrap();
        file.write_all(b"four").unwrap();
        rustix::fs::mknodat(
            CWD,
            upper.path().join("etc/gone"),
            FileType::CharacterDevice,
            Mode::empty(),
            0,
        )
        .unwrap();
        let mut tar = Vec::new();
        let packed = super::upper(upper.path(), &mut tar).unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
            .collect();
        assert_eq!(names, ["etc/", "etc/.wh.gone", "etc/new/", "etc/new/f"]);
        assert_eq!((packed.entries, packed.bytes), (4, 4));
    }

    #[test]
    fn an_empty_folder_is_no_layer() {
        let upper = tempfile::tempdir().unwrap();
        let packed = super::upper(upper.path(), std::io::sink()).unwrap();
        assert_eq!(packed, Packed::default());
    }
}
