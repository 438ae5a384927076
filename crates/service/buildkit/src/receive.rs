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

use crate::{Error, sessions::Session, writer::Writer};

const METHOD: &str = "/moby.filesync.v1.FileSync/DiffCopy";
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
}

/// A folder that vanishes with its last holder.
pub(crate) type Scratch = Arc<TempDir>;

/// Fetches a folder into `into` and gives its bytes; `told` hears how many came so far.
pub(crate) async fn folder(
    session: &Session,
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
    let (steps, writing) = writer(into);
    let transferred = transfer(&mut incoming, outgoing, steps, told).await;
    // When the disk failed, that is the reason for whatever else went wrong.
    let written = writing.await.map_err(|_gone| Error::Cancelled)?;
    written.map_err(Error::host("write the build context"))?;
    transferred
}

fn writer(into: Scratch) -> (mpsc::Sender<Step>, JoinHandle<std::io::Result<()>>) {
    let (steps, queue) = mpsc::channel(STEPS);
    let writing = tokio::task::spawn_blocking(move || Writer::new(into.path())?.run(queue));
    (steps, writing)
}

async fn transfer(
    incoming: &mut Streaming<Packet>,
    outgoing: mpsc::Sender<Packet>,
    steps: mpsc::Sender<Step>,
    told: impl Fn(u64),
) -> Result<u64, Error> {
    let mut receiver = Receiver::new(Bounds::default());
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
                Step::Make(..) | Step::Write(..) | Step::Close(_) | Step::Done => None,
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
                return Ok(receiver.received());
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

/// Unpacks an archive that a client streams into `into`, whatever it is packed with.
pub(crate) async fn archive(
    mut stream: Streaming<BytesMessage>,
    into: Scratch,
) -> Result<(), Error> {
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
    Ok(Arc::new(
        folder.map_err(Error::host("make a folder for a build"))?,
    ))
}
