//! Writes files, folders and whole trees as members of a tar stream.
//!
//! A container may exchange what is being read at any moment. So each folder is opened by name in a folder that is held,
//! without following a link; and a file is opened by the kernel's own handle on what was looked at, so that a device or pipe
//! put in its place is never opened.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _, Write},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use hakone_mount::names;
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, Stat, fgetxattr, fstat, major, minor, openat, readlinkat},
    io::Errno,
};
use tar::EntryType;

use crate::{
    Error, Ids,
    header::{BLOCK, Member, pad},
    sparse::{self, Stretch},
};

/// Bytes read at once.
const BUFFER: usize = 128 * 1024;
/// The longest name of a member: what lies deeper than the kernel's paths reach is left out.
const MAX_NAME: usize = 4095;
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Writes members.
#[derive(Debug)]
pub struct Packer<'a, W> {
    out: W,
    ids: &'a Ids,
    /// Under which name a file with several was written first.
    seen: HashMap<(u64, u64), Vec<u8>>,
    /// Our own `/proc/self/fd`, opened before anybody could bend the path.
    descriptors: OwnedFd,
    buffer: Vec<u8>,
    header: Vec<u8>,
}

/// A folder on the way down.
struct Level {
    folder: OwnedFd,
    names: std::vec::IntoIter<Vec<u8>>,
    prefix: Vec<u8>,
}

impl<'a, W: Write> Packer<'a, W> {
    /// Writes to `out`; owners are told as the container sees them.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn new(out: W, ids: &'a Ids) -> Result<Self, Error> {
        let descriptors = openat(
            CWD,
            "/proc/self/fd",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        Ok(Self {
            out,
            ids,
            seen: HashMap::new(),
            descriptors: descriptors.map_err(Error::kernel("open", b"/proc/self/fd"))?,
            buffer: vec![0; BUFFER],
            header: Vec::with_capacity(4 * BLOCK),
        })
    }

    /// Writes one thing that is no folder, called `name` in `folder`, as `member`.
    ///
    /// # Errors
    /// When it is gone or the reader went away.
    pub fn one(&mut self, folder: BorrowedFd<'_>, name: &[u8], member: &[u8]) -> Result<(), Error> {
        let found = look(folder, name).map_err(Error::kernel("lstat", name))?;
        self.plain(&found, member)
    }

