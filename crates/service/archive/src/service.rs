//! The service's public face: what the Engine API asks about a container's files.

use std::{
    fmt,
    io::Read,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use hakone_image_model::{Compression, Limits};
use hakone_tar::{
    BlockingReader, ChunkReader, ChunkWriter, Devices, Inflated, Options, Packer, Privileges,
    Status, attended, beside, extract, outward, status,
};
use rustix::fs::{FileType, Stat, StatVfsMountFlags, fstat, fstatvfs};
use tokio::io::AsyncRead;

use crate::{
    Containers, Error, Held, Images, Refusal, passwd,
    view::{Purpose, View},
};

pub use hakone_tar::{Change, ChangeKind};

/// What the engine itself puts into every container, which is no change of the container's.
const OURS: &[&str] = &[
    "/.dockerenv",
    "/dev",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
];

/// A handle on the service; clones share it.
#[derive(Clone)]
pub struct Service {
    pub(crate) containers: Arc<dyn Containers>,
    pub(crate) images: Arc<dyn Images>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("archive::Service")
    }
}

/// What a path in a container names.
#[derive(Clone, Debug)]
pub struct PathStat {
    /// Its last name, as Go's `filepath.Base` has it.
    pub name: String,
    /// What the kernel says.
    pub stat: Stat,
    /// Where a link leads in the end.
    pub target: String,
}

/// A stream of a container's files.
#[derive(Debug)]
pub struct Outgoing {
    /// What is being copied.
    pub stat: PathStat,
    /// The archive.
    pub archive: ChunkReader,
}

/// How an archive is taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Refuse to put a file in the place of a folder, and the other way round.
    pub keep_kinds: bool,
    /// Give everything to the container's user, if it has one.
    pub to_user: bool,
}

impl Service {
    /// Works on containers, and makes images of them.
    #[must_use]
    pub fn new(containers: Arc<dyn Containers>, images: Arc<dyn Images>) -> Self {
        Self { containers, images }
    }

    /// Tells what a path names.
    ///
    /// # Errors
    /// When it names nothing.
    pub async fn stat(&self, container: &str, path: &str) -> Result<PathStat, Error> {
        let held = self.containers.enter(container).await?;
        let wanted = PathBuf::from(path);
        let (held, found) = blocking(move || {
            let found = View::open(&held, Purpose::Read).and_then(|view| look(&view, &wanted));
            (held, found.map(|(stat, _)| stat))
        })
        .await?;
        self.containers.leave(held).await;
        found.map_err(missing(container, path))
    }

    /// Streams a file or a folder as an archive.
    ///
    /// # Errors
    /// When the path names nothing.
    pub async fn get(&self, container: &str, path: &str) -> Result<Outgoing, Error> {
        let held = self.containers.enter(container).await?;
        let absolute = rooted(path);
        let (held, found) = blocking(move || {
            let found = View::open(&held, Purpose::Read).and_then(|view| {
                let (stat, status) = look(&view, &absolute)?;
                Ok((view, stat, status))
            });
            (held, found)
        })
        .await?;
        let (view, stat, status) = match found {
            Ok(found) => found,
            Err(error) => {
                self.containers.leave(held).await;
                return Err(missing(container, path)(error));
            }
        };
        self.containers.announce(&held.id, "archive-path", &[]);
        let name = stat.name.clone();
        let archive = self.stream(held, move |held, writer| {
            let _view = view;
            pack(held, status, &name, writer)
        });
        Ok(Outgoing { stat, archive })
    }

