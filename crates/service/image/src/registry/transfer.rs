//! Brings one layer: fetched, hashed, decompressed and unpacked at once, each step on a thread of its own.

use std::{io, sync::Arc};

use bytes::Bytes;
use hakone_image_model::{Descriptor, Error as Refused};
use hakone_registry::Blob;
use hakone_tar::BlockingReader;
use tokio::sync::{mpsc::Sender, watch};

use super::flight::Stage;
use crate::{
    Error,
    inner::Inner,
    stage::{Area, StagedLayer},
};

/// A progress line is worth sending after so many bytes.
const STEP: u64 = 512 * 1024;

/// Fetches a layer into the staging folder and verifies it.
pub(super) async fn layer(
    inner: &Arc<Inner>,
    area: &Arc<Area>,
    (blob, descriptor): (Blob, Descriptor),
    teller: &watch::Sender<Stage>,
) -> Result<StagedLayer, Error> {
    let (sender, reader) = hakone_tar::chunks();
    let unpacking = unpack(Arc::clone(inner), Arc::clone(area), reader);
    let (fetched, unpacked) = tokio::join!(feed(blob, sender, teller), unpacking);
    // What the registry did comes first: a stream that breaks off unpacks badly too.
    fetched?;
    let staged = unpacked?;
    let (found, size) = (&staged.record.blob, staged.record.blob_size);
    if *found != descriptor.digest {
        return Err(Error::LayerDigest(descriptor.digest));
    }
    if size != descriptor.size {
        return Err(Refused::Size {
            what: "layer",
            announced: descriptor.size,
            found: size,
        }
        .into());
    }
    Ok(staged)
}

async fn unpack(
    inner: Arc<Inner>,
    area: Arc<Area>,
    mut reader: BlockingReader,
) -> Result<StagedLayer, Error> {
    let unpacking =
        tokio::task::spawn_blocking(move || area.layer(&mut reader, &inner.limits, &mut |_| {}));
    unpacking.await.ok().ok_or(Error::Stopping)?
}

/// Hands the blob's bytes on as they come; ends early when nobody wants them any more, who then says why.
async fn feed(
    mut blob: Blob,
    sender: Sender<io::Result<Bytes>>,
    teller: &watch::Sender<Stage>,
) -> Result<(), Error> {
    let (mut current, mut shown) = (0, 0);
    loop {
        match blob.chunk().await {
            Ok(Some(bytes)) => {
                current += bytes.len() as u64;
                if current - shown >= STEP {
                    shown = current;
                    teller.send_replace(Stage::Downloading(current));
                }
                if sender.send(Ok(bytes)).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => break,
            Err(error) => {
                sender
                    .send(Err(io::Error::other(error.to_string())))
                    .await
                    .ok();
                return Err(error.into());
            }
        }
    }
    drop(sender);
    teller.send_replace(Stage::Extracting);
    Ok(())
}