    /// Writes a folder as `member`, unless that is empty, and all that is below it.
    ///
    /// # Errors
    /// When the reader went away; what cannot be read is left out.
    pub fn tree(&mut self, folder: OwnedFd, member: &[u8]) -> Result<(), Error> {
        let stat = fstat(&folder).map_err(Error::kernel("fstat", member))?;
        let prefix = slashed(member);
        if !prefix.is_empty() {
            self.folder(&stat, &prefix)?;
        }
        let mut way = vec![Level {
            names: names(&folder)
                .map_err(Error::kernel("read", member))?
                .into_iter(),
            folder,
            prefix,
        }];
        while let Some(level) = way.last_mut() {
            let Some(name) = level.names.next() else {
                way.pop();
                continue;
            };
            let below = self.entry(level, &name)?;
            way.extend(below);
        }
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// When the reader went away.
    pub fn finish(mut self) -> Result<W, Error> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Writes an empty member, as the layers of images have them for what is gone.
    ///
    /// # Errors
    /// When the reader went away.
    pub fn whiteout(&mut self, member: &[u8]) -> Result<(), Error> {
        self.header.clear();
        Member {
            kind: EntryType::Regular,
            name: member,
            link: b"",
            mode: 0,
            uid: 0,
            gid: 0,
            seconds: 0,
            size: 0,
            device: (0, 0),
            capability: None,
        }
        .write(&mut self.header);
        Ok(self.out.write_all(&self.header)?)
    }

    /// Writes a folder itself.
    ///
    /// # Errors
    /// When the reader went away.
    pub fn folder_alone(&mut self, folder: BorrowedFd<'_>, member: &[u8]) -> Result<(), Error> {
        let stat = fstat(folder).map_err(Error::kernel("fstat", member))?;
        self.folder(&stat, &slashed(member))
    }

    /// Writes an entry of a folder; gives the folder that it is, to go on with.
    fn entry(&mut self, level: &Level, name: &[u8]) -> Result<Option<Level>, Error> {
        let member = [&level.prefix, name].concat();
        if member.len() > MAX_NAME {
            return Ok(None);
        }
        // Gone since the folder was read, or not to be had: left out, as Docker does.
        let Ok(found) = look(level.folder.as_fd(), name) else {
            return Ok(None);
        };
        if FileType::from_raw_mode(found.stat.st_mode) != FileType::Directory {
            return match self.plain(&found, &member) {
                Err(Error::Kernel { .. }) => Ok(None),
                other => other.map(|()| None),
            };
        }
        let Ok(folder) = openat(&level.folder, name, FOLDER, Mode::empty()) else {
            return Ok(None);
        };
        let Ok(names) = names(&folder) else {
            return Ok(None);
        };
        let prefix = slashed(&member);
        self.folder(&found.stat, &prefix)?;
        Ok(Some(Level {
            folder,
            names: names.into_iter(),
            prefix,
        }))
    }

    fn folder(&mut self, stat: &Stat, member: &[u8]) -> Result<(), Error> {
        self.bare(EntryType::Directory, stat, member, b"")
    }

    /// Writes what is no folder. Sockets are nothing without their program: left out.
    fn plain(&mut self, found: &Found<'_>, member: &[u8]) -> Result<(), Error> {
        let stat = &found.stat;
        if stat.st_nlink > 1 {
            let identity = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.seen.get(&identity).cloned() {
                return self.bare(EntryType::Link, stat, member, &first);
            }
            self.seen.insert(identity, member.to_vec());
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(found, member),
            FileType::Symlink => {
                let target = readlinkat(&found.handle, "", Vec::new());
                let target = target.map_err(Error::kernel("readlink", member))?;
                self.bare(EntryType::Symlink, stat, member, target.as_bytes())
            }
            FileType::Fifo => self.bare(EntryType::Fifo, stat, member, b""),
            FileType::CharacterDevice => self.bare(EntryType::Char, stat, member, b""),
            FileType::BlockDevice => self.bare(EntryType::Block, stat, member, b""),
            FileType::Directory | FileType::Socket | FileType::Unknown => Ok(()),
        }
    }

    /// Writes a member without content.
    fn bare(
        &mut self,
        kind: EntryType,
        stat: &Stat,
        name: &[u8],
        link: &[u8],
    ) -> Result<(), Error> {
        let mut member = self.member(kind, stat, name);
        member.link = link;
        if matches!(kind, EntryType::Char | EntryType::Block) {
            member.device = (major(stat.st_rdev), minor(stat.st_rdev));
        }
        self.header.clear();
        member.write(&mut self.header);
        Ok(self.out.write_all(&self.header)?)
    }

    fn file(&mut self, found: &Found<'_>, name: &[u8]) -> Result<(), Error> {
        let file = self
            .reopen(&found.handle)
            .map_err(Error::kernel("open", name))?;
        let stat = &found.stat;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let capability = capability(&file);
        let map = sparse::stretches(file.as_fd(), stat);
        let mut member = self.member(EntryType::Regular, stat, name);
        member.capability = capability.as_deref();
        self.header.clear();
        match map {
            None => {
                member.size = size;
                member.write(&mut self.header);
                self.content(file, size)
            }
            Some(map) => {
                member.size = map.iter().map(|stretch| stretch.length).sum();
                sparse::write(&member, &map, size, &mut self.header);
                self.stretches(file, &map)
            }
        }
    }

    /// Opens for reading what a handle stands for, and nothing else.
    fn reopen(&self, handle: &OwnedFd) -> Result<File, Errno> {
        let number = handle.as_raw_fd().to_string();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        openat(&self.descriptors, number, flags, Mode::empty()).map(File::from)
    }

    /// Writes the header and as many bytes as it promises, whatever became of the file; small files in one piece.
    fn content(&mut self, mut file: File, size: u64) -> Result<(), Error> {
        if let Ok(length) = usize::try_from(size)
            && length <= BUFFER
        {
            let start = self.header.len();
            self.header.resize(start + length, 0);
            fill(&mut file, self.header.get_mut(start..).unwrap_or_default());
            pad(&mut self.header);
            return Ok(self.out.write_all(&self.header)?);
        }
        self.out.write_all(&self.header)?;
        self.copy(&mut file, size)
    }

    fn stretches(&mut self, file: File, map: &[Stretch]) -> Result<(), Error> {
        use std::io::{Seek as _, SeekFrom};
        self.out.write_all(&self.header)?;
        let (mut file, mut total) = (file, 0);
        for stretch in map.iter().filter(|stretch| stretch.length > 0) {
            file.seek(SeekFrom::Start(stretch.offset))?;
            self.bytes(&mut file, stretch.length)?;
            total += stretch.length;
        }
        self.end(total)
    }

    fn copy(&mut self, file: &mut File, size: u64) -> Result<(), Error> {
        self.bytes(file, size)?;
        self.end(size)
    }

    fn bytes(&mut self, file: &mut File, size: u64) -> Result<(), Error> {
        let mut left = size;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let chunk = self.buffer.get_mut(..length).unwrap_or_default();
            fill(file, chunk);
            self.out.write_all(chunk)?;
            left -= length as u64;
        }
        Ok(())
    }

