//! Writes what a client sends into a folder of ours: second fence after the judgement of each entry.
//!
//! Every name is opened beneath the folder without following links, and nothing that exists is ever replaced. Times of folders and
//! hard links come last: files made later would change the times, and a link needs its file.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use hakone_buildkit_model::{Entry, Step, What};
use hakone_image_model::LayerPath;
use hakone_tar::Folders;
use rustix::{
    fs::{
        AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, XattrFlags, chmodat, fchmod, fsetxattr,
        futimens, linkat, mkdirat, open, openat, symlinkat, utimensat,
    },
    io::Errno,
};
use tokio::sync::mpsc;

/// The files of one transfer.
pub(crate) struct Writer {
    folders: Folders<'static>,
    /// The last transfer of the same folder.
    former: Option<Folders<'static>>,
    /// Files listed and not yet begun.
    listed: HashMap<u32, Entry>,
    /// Files that contents arrive for.
    open: HashMap<u32, (std::fs::File, Entry)>,
    links: Vec<(LayerPath, LayerPath)>,
    times: Vec<(LayerPath, i64)>,
}

impl Writer {
    /// Writes into the folder at `root`, which must be ours alone, as `former` must be, the last transfer of the same folder.
    pub(crate) fn new(root: &Path, former: Option<&Path>) -> io::Result<Self> {
        let beneath = |root: &Path| {
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok::<_, io::Error>(Folders::beneath(open(root, flags, Mode::empty())?))
        };
        Ok(Self {
            folders: beneath(root)?,
            former: former.map(beneath).transpose()?,
            listed: HashMap::new(),
            open: HashMap::new(),
            links: Vec::new(),
            times: Vec::new(),
        })
    }

    /// Takes steps until the transfer is over; one that breaks off leaves what there is.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Step>) -> io::Result<()> {
        while let Some(step) = queue.blocking_recv() {
            match step {
                Step::Make(id, entry) => self.make(id, entry)?,
                Step::Keep(entry) => self.keep(&entry.path)?,
                Step::Ask(id) => self.begin(id)?,
                Step::Write(id, bytes) => match self.open.get_mut(&id) {
                    Some((file, _)) => file.write_all(&bytes)?,
                    None => return Err(Errno::BADF.into()),
                },
                Step::Close(id) => self.close(id)?,
                Step::Finish => self.finish()?,
                Step::Done => return Ok(()),
            }
        }
        Ok(())
    }

    fn make(&mut self, id: u32, entry: Entry) -> io::Result<()> {
        let (above, name) = entry.path.split();
        let name = name.to_vec();
        match &entry.what {
            What::Folder => {
                let folder = self.folders.existing(&above)?;
                mkdirat(&*folder, &name, Mode::from_raw_mode(0o700))?;
                chmodat(
                    &*folder,
                    &name,
                    Mode::from_raw_mode(entry.mode),
                    AtFlags::empty(),
                )?;
                self.times.push((entry.path, entry.modified));
            }
            What::File(_) => {
                self.listed.insert(id, entry);
            }
            What::Link(target) => {
                let folder = self.folders.existing(&above)?;
                symlinkat(target.as_bytes(), &*folder, &name)?;
                utimensat(
                    &*folder,
                    &name,
                    &times(entry.modified),
                    AtFlags::SYMLINK_NOFOLLOW,
                )?;
            }
            What::HardLink(file) => self.links.push((file.clone(), entry.path)),
            What::Other => {}
        }
        Ok(())
    }

    /// Links a file of the last transfer: neither of both is ever written again.
    fn keep(&mut self, path: &LayerPath) -> io::Result<()> {
        let (above, name) = path.split();
        let former = self.former.as_ref().ok_or(Errno::NOENT)?;
        let (from, to) = (former.existing(&above)?, self.folders.existing(&above)?);
        Ok(linkat(
            from.as_fd(),
            name,
            to.as_fd(),
            name,
            AtFlags::empty(),
        )?)
    }

    fn begin(&mut self, id: u32) -> io::Result<()> {
        let Some(entry) = self.listed.remove(&id) else {
            return Err(Errno::NOENT.into());
        };
        let (above, name) = entry.path.split();
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = self.folders.existing(&above)?;
        let file = openat(&*folder, name, flags, Mode::from_raw_mode(0o600))?;
        self.open.insert(id, (file.into(), entry));
        Ok(())
    }

    fn close(&mut self, id: u32) -> io::Result<()> {
        let Some((file, entry)) = self.open.remove(&id) else {
            return Err(Errno::BADF.into());
        };
        for (name, value) in &entry.attributes {
            // A file system without attributes loses them, as every copy onto it would.
            match fsetxattr(&file, name.as_str(), value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::NOTSUP | Errno::INVAL) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        fchmod(&file, Mode::from_raw_mode(entry.mode))?;
        Ok(futimens(&file, &times(entry.modified))?)
    }

    fn finish(&mut self) -> io::Result<()> {
        for (file, path) in std::mem::take(&mut self.links) {
            let (from, name) = self.parts(&file)?;
            let (to, new) = self.parts(&path)?;
            linkat(from.as_fd(), name, to.as_fd(), new, AtFlags::empty())?;
        }
        for (path, modified) in std::mem::take(&mut self.times).into_iter().rev() {
            let folder = self.folders.existing(&path)?;
            futimens(&*folder, &times(modified))?;
        }
        Ok(())
    }

    fn parts(&self, path: &LayerPath) -> io::Result<(std::rc::Rc<OwnedFd>, Vec<u8>)> {
        let (above, name) = path.split();
        Ok((self.folders.existing(&above)?, name.to_vec()))
    }
}

