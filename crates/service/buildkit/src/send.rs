//! Sends results to a client: a stream of bytes, or a folder file by file.
//!
//! The client says nothing it need not say; what it asks for is served from a folder of ours that no container writes.

use std::{
    collections::VecDeque,
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use hakone_buildkit_model::{
    Answer, Entry, Sender, What,
    wire::{Packet, PacketType, files},
};
use hakone_image_model::LayerPath;
use tokio::{io::AsyncReadExt as _, sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use crate::{Error, neighbour::Reader, sessions::Session};

const METHOD: &str = "/moby.filesync.v1.FileSend/DiffCopy";
/// How long a client may take nothing.
const SILENCE: Duration = Duration::from_secs(120);
/// How long a client may take for all of a folder.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Bytes of one message.
const CHUNK: usize = 32 << 10;
/// Messages that wait for the client.
const QUEUE: usize = 16;
/// Entries of a result that is sent file by file.
const ENTRIES: usize = 2_000_000;

/// The header that says which of a client's outputs is meant.
fn output(number: usize) -> [(String, String); 1] {
    [(
        "buildkit-attachable-exporter-id".to_owned(),
        number.to_string(),
    )]
}

fn check(session: &Session) -> Result<(), Error> {
    let missing = "method /moby.filesync.v1.FileSend/DiffCopy not supported by the client";
    match session.offers(METHOD) {
        true => Ok(()),
        false => Err(Error::Refused(hakone_buildkit_model::Error::Transfer(
            missing,
        ))),
    }
}

/// Sends bytes, and gives how many.
pub(crate) async fn bytes(
    session: &Session,
    number: usize,
    mut source: Reader,
) -> Result<u64, Error> {
    check(session)?;
    let (outgoing, messages) = mpsc::channel(QUEUE);
    let headers = output(number);
    let opening = session
        .channel
        .stream(METHOD, &headers, ReceiverStream::new(messages));
    let pumped = CancellationToken::new();
    let guard = pumped.clone().drop_guard();
    let pump = async move {
        let _guard = guard;
        pump(&mut source, &outgoing).await
    };
    let heard = async {
        let mut incoming: Streaming<files::BytesMessage> = opening.await?;
        while incoming.message().await?.is_some() {}
        Ok::<(), Error>(())
    };
    let late = async {
        pumped.cancelled().await;
        tokio::time::sleep(SILENCE).await;
    };
    let heard = async {
        tokio::select! {
            heard = heard => heard,
            () = late => Err(Error::Cancelled),
        }
    };
    // What the client says about a failure is better than that it hung up.
    let (sent, heard) = tokio::join!(pump, heard);
    heard.and(sent)
}

async fn pump(
    source: &mut Reader,
    outgoing: &mpsc::Sender<files::BytesMessage>,
) -> Result<u64, Error> {
    let mut count = 0;
    loop {
        let mut data = Vec::with_capacity(CHUNK);
        let read = source.take(CHUNK as u64).read_to_end(&mut data).await;
        if read.map_err(Error::host("read the result"))? == 0 {
            return Ok(count);
        }
        count += data.len() as u64;
        let sent = timeout(SILENCE, outgoing.send(files::BytesMessage { data })).await;
        if !matches!(sent, Ok(Ok(()))) {
            return Err(Error::Cancelled);
        }
    }
}

/// Sends the files beneath a folder.
pub(crate) async fn folder(session: &Session, number: usize, root: &Path) -> Result<(), Error> {
    check(session)?;
    let walked = root.to_owned();
    let entries = tokio::task::spawn_blocking(move || walk(&walked)).await;
    let entries = entries
        .map_err(|_gone| Error::Cancelled)?
        .map_err(Error::host("list the result"))?;
    let (outgoing, packets) = mpsc::channel(QUEUE);
    let headers = output(number);
    let opening = session
        .channel
        .stream(METHOD, &headers, ReceiverStream::new(packets));
    let mut sender = Sender::default();
    let listing: Vec<Packet> = entries.iter().map(|entry| sender.list(entry)).collect();
    drop(entries);
    let outward = outgoing.clone();
    let list = async move {
        for packet in listing.into_iter().chain([Packet::default()]) {
            put(&outward, packet).await?;
        }
        Ok::<(), Error>(())
    };
    let serve = async move {
        let incoming: Streaming<Packet> = opening.await?;
        serve(incoming, outgoing, sender, root).await
    };
    let both = async { tokio::try_join!(list, serve).map(|_| ()) };
    timeout(PATIENCE, both)
        .await
        .map_err(|_elapsed| Error::Cancelled)?
}

/// Answers what the client asks for until it has everything.
async fn serve(
    mut incoming: Streaming<Packet>,
    outgoing: mpsc::Sender<Packet>,
    mut sender: Sender,
    root: &Path,
) -> Result<(), Error> {
    let (asked, mut wanted) = mpsc::unbounded_channel::<(u32, Vec<u8>)>();
    let finished = async {
        loop {
            let packet = incoming.message().await?;
            let ended = hakone_buildkit_model::Error::Transfer("the client ended too early");
            match sender.take(&packet.ok_or(ended)?)? {
                // Each file can be asked for once, so this queue is no longer than the listing.
                Answer::Contents(id, path) => {
                    asked.send((id, path)).map_err(|_gone| Error::Cancelled)?;
                }
                Answer::Finish => return Ok::<(), Error>(()),
            }
        }
    };
    let contents = async {
        while let Some((id, path)) = wanted.recv().await {
            content(&outgoing, root, id, &path).await?;
        }
        std::future::pending::<Result<(), Error>>().await
    };
    tokio::select! {
        done = finished => done?,
        failed = contents => failed?,
    }
    put(&outgoing, of(PacketType::PacketFin, 0, Vec::new())).await?;
    drop(outgoing);
    // The client ends the stream when it is done.
    while let Ok(Ok(Some(_))) = timeout(SILENCE, incoming.message()).await {}
    Ok(())
}

async fn content(
    outgoing: &mpsc::Sender<Packet>,
    root: &Path,
    id: u32,
    path: &[u8],
) -> Result<(), Error> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = root.join(std::ffi::OsStr::from_bytes(path));
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path);
    let file = file.map_err(Error::host("open a file of the result"))?;
    let mut file = tokio::fs::File::from_std(file);
    loop {
        let mut data = Vec::with_capacity(CHUNK);
        let read = (&mut file).take(CHUNK as u64).read_to_end(&mut data).await;
        let last = read.map_err(Error::host("read a file of the result"))? == 0;
        put(outgoing, of(PacketType::PacketData, id, data)).await?;
        if last {
            return Ok(());
        }
    }
}

