//! A folder of blobs at the client, as containerd's content store has it: read from and written to over the session.
//!
//! The messages are containerd's, written out here: five of them do not need a crate. What is read is the client's word alone, so
//! documents are verified, and a blob that does not end at its size is cut off.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use hakone_base::{Digest, Kind};
use hakone_image_model::Descriptor;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;
use tonic::{Code, Streaming};

use crate::{
    Error,
    neighbour::{BoxFuture, Failure, Reader, Store},
    sessions::Session,
};

const READ: &str = "/containerd.services.content.v1.Content/Read";
const WRITE: &str = "/containerd.services.content.v1.Content/Write";
/// The header that says which of a client's stores is meant.
const STORE: &str = "buildkit-attachable-store-id";
/// How long a client may say nothing.
const SILENCE: Duration = Duration::from_secs(120);
/// Bytes of one message.
const CHUNK: usize = 256 << 10;
/// Bytes of a manifest.
const MANIFEST: u64 = 4 << 20;

/// Asks for the bytes of a blob.
#[derive(Clone, PartialEq, prost::Message)]
struct ReadRequest {
    #[prost(string, tag = "1")]
    digest: String,
    #[prost(int64, tag = "2")]
    offset: i64,
    #[prost(int64, tag = "3")]
    size: i64,
}

/// Some bytes of a blob.
#[derive(Clone, PartialEq, prost::Message)]
struct ReadResponse {
    #[prost(int64, tag = "1")]
    offset: i64,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

/// A word of a writer.
#[derive(Clone, PartialEq, prost::Message)]
struct WriteRequest {
    #[prost(enumeration = "Action", tag = "1")]
    action: i32,
    #[prost(string, tag = "2")]
    r#ref: String,
    #[prost(int64, tag = "3")]
    total: i64,
    #[prost(string, tag = "4")]
    expected: String,
    #[prost(int64, tag = "5")]
    offset: i64,
    #[prost(bytes = "vec", tag = "6")]
    data: Vec<u8>,
    #[prost(map = "string, string", tag = "7")]
    labels: HashMap<String, String>,
}

/// The client's answer to it.
#[derive(Clone, PartialEq, prost::Message)]
struct WriteResponse {
    #[prost(enumeration = "Action", tag = "1")]
    action: i32,
    #[prost(int64, tag = "4")]
    offset: i64,
    #[prost(string, tag = "6")]
    digest: String,
}

/// What a word of a writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum Action {
    /// Begins.
    Stat = 0,
    /// Goes on.
    Write = 1,
    /// Ends.
    Commit = 2,
}

/// A store of a client.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    session: Arc<Session>,
    id: String,
    /// The manifest that it is named for.
    top: Option<Descriptor>,
}

impl Content {
    /// Names a store; `top` is the manifest that is meant in it.
    pub(crate) fn new(session: Arc<Session>, id: String, top: Option<Digest>) -> Self {
        let top = top.map(|digest| Descriptor::new("", digest, MANIFEST));
        Self { session, id, top }
    }

    fn headers(&self) -> [(String, String); 1] {
        [(STORE.to_owned(), self.id.clone())]
    }

    fn offers(&self, method: &str) -> Result<(), Error> {
        match self.session.offers(method) {
            true => Ok(()),
            false => Err(Error::Refused(hakone_buildkit_model::Error::Unsupported(
                "a client without a content store".to_owned(),
            ))),
        }
    }

    async fn read(&self, digest: &Digest, limit: u64) -> Result<Reader, Error> {
        self.offers(READ)?;
        let question = ReadRequest {
            digest: digest.to_string(),
            ..ReadRequest::default()
        };
        let asked = stream::once(std::future::ready(question));
        let channel = &self.session.channel;
        let headers = self.headers();
        let opened = channel.stream(READ, &headers, asked);
        let opened = timeout(SILENCE, opened).await;
        let incoming: Streaming<ReadResponse> = opened.map_err(|_late| Error::Cancelled)??;
        let chunks = incoming.map(|one| {
            one.map(|one| Bytes::from(one.data))
                .map_err(io::Error::other)
        });
        Ok(Box::new(StreamReader::new(chunks.boxed()).take(limit)))
    }

