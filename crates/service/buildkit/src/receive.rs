//! Fetches a folder from a client: asks for it by name and patterns, and writes what comes.
//!
//! The client may be slow, may lie and may vanish: each packet has a deadline, each step is judged before it is written, and what
//! is cut off stays in a folder that its holder removes.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
    sync::Arc,
    time::Duration,
};

use hakone_buildkit_model::{
    Bounds, Receiver, Step, selection,
    wire::{Packet, PacketType, upload::BytesMessage},
};
use hakone_image_model::{Compression, Limits};
use hakone_mount::Root;
use hakone_tar::{Devices, Ids, Inflated, Options, Privileges};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{
    Error,
    contexts::{Contexts, Former, Place},
    sessions::Session,
    writer::Writer,
};

const METHOD: &str = "/moby.filesync.v1.FileSync/DiffCopy";
const UPLOAD: &str = "/moby.upload.v1.Upload/Pull";
/// How long a client may say nothing in the middle of a transfer.
const SILENCE: Duration = Duration::from_secs(120);
/// Steps that wait for the disk.
const STEPS: usize = 16;
/// Bytes after which the user hears how far it is.
const TOLD: u64 = 4 << 20;
/// Packets that wait for the client: as many as may be asked for, and the last one.
const ASKED: usize = 80;

/// What is asked of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// The name of its folder.
    pub(crate) folder: String,
    /// Patterns of what is left out.
    pub(crate) exclude: Vec<String>,
    /// Paths that are wanted, with what links among them lead to; empty for all.
    pub(crate) follow: Vec<String>,
    /// Whether it is kept, so that the next build is sent what changed alone.
    pub(crate) keep: bool,
}

/// A folder that vanishes with its last holder: half a million files may go then, so that no worker of the runtime waits for it.
#[derive(Debug)]
pub(crate) struct Temporary(Option<TempDir>);

/// Such a folder, held by several.
pub(crate) type Scratch = Arc<Temporary>;

impl Temporary {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let folder = self.0.take();
        match tokio::runtime::Handle::try_current() {
            // A runtime that ends meanwhile leaves the folder to the next start.
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(folder))),
            Err(_outside) => drop(folder),
        }
    }
}

/// Fetches a folder into `into` and gives the bytes that came; `told` hears how many came so far.
///
/// What did not change since the last time is taken from there.
pub(crate) async fn folder(
    session: &Session,
    contexts: &Contexts,
    asked: &Asked,
    into: Scratch,
    told: impl Fn(u64) + Send,
) -> Result<u64, Error> {
    if !session.offers(METHOD) {
        return Err(Error::Refused(hakone_buildkit_model::Error::Transfer(
            "no local sources enabled",
        )));
    }
    let (outgoing, packets) = mpsc::channel(ASKED);
    let headers = selection(&asked.folder, &[], &asked.exclude, &asked.follow);
    let opened = session
        .channel
        .stream(METHOD, &headers, ReceiverStream::new(packets));
    let mut incoming: Streaming<Packet> = timeout(SILENCE, opened)
        .await
        .map_err(|_elapsed| silent())??;
    let place = Place::of(&session.key, &asked.folder).filter(|_| asked.keep);
    let former = place.as_ref().and_then(|place| contexts.lookup(place));
    let mut receiver = Receiver::new(Bounds::default());
    if place.is_some() {
        let known = former.as_ref().map(|former| Arc::clone(&former.listing));
        receiver = receiver.after(known.unwrap_or_default());
    }
    let (steps, writing) = writer(Arc::clone(&into), former);
    let transferred = transfer(&mut incoming, outgoing, steps, &mut receiver, told).await;
    // When the disk failed, that is the reason for whatever else went wrong.
    let written = writing.await.map_err(|_gone| Error::Cancelled)?;
    written.map_err(Error::host("write the build context"))?;
    transferred?;
    let bytes = receiver.received();
    if let (Some(place), Some(listing)) = (place, receiver.listing()) {
        let listing = Arc::new(listing);
        contexts.keep(
            place,
            Former {
                folder: into,
                listing,
            },
        );
    }
    Ok(bytes)
}

