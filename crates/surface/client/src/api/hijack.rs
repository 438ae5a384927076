//! A connection taken over: raw bytes both ways, or frames of stdout and stderr towards us.

use std::{fmt, pin::Pin};

use futures_util::TryStreamExt;
use http_body_util::BodyStream;
use hyper::{Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::StreamReader;

use crate::Error;

/// The two directions of a taken-over connection.
pub struct Hijacked {
    /// From the process.
    pub reader: Pin<Box<dyn AsyncRead + Send>>,
    /// To the process; shutting it down is the end of its stdin.
    pub writer: Pin<Box<dyn AsyncWrite + Send>>,
}

impl fmt::Debug for Hijacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hijacked").finish_non_exhaustive()
    }
}

/// Takes the connection; a daemon that answers 200 instead of 101 has only output to give.
pub(super) async fn take(reply: Response<Incoming>) -> Result<Hijacked, Error> {
    if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upgraded = TokioIo::new(hyper::upgrade::on(reply).await?);
        let (reader, writer) = tokio::io::split(upgraded);
        return Ok(Hijacked {
            reader: Box::pin(reader),
            writer: Box::pin(writer),
        });
    }
    let frames = TryStreamExt::map_err(BodyStream::new(reply.into_body()), std::io::Error::other);
    let bytes = frames.try_filter_map(async |frame| Ok(frame.into_data().ok()));
    Ok(Hijacked {
        reader: Box::pin(StreamReader::new(Box::pin(bytes))),
        writer: Box::pin(tokio::io::sink()),
    })
}