fn times(modified: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: modified.div_euclid(1_000_000_000),
        tv_nsec: modified.rem_euclid(1_000_000_000),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Reads a small file beneath `root` without following links; none when it is missing.
pub(crate) fn read(root: &Path, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = hakone_mount::Root::held(rustix::fs::openat(CWD, root, flags, Mode::empty())?, root);
    let file = match root.read_file(Path::new(name)) {
        Ok(file) => file,
        Err(error) if error.errno() == Some(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(io::Error::other(error)),
    };
    let mut text = Vec::new();
    std::fs::File::from(file)
        .take(limit + 1)
        .read_to_end(&mut text)?;
    match text.len() as u64 > limit {
        true => Err(Errno::FBIG.into()),
        false => Ok(Some(text)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use hakone_buildkit_model::{
        Bounds, Receiver,
        wire::{Packet, PacketType, Stat},
    };

    fn listing(path: &str, mode: u32, linkname: &str) -> Packet {
        let stat = Stat {
            path: path.into(),
            mode,
            linkname: linkname.into(),
            mod_time: 1_000_000_000,
            ..Stat::default()
        };
        Packet {
            stat: Some(stat),
            ..Packet::default()
        }
    }

    fn data(id: u32, data: &[u8]) -> Packet {
        Packet {
            r#type: PacketType::PacketData.into(),
            id,
            data: data.to_vec(),
            ..Packet::default()
        }
    }

    fn write(root: &Path, packets: Vec<Packet>) -> io::Result<()> {
        let mut receiver = Receiver::new(Bounds::default());
        let (sender, queue) = mpsc::channel(64);
        for packet in packets {
            for step in receiver.take(packet).unwrap() {
                sender.try_send(step).unwrap();
            }
        }
        drop(sender);
        Writer::new(root, None).unwrap().run(queue)
    }

    #[test]
    fn files_links_and_folders_become_what_the_client_has() {
        let root = tempfile::tempdir().unwrap();
        let packets = vec![
            listing("d", 1 << 31 | 0o750, ""),
            listing("d/f", 0o640, ""),
            listing("h", 0o640, "d/f"),
            listing("l", 1 << 27 | 0o777, "/etc/passwd"),
            Packet::default(),
            data(1, b"hello"),
            data(1, b""),
        ];
        write(root.path(), packets).unwrap();
        let at = |name: &str| root.path().join(name);
        assert_eq!(std::fs::read(at("d/f")).unwrap(), b"hello");
        let (file, link) = (at("d/f").metadata().unwrap(), at("h").metadata().unwrap());
        assert_eq!(
            (file.ino(), file.mode() & 0o7777, file.mtime()),
            (link.ino(), 0o640, 1)
        );
        assert_eq!(at("d").metadata().unwrap().mtime(), 1);
        assert_eq!(
            std::fs::read_link(at("l")).unwrap(),
            Path::new("/etc/passwd")
        );
    }

    #[test]
    fn what_did_not_change_is_linked_from_the_last_transfer_and_from_nowhere_else() {
        let (former, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::File::create(former.path().join("f")).unwrap();
        let keep = |former: Option<&Path>, name: &str| {
            let (sender, queue) = mpsc::channel(4);
            let entry = Entry::judge(Stat {
                path: name.into(),
                ..Stat::default()
            });
            sender.try_send(Step::Keep(entry.unwrap())).unwrap();
            drop(sender);
            Writer::new(root.path(), former).unwrap().run(queue)
        };
        keep(Some(former.path()), "f").unwrap();
        let number = |folder: &Path| folder.join("f").metadata().unwrap().ino();
        assert_eq!(number(root.path()), number(former.path()));
        assert!(keep(Some(former.path()), "gone").is_err());
        assert!(keep(None, "f").is_err());
        std::os::unix::fs::symlink("/etc", former.path().join("l")).unwrap();
        assert!(
            keep(Some(former.path()), "l/hostname").is_err(),
            "a link leads nowhere"
        );
    }

    #[test]
    fn a_hard_link_through_a_link_is_not_made() {
        let root = tempfile::tempdir().unwrap();
        let packets = vec![
            listing("a", 1 << 27 | 0o777, "/etc"),
            listing("b", 0o644, "a/hostname"),
            Packet::default(),
        ];
        assert!(write(root.path(), packets).is_err());
        assert!(!root.path().join("b").exists());
    }

    #[test]
    fn a_dockerfile_that_links_out_is_read_inside() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.path().join("Dockerfile")).unwrap();
        assert_eq!(read(root.path(), "Dockerfile", 10).unwrap(), None);
        let pipe = root.path().join("pipe");
        rustix::fs::mknodat(
            CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(
            read(root.path(), "pipe", 10).is_err(),
            "and nothing waits for a pipe"
        );
    }
}