async fn put(outgoing: &mpsc::Sender<Packet>, packet: Packet) -> Result<(), Error> {
    match timeout(SILENCE, outgoing.send(packet)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Error::Cancelled),
    }
}

fn of(kind: PacketType, id: u32, data: Vec<u8>) -> Packet {
    Packet {
        r#type: kind.into(),
        id,
        data,
        ..Packet::default()
    }
}

/// Lists a folder as clients expect it: sorted folder by folder, each before what lies in it.
fn walk(root: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut waiting = VecDeque::from([(root.to_owned(), String::new())]);
    while let Some((folder, above)) = waiting.pop_front() {
        let mut below = Vec::new();
        let mut names: Vec<_> = std::fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        names.sort_by_key(std::fs::DirEntry::file_name);
        for one in names {
            let Some(name) = one.file_name().to_str().map(str::to_owned) else {
                return Err(io::Error::other(
                    "a file of the result has a name that is no UTF-8",
                ));
            };
            let path = if above.is_empty() {
                name
            } else {
                format!("{above}/{name}")
            };
            if one.file_type()?.is_dir() {
                below.push((one.path(), path.clone()));
            }
            entries.extend(entry(&one.path(), &path)?);
            if entries.len() > ENTRIES {
                return Err(io::Error::other("the result has too many files"));
            }
        }
        waiting.extend(below);
    }
    entries.sort_by_cached_key(|entry| order(&entry.path));
    Ok(entries)
}

fn order(path: &LayerPath) -> Vec<Vec<u8>> {
    path.as_bytes()
        .split(|b| *b == b'/')
        .map(<[u8]>::to_vec)
        .collect()
}

/// Reads one entry; none for what no client takes.
fn entry(at: &PathBuf, path: &str) -> io::Result<Option<Entry>> {
    let data = at.symlink_metadata()?;
    let kind = data.file_type();
    let what = if kind.is_dir() {
        What::Folder
    } else if kind.is_symlink() {
        What::Link(std::fs::read_link(at)?.to_string_lossy().into_owned())
    } else if kind.is_file() {
        What::File(data.size())
    } else {
        return Ok(None);
    };
    Ok(Some(Entry {
        path: LayerPath::parse(path.as_bytes()).map_err(io::Error::other)?,
        what,
        mode: data.mode() & 0o7777,
        modified: data
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(data.mtime_nsec()),
        attributes: Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hakone_buildkit_model::{Bounds, Receiver};

    #[test]
    fn a_folder_is_listed_so_that_our_own_judgement_takes_it() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["a", "a/z", "a-b"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        for file in ["a/f", "a/z/g", "b", "a.x"] {
            std::fs::File::create(root.path().join(file)).unwrap();
        }
        std::os::unix::fs::symlink("/x", root.path().join("l")).unwrap();
        let (mut sender, mut receiver) = (Sender::default(), Receiver::new(Bounds::default()));
        let entries = walk(root.path()).unwrap();
        assert_eq!(entries.len(), 8);
        for entry in &entries {
            receiver.take(sender.list(entry)).unwrap();
        }
    }
}
