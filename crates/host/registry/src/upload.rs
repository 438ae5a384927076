//! Sends blobs: a small one whole, a file as one stream that goes on where it broke, or none when the registry can take it
//! from another of its repositories.

use std::{io::SeekFrom, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures_util::StreamExt as _;
use hakone_base::Digest;
use hakone_registry_model::{Url, uploaded};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Method, StatusCode,
    body::Frame,
    header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE},
};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use tokio_util::io::ReaderStream;

use crate::{
    Error, Session,
    exchange::{Request, Response, Stream},
};

/// Bytes read at once from the file.
const CHUNK: usize = 256 * 1024;
const OCTETS: &str = "application/octet-stream";

/// A file to send.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
}

/// What became of the wish to take a blob from another repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mounted {
    /// The registry has it now.
    Yes,
    /// The registry waits for it there.
    No(Url),
}

/// Is told how much has been sent.
type Report = Arc<dyn Fn(u64) + Send + Sync>;

impl Session {
    /// Reports whether the registry has a blob in this repository.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn has_blob(&self, repository: &str, digest: &Digest) -> Result<bool, Error> {
        let url = self.at(&format!("{repository}/blobs/{digest}"))?;
        let response = self.send(Request::new(Method::HEAD, url)).await?;
        match response.status {
            StatusCode::NOT_FOUND => Ok(false),
            _ => response.success().await.map(|_| true),
        }
    }

    /// Asks the registry to take a blob from another of its repositories.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn mount(
        &self,
        repository: &str,
        digest: &Digest,
        from: &str,
    ) -> Result<Mounted, Error> {
        let url = self.at(&format!("{repository}/blobs/uploads/"))?;
        let url = url
            .with_parameter("mount", digest.as_str())
            .with_parameter("from", from);
        let response = self
            .send(Request::new(Method::POST, url))
            .await?
            .success()
            .await?;
        match response.status {
            StatusCode::CREATED => Ok(Mounted::Yes),
            _ => self.location(&response).map(Mounted::No),
        }
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn begin(&self, repository: &str) -> Result<Url, Error> {
        let url = self.at(&format!("{repository}/blobs/uploads/"))?;
        let response = self
            .send(Request::new(Method::POST, url))
            .await?
            .success()
            .await?;
        self.location(&response)
    }

    /// Sends a small blob in one request.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn put_blob(&self, repository: &str, bytes: Bytes) -> Result<(), Error> {
        let place = self.begin(repository).await?;
        let url = place.with_parameter("digest", Digest::of(&bytes).as_str());
        let request = Request::new(Method::PUT, url).content(OCTETS, bytes);
        self.send(request).await?.success().await.map(drop)
    }

    /// Sends a file to a place that an upload began with; tells `report` how far it is.
    ///
    /// # Errors
    /// When the registry refuses, breaks off too often, or the file cannot be read.
    pub async fn send_file(
        &self,
        place: Url,
        source: &Source,
        report: Report,
    ) -> Result<(), Error> {
        let (mut place, mut offset, mut failures) = (place, 0, 0);
        while offset < source.size {
            let sent = self.patch((&place, offset), source, &report).await;
            (place, offset) = match sent {
                Ok(next) => (next, source.size),
                Err(error) => {
                    failures += 1;
                    self.forgive(error, failures).await?;
                    self.arrived(place).await?
                }
            };
        }
        let url = place.with_parameter("digest", source.digest.as_str());
        let mut request = Request::new(Method::PUT, url);
        request.patience = Some(self.shared.patience.commit);
        self.send(request).await?.success().await.map(drop)
    }

    /// Waits after a failure that may pass; any other, or one too many, is final.
    async fn forgive(&self, error: Error, failures: u32) -> Result<(), Error> {
        if !error.is_passing() || failures > self.shared.settings.attempts {
            return Err(error);
        }
        tracing::debug!(%error, failures, "upload broke off, resuming");
        tokio::time::sleep(self.shared.patience.pause * failures).await;
        Ok(())
    }

    /// Streams the file from an offset to its end.
    async fn patch(
        &self,
        (place, offset): (&Url, u64),
        source: &Source,
        report: &Report,
    ) -> Result<Url, Error> {
        let failed = |error| Error::Read {
            path: source.path.clone(),
            source: error,
        };
        let mut file = File::open(&source.path).await.map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).await.map_err(failed)?;
        let length = source.size.saturating_sub(offset);
        let mut request = Request::new(Method::PATCH, place.clone()).header(CONTENT_TYPE, OCTETS);
        if offset > 0 {
            let last = source.size.saturating_sub(1);
            request = request.header(CONTENT_RANGE, &format!("{offset}-{last}"));
        }
        let (report, mut sent) = (Arc::clone(report), offset);
        let chunks = ReaderStream::with_capacity(file.take(length), CHUNK).map(move |chunk| {
            let chunk = chunk?;
            sent += chunk.len() as u64;
            report(sent);
            Ok(Frame::data(chunk))
        });
        let stream = Stream {
            length,
            body: StreamBody::new(chunks).boxed_unsync(),
        };
        let response = self.stream(&request, stream).await?.success().await?;
        self.location(&response)
    }

    /// Asks how much of an upload has arrived.
    async fn arrived(&self, place: Url) -> Result<(Url, u64), Error> {
        let response = self
            .send(Request::get(place.clone()))
            .await?
            .success()
            .await?;
        let arrived = response
            .header(RANGE.as_str())
            .and_then(uploaded)
            .unwrap_or(0);
        Ok((self.location(&response).unwrap_or(place), arrived))
    }

    fn location(&self, response: &Response) -> Result<Url, Error> {
        let location = response
            .headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        match location {
            Some(location) => Ok(response.url.join(location)?),
            None => Err(self.answer("the upload has no Location".to_owned())),
        }
    }
}
