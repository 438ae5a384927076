//! Fetches a blob: exactly its bytes, taken up again where a connection broke.
//!
//! The digest is for whoever reads to verify, at the end of all bytes; here the count is exact, so that neither a short
//! blob nor an endless one gets further than its size.

use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use hakone_base::Digest;
use hakone_registry_model::ContentRange;
use hyper::{StatusCode, header::RANGE};

use crate::{
    Error, Session,
    exchange::{Request, Response},
};

/// A connection that brought so much counts as progress: it may break off again.
const PROGRESS: u64 = 1 << 20;

/// A blob that is being fetched.
#[derive(Debug)]
pub struct Blob {
    session: Arc<Session>,
    repository: String,
    digest: Digest,
    size: u64,
    offset: u64,
    body: Option<Response>,
    /// Bytes of this connection.
    gained: u64,
    failures: u32,
}

impl Blob {
    /// Names a blob; nothing is fetched before the first chunk.
    #[must_use]
    pub fn new(session: Arc<Session>, repository: &str, digest: Digest, size: u64) -> Self {
        Self {
            session,
            repository: repository.to_owned(),
            digest,
            size,
            offset: 0,
            body: None,
            gained: 0,
            failures: 0,
        }
    }

    /// Gives the next bytes; nothing after the last.
    ///
    /// # Errors
    /// When the registry refuses, sends more or less than the size, or breaks off too often.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.step().await {
                Ok(step) => return Ok(step),
                Err(error) => self.forgive(error).await?,
            }
        }
    }

    /// Reads a small blob whole and verifies it.
    ///
    /// # Errors
    /// As [`Self::chunk`], and when it is larger than `limit` or has another digest.
    pub async fn document(mut self, what: &'static str, limit: u64) -> Result<Bytes, Error> {
        if self.size > limit {
            return Err(Error::TooLarge { what, limit });
        }
        let mut whole = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            whole.extend_from_slice(&bytes);
        }
        match Digest::of(&whole) == self.digest {
            true => Ok(whole.into()),
            false => Err(Error::Digest {
                what,
                wanted: self.digest,
            }),
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>, Error> {
        let (digest, size) = (self.digest.clone(), self.size);
        let wrong = || Error::Size {
            digest: digest.clone(),
            size,
        };
        let body = match &mut self.body {
            Some(body) => body,
            None if self.offset == self.size && self.gained > 0 => return Ok(None),
            None => {
                let response = self.open().await?;
                self.body.insert(response)
            }
        };
        match body.chunk().await? {
            Some(bytes) => {
                let count = bytes.len() as u64;
                if count > self.size - self.offset {
                    return Err(wrong());
                }
                self.offset += count;
                self.gained += count;
                Ok(Some(bytes))
            }
            None if self.offset == self.size => Ok(None),
            // The registry said how much it has and has sent it: asking again brings the same.
            None if body.length().is_some() && self.offset < self.size => Err(wrong()),
            None => Err(self.short()),
        }
    }

    /// Asks for what is still missing.
    async fn open(&mut self) -> Result<Response, Error> {
        self.gained = 0;
        let path = format!("{}/blobs/{}", self.repository, self.digest);
        let mut request = Request::get(self.session.at(&path)?);
        if self.offset > 0 {
            request = request.header(RANGE, &format!("bytes={}-", self.offset));
        }
        let response = self.session.send(request).await?.success().await?;
        let wrong = Error::Size {
            digest: self.digest.clone(),
            size: self.size,
        };
        if response.status != StatusCode::PARTIAL_CONTENT {
            // All of it: from the beginning, whatever was asked for.
            return match response.length().is_none_or(|length| length == self.size) {
                true => self.skip(response).await,
                false => Err(wrong),
            };
        }
        let range = response
            .header("content-range")
            .and_then(ContentRange::parse);
        match range.is_some_and(|range| range.resumes(self.offset, self.size)) {
            true => Ok(response),
            false => Err(wrong),
        }
    }

    /// Reads again, and drops, what was had before.
    async fn skip(&self, mut response: Response) -> Result<Response, Error> {
        let mut left = self.offset;
        while left > 0 {
            let Some(mut bytes) = response.chunk().await? else {
                return Err(self.short());
            };
            let count = left.min(bytes.len() as u64);
            left -= count;
            bytes.advance(usize::try_from(count).unwrap_or(bytes.len()));
            if !bytes.is_empty() {
                response.push_back(bytes);
            }
        }
        Ok(response)
    }

    /// Counts a failure that may pass and waits; any other is final.
    async fn forgive(&mut self, error: Error) -> Result<(), Error> {
        if self.gained >= PROGRESS {
            self.failures = 0;
        }
        self.body = None;
        self.failures += 1;
        let patience = self.session.shared.patience;
        if !error.is_passing() || self.failures > self.session.shared.settings.attempts {
            return Err(error);
        }
        tracing::debug!(digest = %self.digest, offset = self.offset, %error, "blob broke off, resuming");
        tokio::time::sleep(patience.pause * self.failures).await;
        Ok(())
    }

    fn short(&self) -> Error {
        Error::Slow {
            target: self.session.base().authority(),
            what: "unexpected EOF",
        }
    }
}
