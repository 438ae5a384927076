//! Copies from this machine into a container.

use std::{
    fs::{self, File},
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use hakone_client::{Client, Error, Request, Session};
use hakone_tar::{ChunkWriter, Ids, Packer, outward};
use tokio_util::io::ReaderStream;

use super::{
    Arguments, Count, look,
    place::{self, Landing, Present},
    target,
};

/// Pieces of this size travel.
const PIECE: usize = 256 * 1024;

/// Packs what is at `here` and sends it.
pub(super) async fn run(
    session: &Session,
    arguments: &Arguments,
    here: &str,
    (container, path): (&str, &str),
) -> Result<(), Error> {
    let client = session.client().await?;
    let there = Destination::find(client, container, path).await?;
    let count = Count::default();
    if here == "-" {
        if there.present != Present::Folder {
            return Err(Error::usage(format!(
                "destination \"{container}:{path}\" must be a directory"
            )));
        }
        let stream = ReaderStream::with_capacity(tokio::io::stdin(), PIECE);
        let request = put(container, &there.path, arguments);
        client.done(request.archive(stream)).await?;
    } else {
        let source = Source::find(here, arguments.follow_link)?;
        let (folder, member) = there.receive(&source)?;
        let request = put(container, &folder, arguments);
        send(client, request, source, member, count.clone()).await?;
    }
    count.report(session, arguments, &format!("{container}:{}", there.path));
    Ok(())
}

fn put(container: &str, folder: &str, arguments: &Arguments) -> Request {
    Request::put(super::path(container, "archive"))
        .query("noOverwriteDirNonDir", "true")
        .query("path", folder)
        .maybe("copyUIDGID", arguments.archive.then_some("true"))
}

/// Packs on a thread of its own while the archive travels; what kept us from packing explains a broken upload best.
async fn send(
    client: &Client,
    request: Request,
    source: Source,
    member: String,
    count: Count,
) -> Result<(), Error> {
    let (writer, reader) = outward();
    let packing = tokio::task::spawn_blocking(move || source.pack(&member, writer));
    let stream = ReaderStream::with_capacity(reader, PIECE);
    let stream = stream.inspect_ok(move |bytes: &Bytes| count.add(bytes.len()));
    let sent = client.done(request.archive(boxed(stream))).await;
    match (sent, packing.await) {
        (Err(daemon @ Error::Daemon { .. }), _) => Err(daemon),
        (_, Ok(Err(error))) => Err(Error::usage(error.to_string())),
        (sent, _) => sent,
    }
}

fn boxed<S>(stream: S) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static
where
    S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
{
    stream.boxed()
}

/// Where things go in a container.
struct Destination {
    path: String,
    present: Present,
}

impl Destination {
    /// Looks, and follows a link to what it means.
    async fn find(client: &Client, container: &str, typed: &str) -> Result<Self, Error> {
        let mut path = typed.to_owned();
        let mut found = look(client, container, typed).await?;
        if let Some(link) = found.as_ref().filter(|stat| stat.is_link()) {
            path = target(typed, link);
            found = look(client, container, &path).await?;
        }
        let present = match &found {
            Some(stat) if stat.is_device() => {
                return Err(Error::usage(format!(
                    "destination \"{container}:{typed}\" must be a directory or a regular file: got a device"
                )));
            }
            Some(stat) if stat.is_folder() => Present::Folder,
            Some(_) => Present::Other,
            None => Present::Nothing,
        };
        Ok(Self { path, present })
    }

    /// Gives the folder that the archive goes into, and the name that the source has in it.
    fn receive(&self, source: &Source) -> Result<(String, String), Error> {
        match place::land(self.present, &self.path, source.folder).map_err(Error::usage)? {
            Landing::Into => Ok((self.path.clone(), source.name.clone())),
            Landing::As => Ok((
                place::parent(&self.path).to_owned(),
                place::base(&self.path).to_owned(),
            )),
        }
    }
}

/// What is copied.
struct Source {
    /// Resolved, but for a link that is itself copied.
    path: PathBuf,
    folder: bool,
    /// Empty for the contents of a folder.
    name: String,
}

impl Source {
    fn find(typed: &str, follow: bool) -> Result<Self, Error> {
        let absolute = std::path::absolute(typed).unwrap_or_else(|_| PathBuf::from(typed));
        let refuse = |error: std::io::Error| {
            Error::usage(hakone_run_flags::failure("lstat", &absolute, &error))
        };
        let path = match follow || place::means_folder(typed) {
            true => fs::canonicalize(typed),
            false => beside(typed),
        };
        let path = path.map_err(refuse)?;
        let folder = fs::symlink_metadata(&path).map_err(refuse)?.is_dir();
        let name = match typed {
            typed if place::means_contents(typed) => String::new(),
            typed if place::base(typed) == ".." || place::base(typed) == "/" => last(&path),
            typed => place::base(typed).to_owned(),
        };
        Ok(Self { path, folder, name })
    }

    /// Writes the archive.
    fn pack(&self, member: &str, mut writer: ChunkWriter) -> Result<(), hakone_tar::Error> {
        match self.write(member.as_bytes(), &mut writer) {
            Ok(()) => Ok(writer.finish()?),
            Err(error) => {
                writer.fail(std::io::Error::other(error.to_string()));
                Err(error)
            }
        }
    }

    fn write(&self, member: &[u8], writer: &mut ChunkWriter) -> Result<(), hakone_tar::Error> {
        let ids = Ids::default();
        let mut packer = Packer::new(writer, &ids)?;
        if self.folder {
            packer.tree(File::open(&self.path)?.into(), member)?;
        } else {
            let above = self.path.parent().unwrap_or(Path::new("/"));
            let name = self.path.file_name().unwrap_or_default();
            packer.one(File::open(above)?.as_fd(), name.as_bytes(), member)?;
        }
        packer.finish().map(drop)
    }
}

/// Resolves the folder of a path, and leaves its last name alone.
fn beside(typed: &str) -> std::io::Result<PathBuf> {
    let above = fs::canonicalize(place::parent(typed))?;
    let path = above.join(place::base(typed));
    fs::symlink_metadata(&path).map(|_| path)
}

fn last(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