    fn end(&mut self, size: u64) -> Result<(), Error> {
        let rest = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        let zeros = [0; BLOCK];
        match rest {
            0 => Ok(()),
            rest => Ok(self.out.write_all(zeros.get(rest..).unwrap_or_default())?),
        }
    }

    fn member<'m>(&self, kind: EntryType, stat: &Stat, name: &'m [u8]) -> Member<'m> {
        let (uid, gid) = self.ids.inside(stat.st_uid, stat.st_gid);
        Member {
            kind,
            name,
            link: b"",
            mode: stat.st_mode,
            uid,
            gid,
            seconds: stat.st_mtime,
            size: 0,
            device: (0, 0),
            capability: None,
        }
    }
}

/// Opens the folder called `name` in a held one; a link is none.
///
/// # Errors
/// What the kernel says.
pub fn open_folder(above: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Error> {
    openat(above, name, FOLDER, Mode::empty()).map_err(Error::kernel("open", name))
}

/// Something that was looked at and is held.
struct Found<'a> {
    handle: OwnedFd,
    stat: Stat,
    _folder: BorrowedFd<'a>,
}

fn look<'a>(folder: BorrowedFd<'a>, name: &[u8]) -> Result<Found<'a>, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = openat(folder, name, flags, Mode::empty())?;
    let stat = fstat(&handle)?;
    Ok(Found {
        handle,
        stat,
        _folder: folder,
    })
}

fn slashed(member: &[u8]) -> Vec<u8> {
    match member {
        b"" => Vec::new(),
        member if member.ends_with(b"/") => member.to_vec(),
        member => [member, b"/"].concat(),
    }
}

/// Reads the capabilities of a program; most files have none.
fn capability(file: &File) -> Option<Vec<u8>> {
    let mut value = vec![0; 64];
    let length = fgetxattr(file, "security.capability", &mut value).ok()?;
    value.truncate(length);
    Some(value)
}

/// Fills a buffer; what a shrunken file lacks stays zero.
fn fill(file: &mut File, buffer: &mut [u8]) {
    let mut at = 0;
    while let Some(rest) = buffer.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => at += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    buffer.get_mut(at..).unwrap_or_default().fill(0);
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::*;

    fn pack(folder: &Path, member: &[u8]) -> Vec<u8> {
        let ids = Ids::default();
        let mut packer = Packer::new(Vec::new(), &ids).unwrap();
        let open = openat(CWD, folder, FOLDER, Mode::empty()).unwrap();
        packer.tree(open, member).unwrap();
        packer.finish().unwrap()
    }

    fn list(tar: &[u8]) -> Vec<(String, u64, EntryType)> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| {
                let entry = entry.unwrap();
                let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                (name, entry.size(), entry.header().entry_type())
            })
            .collect()
    }

    #[test]
    fn a_tree_is_told_in_order_with_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("b")).unwrap();
        fs::File::create(at("b/f")).unwrap();
        fs::hard_link(at("b/f"), at("c")).unwrap();
        symlink("/etc/passwd", at("a")).unwrap();
        let names: Vec<_> = list(&pack(folder.path(), b"d"));
        let only: Vec<&str> = names.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(only, ["d/", "d/a", "d/b/", "d/b/f", "d/c"]);
        assert_eq!(names[1].2, EntryType::Symlink);
        assert_eq!(names[4].2, EntryType::Link);
    }

    #[test]
    fn a_terabyte_of_nothing_takes_a_few_blocks_and_reads_back_at_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("bomb")).unwrap();
        file.set_len(1 << 40).unwrap();
        let tar = pack(folder.path(), b"");
        assert!(tar.len() < 8192, "{}", tar.len());
        assert_eq!(list(&tar), [("bomb".into(), 1 << 40, EntryType::GNUSparse)]);
    }

    #[test]
    fn content_between_holes_comes_back() {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let folder = tempfile::tempdir().unwrap();
        let mut file = fs::File::create(folder.path().join("holes")).unwrap();
        for index in 0..60_u64 {
            file.seek(SeekFrom::Start(index * 1_000_000)).unwrap();
            file.write_all(format!("<{index}>").as_bytes()).unwrap();
        }
        let tar = pack(folder.path(), b"");
        assert!(tar.len() < 1_000_000);
        let mut archive = tar::Archive::new(&tar[..]);
        let mut content = Vec::new();
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(content, fs::read(folder.path().join("holes")).unwrap());
    }

    #[test]
    fn long_and_foreign_names_survive() {
        let folder = tempfile::tempdir().unwrap();
        let long = "n".repeat(200);
        fs::File::create(folder.path().join(&long)).unwrap();
        fs::File::create(folder.path().join("ü")).unwrap();
        let names: Vec<String> = list(&pack(folder.path(), b""))
            .into_iter()
            .map(|one| one.0)
            .collect();
        assert_eq!(names, [long, "ü".into()]);
    }
}