fn writer(
    into: Scratch,
    former: Option<Former>,
) -> (mpsc::Sender<Step>, JoinHandle<std::io::Result<()>>) {
    let (steps, queue) = mpsc::channel(STEPS);
    let writing = tokio::task::spawn_blocking(move || {
        let former = former.as_ref().map(|former| former.folder.path());
        Writer::new(into.path(), former)?.run(queue)
    });
    (steps, writing)
}

async fn transfer(
    incoming: &mut Streaming<Packet>,
    outgoing: mpsc::Sender<Packet>,
    steps: mpsc::Sender<Step>,
    receiver: &mut Receiver,
    told: impl Fn(u64),
) -> Result<(), Error> {
    let mut heard = 0;
    loop {
        let packet = timeout(SILENCE, incoming.message())
            .await
            .map_err(|_elapsed| silent())??;
        let packet = packet.ok_or(hakone_buildkit_model::Error::Transfer(
            "the client ended too early",
        ))?;
        for step in receiver.take(packet)? {
            let answer = match &step {
                Step::Ask(id) => Some(packet_of(PacketType::PacketReq, *id)),
                Step::Finish => Some(packet_of(PacketType::PacketFin, 0)),
                Step::Make(..) | Step::Keep(_) | Step::Write(..) | Step::Close(_) | Step::Done => {
                    None
                }
            };
            let done = step == Step::Done;
            steps.send(step).await.map_err(|_gone| Error::Cancelled)?;
            if let Some(packet) = answer {
                outgoing
                    .send(packet)
                    .await
                    .map_err(|_gone| Error::Cancelled)?;
            }
            if done {
                return Ok(());
            }
        }
        if receiver.received() > heard + TOLD {
            heard = receiver.received();
            told(heard);
        }
    }
}

fn packet_of(kind: PacketType, id: u32) -> Packet {
    Packet {
        r#type: kind.into(),
        id,
        ..Packet::default()
    }
}

fn silent() -> Error {
    Error::Refused(hakone_buildkit_model::Error::Transfer(
        "the client says nothing",
    ))
}

/// Unpacks the archive that a client streams under the name `id` into `into`, whatever it is packed with.
pub(crate) async fn archive(session: &Session, id: &str, into: Scratch) -> Result<(), Error> {
    let headers = [("urlpath".to_owned(), format!("/{id}"))];
    let quiet = tokio_stream::pending::<BytesMessage>();
    let opened = session.channel.stream(UPLOAD, &headers, quiet);
    let mut stream: Streaming<BytesMessage> = timeout(SILENCE, opened)
        .await
        .map_err(|_elapsed| silent())??;
    let (chunks, reader) = hakone_tar::chunks();
    let unpacking = tokio::task::spawn_blocking(move || unpack(reader, into.path(), Some((0, 0))));
    while let Some(message) = timeout(SILENCE, stream.message())
        .await
        .map_err(|_elapsed| silent())??
    {
        if chunks.send(Ok(message.data.into())).await.is_err() {
            break;
        }
    }
    drop(chunks);
    let unpacked = unpacking.await.map_err(|_gone| Error::Cancelled)?;
    unpacked.map_err(Error::host("unpack the build context"))
}

/// Unpacks a result, whose files keep their owners.
pub(crate) fn unpack_result(source: impl Read, into: &Path) -> io::Result<()> {
    unpack(source, into, None)
}

fn unpack(source: impl Read, into: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut source = BufReader::with_capacity(64 << 10, source);
    let packing = Compression::sniff(source.fill_buf()?);
    let source = Inflated::new(source, packing, &Limits::default())?;
    let root = Root::open(into).map_err(io::Error::other)?;
    let options = Options {
        keep_kinds: true,
        owner,
        ids: Ids::default(),
        devices: Devices::Common,
        privileges: Privileges::Keep,
    };
    hakone_tar::extract(&root, Path::new("/"), source, &options).map_err(io::Error::other)
}

/// Makes a folder for one transfer beneath `above`.
pub(crate) fn scratch(above: &Path) -> Result<Scratch, Error> {
    let folder = tempfile::Builder::new().prefix("build").tempdir_in(above);
    let folder = folder.map_err(Error::host("make a folder for a build"))?;
    Ok(Arc::new(Temporary(Some(folder))))
}
