//! Copies from a container to this machine.

use std::{
    fs, io,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use hakone_client::{Client, Error, Request, Session};
use hakone_engine_api::archive::PathStat;
use hakone_mount::Root;
use hakone_tar::{BlockingReader, Devices, Ids, Options, Privileges, extract, inward};
use tokio_util::io::StreamReader;

use super::{
    Arguments, Count, look,
    place::{self, Landing, Present},
    stat, target,
};

/// Links followed at most, as the kernel does.
const MOST_LINKS: usize = 40;

/// Fetches what is at a path of a container and unpacks it.
pub(super) async fn run(
    session: &Session,
    arguments: &Arguments,
    (container, path): (&str, &str),
    here: &str,
) -> Result<(), Error> {
    if here != "-" {
        check(here)?;
    }
    let client = session.client().await?;
    let wanted = match arguments.follow_link {
        true => Wanted::followed(client, container, path).await?,
        false => Wanted::plain(path),
    };
    let request = Request::get(super::path(container, "archive")).query("path", &wanted.path);
    let (headers, stream) = client.open_stream(request).await?;
    if here == "-" {
        return print(session, stream).await;
    }
    let stat = stat(&headers).ok_or_else(|| Error::Reply("no header tells what it is".into()))?;
    let place = settle(here)?;
    let count = Count::default();
    let counted = count.clone();
    let stream = stream
        .inspect_ok(move |bytes| counted.add(bytes.len()))
        .map_err(io::Error::other);
    let source = inward(StreamReader::new(stream.boxed()));
    let at = place.clone();
    let typed = here.to_owned();
    let unpacked = tokio::task::spawn_blocking(move || wanted.unpack(&stat, &typed, &at, source));
    unpacked
        .await
        .map_err(|error| Error::Reply(error.to_string()))??;
    count.report(session, arguments, &place.display().to_string());
    Ok(())
}

async fn print(
    session: &Session,
    stream: impl Stream<Item = Result<Bytes, Error>>,
) -> Result<(), Error> {
    let mut stream = std::pin::pin!(stream);
    while let Some(bytes) = stream.next().await {
        session.console.bytes(&bytes?)?;
    }
    Ok(())
}

/// What is fetched, and the name that it is to have here.
struct Wanted {
    path: String,
    name: Option<String>,
}

impl Wanted {
    fn plain(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            name: None,
        }
    }

    /// Follows a link: what it means is copied under the link's own name.
    async fn followed(client: &Client, container: &str, path: &str) -> Result<Self, Error> {
        let found = look(client, container, path).await?;
        let Some(link) = found.filter(PathStat::is_link) else {
            return Ok(Self::plain(path));
        };
        Ok(Self {
            path: target(path, &link),
            name: Some(place::base(path).to_owned()),
        })
    }

    /// Unpacks a stream. Blocks.
    fn unpack(
        self,
        stat: &PathStat,
        typed: &str,
        place: &Path,
        source: BlockingReader,
    ) -> Result<(), Error> {
        let present = match fs::metadata(place) {
            Ok(found) if found.is_dir() => Present::Folder,
            Ok(_) => Present::Other,
            Err(_) => Present::Nothing,
        };
        let contents = place::means_contents(&self.path);
        let own = place::base(&self.path);
        let landing = place::land(present, typed, stat.is_folder()).map_err(Error::usage)?;
        match (landing, self.name) {
            (Landing::Into, Some(name)) if name != own && !contents => {
                replace(source, own, &place.join(name))
            }
            (Landing::Into, _) => take(source, place),
            (Landing::As, _) if contents => {
                fs::create_dir(place).map_err(Error::io("create the directory"))?;
                take(source, place)
            }
            (Landing::As, _) => replace(source, own, place),
        }
    }
}

/// Unpacks beside the place and puts the one thing there under its new name: it is there whole or not at all.
fn replace(source: BlockingReader, name: &str, place: &Path) -> Result<(), Error> {
    let failed = |error: io::Error| Error::usage(hakone_run_flags::open_failure(place, &error));
    let above = place.parent().unwrap_or(Path::new("/"));
    let beside = tempfile::Builder::new()
        .prefix(".hakone-cp-")
        .tempdir_in(above)
        .map_err(failed)?;
    take(source, beside.path())?;
    fs::rename(beside.path().join(name), place).map_err(failed)
}

fn take(source: BlockingReader, folder: &Path) -> Result<(), Error> {
    let refuse = |error: &dyn std::error::Error| Error::usage(error.to_string());
    let root = Root::open(folder).map_err(|error| refuse(&error))?;
    let options = Options {
        keep_kinds: true,
        owner: Some((
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )),
        ids: Ids::default(),
        devices: Devices::Common,
        privileges: Privileges::Strip,
    };
    extract(&root, Path::new("/"), source, &options).map_err(|error| refuse(&error))
}

/// Refuses a place that cannot be written to, before anything is asked of the daemon.
fn check(here: &str) -> Result<(), Error> {
    let path = Path::new(here);
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    if !above.exists() {
        return Err(Error::usage(format!(
            "invalid output path: directory {above:?} does not exist"
        )));
    }
    let device = fs::metadata(path).map(|found| found.file_type());
    match device.is_ok_and(|kind| kind.is_char_device() || kind.is_block_device()) {
        true => Err(Error::usage(format!(
            "invalid output path: {here:?} must be a directory or a regular file: got a device"
        ))),
        false => Ok(()),
    }
}

/// Gives the place itself, absolute; a link at its end means what it leads to, there or not.
fn settle(here: &str) -> Result<PathBuf, Error> {
    let failed =
        |error: io::Error| Error::usage(hakone_run_flags::open_failure(Path::new(here), &error));
    let mut path = std::path::absolute(here).map_err(failed)?;
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(target) => {
                let above = path.parent().unwrap_or(Path::new("/"));
                path = above.join(target);
            }
            Err(_) => return Ok(path),
        }
    }
    Err(failed(rustix::io::Errno::LOOP.into()))
}
