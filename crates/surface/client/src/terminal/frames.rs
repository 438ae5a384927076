//! Takes the multiplexed stream apart: eight bytes of header, then that many bytes of one stream.

use hakone_engine_api::stream::StreamKind;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{Console, Error};

/// Copies frames to our two streams until the connection ends.
pub async fn copy_multiplexed(
    console: &Console,
    mut from: impl AsyncRead + Unpin,
) -> Result<(), Error> {
    let mut header = [0; 8];
    let mut buffer = vec![0; 32 * 1024];
    while let Some(kind) = next(&mut from, &mut header).await? {
        let [_, _, _, _, length @ ..] = header;
        let mut left = u32::from_be_bytes(length) as usize;
        while left > 0 {
            let room = left.min(buffer.len());
            let read = from
                .read(buffer.get_mut(..room).unwrap_or_default())
                .await
                .map_err(broken)?;
            if read == 0 {
                return Ok(());
            }
            left -= read;
            let bytes = buffer.get(..read).unwrap_or_default();
            match kind {
                StreamKind::Stdin | StreamKind::Stdout => console.bytes(bytes)?,
                StreamKind::Stderr | StreamKind::System => console.error_bytes(bytes)?,
            }
        }
    }
    Ok(())
}

/// Copies bytes as they are until the connection ends.
pub async fn copy_raw(console: &Console, mut from: impl AsyncRead + Unpin) -> Result<(), Error> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(read) => console.bytes(buffer.get(..read).unwrap_or_default())?,
            Err(error) => return Err(broken(error)),
        }
    }
}

/// Reads a header; an end between frames is the end of the stream.
async fn next(
    from: &mut (impl AsyncRead + Unpin),
    header: &mut [u8; 8],
) -> Result<Option<StreamKind>, Error> {
    match from.read_exact(header).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(broken(error)),
    }
    match header.first() {
        Some(0) => Ok(Some(StreamKind::Stdin)),
        Some(1) => Ok(Some(StreamKind::Stdout)),
        Some(2) => Ok(Some(StreamKind::Stderr)),
        Some(3) => Ok(Some(StreamKind::System)),
        other => Err(Error::Reply(format!(
            "unrecognized stream: {}",
            other.copied().unwrap_or_default()
        ))),
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::io("read from daemon")(error)
}
