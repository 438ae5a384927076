//! Reads what a request says: query parameters, JSON bodies with a limit, raw bodies as a reader.

use std::{collections::HashMap, io};

use bytes::Bytes;
use futures_util::StreamExt as _;
use hakone_base::ApiVersion;
use hakone_engine_api::{Filters, query, word};
use http_body_util::{BodyExt as _, BodyStream, LengthLimitError, Limited};
use hyper::{
    Request,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use crate::error::Error;

/// The largest JSON body taken; a create request with a seccomp profile in it has some 20 kB.
const JSON_LIMIT: usize = 4 << 20;

/// A request, its version and path already split off.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) version: ApiVersion,
    query: HashMap<String, Vec<String>>,
    request: Request<Incoming>,
}

impl Call {
    pub(crate) fn new(version: ApiVersion, request: Request<Incoming>) -> Self {
        let mut query: HashMap<String, Vec<String>> = HashMap::new();
        let text = request.uri().query().unwrap_or_default();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            query
                .entry(key.into_owned())
                .or_default()
                .push(value.into_owned());
        }
        Self {
            version,
            query,
            request,
        }
    }

    /// Gives a parameter's first value; empty counts as absent.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.all(key)
            .first()
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Gives all values of a repeated parameter.
    pub(crate) fn all(&self, key: &str) -> &[String] {
        self.query.get(key).map_or(&[], Vec::as_slice)
    }

    /// Reads a flag; absent is false.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.text(key).is_some_and(query::flag)
    }

    /// Reads a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Error> {
        let refuse = |text: &str| {
            Error::parameter(format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
        };
        self.text(key)
            .map(|text| text.parse().ok().ok_or_else(|| refuse(text)))
            .transpose()
    }

    /// Reads the filters, refusing keys that the list does not have.
    pub(crate) fn filters(&self, known: &[&str]) -> Result<Filters, Error> {
        Ok(Filters::parse(
            self.text("filters").unwrap_or_default(),
            known,
        )?)
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Gives the request itself, for taking over its connection.
    pub(crate) fn into_request(self) -> Request<Incoming> {
        self.request
    }

    /// Reads a JSON body that must be there.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.optional_json().await?.ok_or(Error::EmptyBody)
    }

    /// Reads a JSON body that may be absent.
    pub(crate) async fn optional_json<T: DeserializeOwned>(self) -> Result<Option<T>, Error> {
        self.json_and_request().await.map(|(json, _)| json)
    }

    /// Reads a JSON body that may be absent, and gives the emptied request, whose connection can still be taken over.
    pub(crate) async fn json_and_request<T: DeserializeOwned>(
        mut self,
    ) -> Result<(Option<T>, Request<Incoming>), Error> {
        let kind = self
            .headers()
            .get(CONTENT_TYPE)
            .map(|kind| kind.as_bytes().to_vec());
        let body = collect(self.request.body_mut(), JSON_LIMIT).await?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok((None, self.request));
        }
        check_kind(kind.as_deref())?;
        let value = serde_json::from_slice(&body).map_err(|error| refused(error, &body))?;
        Ok((Some(value), self.request))
    }

    /// Reads a body of text, whatever it says of its kind.
    pub(crate) async fn plain_text(mut self, limit: usize) -> Result<String, Error> {
        let body = collect(self.request.body_mut(), limit).await?;
        let text = String::from_utf8(body.to_vec());
        text.map_err(|error| Error::parameter(format!("the body is no UTF-8: {error}")))
    }

    /// Gives the body as a reader, for archives.
    pub(crate) fn reader(self) -> impl AsyncRead + Send + Unpin + 'static {
        let frames = BodyStream::new(self.request.into_body());
        StreamReader::new(
            frames
                .filter_map(async |frame| match frame {
                    Ok(frame) => frame.into_data().ok().map(Ok),
                    Err(error) => Some(Err(io::Error::other(error))),
                })
                .boxed(),
        )
    }
}

async fn collect(body: &mut Incoming, limit: usize) -> Result<Bytes, Error> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge(limit)),
        Err(error) => Err(Error::Read(error.to_string())),
    }
}

/// Explains a body that does not parse: by Docker's word for an unknown word in it, else by what the parser says.
fn refused(error: serde_json::Error, body: &[u8]) -> Error {
    word::refusal(body).map_or(Error::Json(error), Error::Parameter)
}

fn check_kind(kind: Option<&[u8]>) -> Result<(), Error> {
    let text = String::from_utf8_lossy(kind.unwrap_or_default()).into_owned();
    match text.split(';').next().map(str::trim) {
        Some("application/json") => Ok(()),
        _ => Err(Error::ContentType(text)),
    }
}