    async fn whole(&self, blob: &Descriptor, limit: u64) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        let mut source = self.read(&blob.digest, limit + 1).await?;
        let read = timeout(SILENCE, source.read_to_end(&mut text)).await;
        let read = read.map_err(|_late| Error::Cancelled)?;
        read.map_err(Error::host("read from the client's content store"))?;
        let fits = text.len() as u64 <= limit && Digest::of(&text) == blob.digest;
        match fits {
            true => Ok(text),
            false => Err(Failure::new(
                Kind::InvalidParameter,
                format!("{} of the client is something else", blob.digest),
            )
            .into()),
        }
    }

    /// Writes a blob; one that is there already is well.
    pub(crate) async fn write(
        &self,
        blob: &Descriptor,
        source: impl AsyncRead + Send + Unpin,
    ) -> Result<(), Error> {
        self.offers(WRITE)?;
        let (outgoing, words) = mpsc::channel(2);
        let begun = WriteRequest {
            action: Action::Stat.into(),
            r#ref: format!("hakone-{}", blob.digest),
            total: i64::try_from(blob.size).unwrap_or(i64::MAX),
            expected: blob.digest.to_string(),
            ..WriteRequest::default()
        };
        outgoing.try_send(begun).ok();
        let channel = &self.session.channel;
        let headers = self.headers();
        let opened = channel.stream(WRITE, &headers, ReceiverStream::new(words));
        let opened = timeout(SILENCE, opened).await;
        let written = match opened.map_err(|_late| Error::Cancelled)? {
            Ok(answers) => pour(blob, source, (outgoing, answers)).await,
            Err(status) => Err(status.into()),
        };
        match written {
            Err(Error::Client(status)) if status.code() == Code::AlreadyExists => Ok(()),
            other => other,
        }
    }
}

type Conversation = (mpsc::Sender<WriteRequest>, Streaming<WriteResponse>);

/// Writes from where the client is to the end, an answer for each word.
async fn pour(
    blob: &Descriptor,
    mut source: impl AsyncRead + Send + Unpin,
    (outgoing, mut answers): Conversation,
) -> Result<(), Error> {
    let begun = answered(&mut answers).await?;
    let mut offset = u64::try_from(begun.offset).unwrap_or(0);
    let skipped = tokio::io::copy(&mut (&mut source).take(offset), &mut tokio::io::sink()).await;
    skipped.map_err(Error::host("read a layer"))?;
    loop {
        let mut data = Vec::with_capacity(CHUNK);
        let read = (&mut source)
            .take(CHUNK as u64)
            .read_to_end(&mut data)
            .await;
        let last = read.map_err(Error::host("read a layer"))? == 0;
        let count = data.len() as u64;
        let word = WriteRequest {
            action: match last {
                true => Action::Commit.into(),
                false => Action::Write.into(),
            },
            total: i64::try_from(blob.size).unwrap_or(i64::MAX),
            expected: blob.digest.to_string(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            data,
            ..WriteRequest::default()
        };
        let sent = timeout(SILENCE, outgoing.send(word)).await;
        if !matches!(sent, Ok(Ok(()))) {
            // Its last word says why.
            return Err(answered(&mut answers)
                .await
                .err()
                .unwrap_or(Error::Cancelled));
        }
        answered(&mut answers).await?;
        if last {
            return Ok(());
        }
        offset += count;
    }
}

async fn answered(answers: &mut Streaming<WriteResponse>) -> Result<WriteResponse, Error> {
    let answer = timeout(SILENCE, answers.message()).await;
    let answer = answer.map_err(|_late| Error::Cancelled)??;
    answer.ok_or(Error::Cancelled)
}

/// Says of a failure what its user needs.
pub(crate) fn told(error: &Error) -> Failure {
    use hakone_base::Fault as _;
    Failure::new(error.kind(), error.to_string())
}

impl Store for Content {
    fn manifest<'a>(
        &'a self,
        digest: Option<&'a Digest>,
    ) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async move {
            let named = digest.map(|digest| Descriptor::new("", digest.clone(), MANIFEST));
            let top = named.or_else(|| self.top.clone()).ok_or(Error::NoCache);
            let top = top.map_err(|error| told(&error))?;
            self.whole(&top, MANIFEST)
                .await
                .map_err(|error| told(&error))
        })
    }

    fn document<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async move { self.whole(blob, limit).await.map_err(|error| told(&error)) })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Reader, Failure>> {
        // One byte more than it should be is enough to see that it is something else.
        let limit = blob.size.saturating_add(1);
        Box::pin(async move {
            let opened = self.read(&blob.digest, limit).await;
            opened.map_err(|error| told(&error))
        })
    }
}