    /// Takes an archive into a folder.
    ///
    /// # Errors
    /// When the folder is not there or not to be written to, or a member is refused.
    pub async fn put(
        &self,
        container: &str,
        path: &str,
        options: PutOptions,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<(), Error> {
        let held = self.containers.enter(container).await?;
        let (reading, source) = attended(archive);
        let target = rooted(path);
        let containers = Arc::clone(&self.containers);
        // A task of its own: a client that leaves ends the stream, never the work in between.
        let work = tokio::spawn(async move {
            let (held, taken) = blocking(move || {
                let taken = take(&held, &target, options, source);
                (held, taken)
            })
            .await?;
            if taken.is_ok() {
                containers.announce(&held.id, "extract-to-dir", &[]);
            }
            containers.leave(held).await;
            taken
        });
        let taken = beside(reading, work)
            .await
            .map_err(|_panic| Error::Closing)?;
        taken.map_err(missing(container, path))
    }

    /// Streams a container's own files, without what is mounted in it.
    ///
    /// # Errors
    /// When the container's root cannot be reached.
    pub async fn export(&self, container: &str) -> Result<ChunkReader, Error> {
        let held = self.containers.enter(container).await?;
        let (held, found) = blocking(move || {
            let found = View::open(&held, Purpose::Bare).and_then(|view| {
                let status = status(&view.root, Path::new("/"))?;
                Ok((view, status))
            });
            (held, found)
        })
        .await?;
        let (view, status) = match found {
            Ok(found) => found,
            Err(error) => {
                self.containers.leave(held).await;
                return Err(error);
            }
        };
        self.containers.announce(&held.id, "export", &[]);
        Ok(self.stream(held, move |held, writer| {
            let _view = view;
            pack(held, status, "", writer)
        }))
    }

    /// Tells what a container changed in its image.
    ///
    /// # Errors
    /// When a layer cannot be read.
    pub async fn changes(&self, container: &str) -> Result<Vec<Change>, Error> {
        let held = self.containers.enter(container).await?;
        let (held, found) = blocking(move || {
            let found = hakone_tar::changes(&held.folder.join("upper"), &held.layers, is_ours);
            (held, found)
        })
        .await?;
        self.containers.leave(held).await;
        Ok(found?)
    }

    /// Lets blocking work write what a client reads, and lets the container go at the end of both.
    pub(crate) fn stream(
        &self,
        held: Held,
        work: impl FnOnce(&Held, &mut ChunkWriter) -> Result<(), Error> + Send + 'static,
    ) -> ChunkReader {
        let (mut writer, reader) = outward();
        let containers = Arc::clone(&self.containers);
        tokio::spawn(async move {
            let done = blocking(move || {
                let written = work(&held, &mut writer);
                end(&held, writer, written);
                held
            });
            if let Ok(held) = done.await {
                containers.leave(held).await;
            }
        });
        reader
    }
}

/// Ends a stream; one that failed is broken off, so that its reader does not take it for whole.
fn end(held: &Held, writer: ChunkWriter, written: Result<(), Error>) {
    match written {
        Ok(()) => drop(writer.finish()),
        Err(error) => {
            tracing::debug!(container.id = %held.id, %error, "archive broken off");
            writer.fail(std::io::Error::other(error));
        }
    }
}

/// Reports whether a path is there because every container has it.
pub(crate) fn is_ours(path: &[u8]) -> bool {
    OURS.iter().any(|ours| ours.as_bytes() == path)
}

fn look(view: &View, path: &Path) -> Result<(PathStat, Status), Error> {
    let found = status(&view.root, path)?;
    let stat = PathStat {
        name: base(path),
        stat: found.stat,
        target: found.target.to_string_lossy().into_owned(),
    };
    Ok((stat, found))
}

fn pack(held: &Held, status: Status, name: &str, writer: &mut ChunkWriter) -> Result<(), Error> {
    let mut packer = Packer::new(writer, &held.ids)?;
    match (status.kind(), status.name.is_empty()) {
        (FileType::Directory, true) => packer.tree(status.folder, name.as_bytes())?,
        (FileType::Directory, false) => {
            let folder = hakone_tar::open_folder(&status.folder, &status.name)?;
            packer.tree(folder, name.as_bytes())?;
        }
        _ => packer.one(status.folder.as_fd(), &status.name, name.as_bytes())?,
    }
    packer.finish()?;
    Ok(())
}

fn take(
    held: &Held,
    target: &Path,
    options: PutOptions,
    mut source: BlockingReader,
) -> Result<(), Error> {
    let view = View::open(held, Purpose::Write)?;
    let folder = view
        .root
        .resolve(target)
        .map_err(|error| match error.errno() {
            Some(errno) => hakone_tar::Error::Kernel {
                doing: "lstat",
                path: target.display().to_string(),
                errno,
            }
            .into(),
            None => Error::from(error),
        })?;
    check(&view, &folder)?;
    let owner = match options.to_user {
        true => passwd::owner(&view.root, &held.user)?,
        false => None,
    };
    let options = Options {
        keep_kinds: options.keep_kinds,
        owner,
        ids: held.ids.clone(),
        devices: match held.privileged {
            true => Devices::Any,
            false => Devices::Common,
        },
        privileges: Privileges::Keep,
    };
    let mut head = [0; Compression::HEAD];
    let length = fill(&mut source, &mut head).map_err(hakone_tar::Error::Broken)?;
    let head = head.get(..length).unwrap_or_default().to_vec();
    let packing = Compression::sniff(&head);
    let whole = std::io::Cursor::new(head).chain(source);
    let target = target.to_owned();
    let taken = view.within(move |root| {
        let inflated = Inflated::new(whole, packing, &Limits::default());
        let source = inflated.map_err(hakone_tar::Error::Broken)?;
        extract(root, &target, source, &options)
    })?;
    Ok(taken?)
}

/// An archive goes into a folder that may be written to; which of the two read-only words fits, the file system tells.
fn check(view: &View, folder: &OwnedFd) -> Result<(), Error> {
    let stat = fstat(folder).map_err(Error::kernel("look at the target"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Error::NoFolder);
    }
    let flags = fstatvfs(folder)
        .map_err(Error::kernel("look at the target"))?
        .f_flag;
    if !flags.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let root = fstat(&view.root).map_err(Error::kernel("look at the root"))?;
    match root.st_dev == stat.st_dev {
        true => Err(Error::RootReadOnly),
        false => Err(Error::VolumeReadOnly),
    }
}

fn fill(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut at = 0;
    while let Some(rest) = buffer.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match source.read(rest)? {
            0 => break,
            count => at += count,
        }
    }
    Ok(at)
}

/// Puts a path below the root, as typed otherwise: slashes and dots at its end mean something.
fn rooted(path: &str) -> PathBuf {
    match path.starts_with('/') {
        true => path.into(),
        false => format!("/{path}").into(),
    }
}

/// The last name of a path, as Go's `filepath.Base` has it: a dot at the end is a name, slashes are not.
fn base(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/');
    let Some(end) = end else {
        return "/".to_owned();
    };
    let bytes = bytes.get(..=end).unwrap_or_default();
    let start = bytes
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
}

fn missing(container: &str, path: &str) -> impl FnOnce(Error) -> Error {
    let (container, path) = (container.to_owned(), path.to_owned());
    move |error| match error {
        Error::Tar(error) if error.is_missing() => Error::NoFile { path, container },
        other => other,
    }
}

/// Runs blocking work of disk and kernel on a thread for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_panic| Error::Closing)
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Box::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_what_go_says() {
        let told = |path| base(Path::new(path));
        assert_eq!(
            [
                told("/"),
                told("/etc/"),
                told("/etc/."),
                told("."),
                told("a/b")
            ],
            ["/", "etc", ".", ".", "b"]
        );
    }
}
