//! Archives on their way to and from the daemon, never whole in memory.

use std::{io::Write, path::Path};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use hakone_client::{Console, Error, output::progress};
use tokio::{io::AsyncWriteExt, sync::mpsc};
use tokio_util::io::ReaderStream;

/// Pieces of this size travel.
const PIECE: usize = 256 * 1024;

/// Reads a file, or standard input for none, with a bar when a person watches.
pub(crate) async fn read(
    console: &Console,
    path: Option<&Path>,
) -> Result<BoxStream<'static, std::io::Result<Bytes>>, Error> {
    let Some(path) = path else {
        return Ok(input().boxed());
    };
    let failed = |error: std::io::Error| Error::usage(hakone_run_flags::open_failure(path, &error));
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let length = file.metadata().await.map_err(failed)?.len();
    let stream = ReaderStream::with_capacity(file, PIECE);
    if !console.terminal().stderr {
        return Ok(stream.boxed());
    }
    let bar = progress::bar();
    bar.set_length(length);
    Ok(stream
        .inspect_ok(move |bytes| bar.inc(bytes.len() as u64))
        .boxed())
}

/// Gives standard input, or what is left of it.
pub fn input() -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    ReaderStream::with_capacity(tokio::io::stdin(), PIECE)
}

/// Writes a stream to a new file that appears only when it is complete.
pub async fn write(
    console: &Console,
    path: &Path,
    stream: impl Stream<Item = Result<Bytes, Error>>,
) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::usage(hakone_run_flags::open_failure(path, &error));
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mut file = tokio::fs::File::from_std(temporary.reopen().map_err(failed)?);
    let bar = console.terminal().stderr.then(progress::bar);
    let mut stream = std::pin::pin!(stream);
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        file.write_all(&bytes).await.map_err(failed)?;
        if let Some(bar) = &bar {
            bar.inc(bytes.len() as u64);
        }
    }
    file.flush().await.map_err(failed)?;
    temporary
        .persist(path)
        .map_err(|error| failed(error.error))
        .map(drop)
}

/// Packs a folder on a thread of its own; the archive streams out as it grows.
pub(crate) fn pack(folder: &Path) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let folder = folder.to_owned();
    packed(move |builder| builder.append_dir_all(".", &folder))
}

/// An archive that is written to a stream.
pub type Builder = tar::Builder<std::io::BufWriter<Pipe>>;

/// Fills an archive on a thread of its own; it streams out as it grows, and a failure ends the stream.
pub fn packed(
    fill: impl FnOnce(&mut Builder) -> std::io::Result<()> + Send + 'static,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(4);
    let packer = tokio::task::spawn_blocking(move || {
        let mut builder = tar::Builder::new(std::io::BufWriter::with_capacity(
            PIECE,
            Pipe(sender.clone()),
        ));
        builder.follow_symlinks(false);
        let packed = fill(&mut builder).and_then(|()| builder.into_inner()?.flush());
        if let Err(error) = packed {
            // A reader that is gone has its own reason to report.
            drop(sender.blocking_send(Err(error)));
        }
    });
    drop(packer);
    futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
}

/// The writing end of a channel of bytes.
#[derive(Debug)]
pub struct Pipe(mpsc::Sender<std::io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
