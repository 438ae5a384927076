//! Reads what a request says: query parameters, JSON bodies with a limit, raw bodies as a reader.

use std::{collections::HashMap, io, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use hakone_authorize::Scope;
use hakone_base::ApiVersion;
use hakone_engine_api::{Filters, query, word};
use http_body_util::BodyStream;
use hyper::{
    Request,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

use crate::{body::collect, departure::Departure, error::Error};

/// The largest JSON body taken; a create request with a seccomp profile in it has some 20 kB.
const JSON_LIMIT: usize = 4 << 20;

/// A request, its version and path already split off.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) version: ApiVersion,
    query: HashMap<String, Vec<String>>,
    request: Request<Incoming>,
    /// What stands for the body, or for its beginning, once somebody has read that.
    early: Option<Bytes>,
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
            early: None,
        }
    }

    /// Gives what tells when the client has left.
    pub(crate) fn departure(&self) -> Departure {
        let known = self.request.extensions().get::<Departure>();
        known.cloned().unwrap_or_else(Departure::unknown)
    }

    /// Gives a parameter's first value; empty counts as absent.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.all(key)
            .first()
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Replaces all values of a parameter by one.
    pub(crate) fn set(&mut self, key: &str, value: String) {
        self.query.insert(key.to_owned(), vec![value]);
    }

    /// Bounds what the answer may show.
    pub(crate) fn bound(&mut self, scope: Scope) {
        self.request.extensions_mut().insert(scope);
    }

    /// Gives the bound of what the answer may show.
    pub(crate) fn scope(&self) -> Option<&Scope> {
        self.request.extensions().get()
    }

    /// Gives every parameter, repeated ones too.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().flat_map(|(key, values)| {
            values
                .iter()
                .map(move |value| (key.as_str(), value.as_str()))
        })
    }

    /// Reads a JSON body through its type, so that what is judged is what a handler reads; `None` when there is none.
    pub(crate) async fn typed<T: DeserializeOwned + Serialize>(
        &mut self,
    ) -> Result<Option<Value>, Error> {
        let body = self.body().await?;
        let Some(parsed) = self.parse::<T>(&body)? else {
            return Ok(None);
        };
        serde_json::to_value(parsed).map(Some).map_err(Error::Json)
    }

    /// Puts a value in the place of the body.
    pub(crate) fn put(&mut self, body: &Value) -> Result<(), Error> {
        let text = serde_json::to_vec(body).map_err(Error::Json)?;
        self.early = Some(text.into());
        let json = HeaderValue::from_static("application/json");
        self.request.headers_mut().insert(CONTENT_TYPE, json);
        Ok(())
    }

    /// Reads the body of a JSON request, whole, and keeps it.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Error> {
        if let Some(body) = &self.early {
            return Ok(body.clone());
        }
        let body = collect(self.request.body_mut(), JSON_LIMIT).await?;
        self.early = Some(body.clone());
        Ok(body)
    }

    fn parse<T: DeserializeOwned>(&self, body: &Bytes) -> Result<Option<T>, Error> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        check_kind(self.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes))?;
        serde_json::from_slice(body)
            .map(Some)
            .map_err(|error| refused(error, body))
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

    /// Reads a number that must be there.
    pub(crate) fn needed<T: std::str::FromStr>(&self, key: &str) -> Result<T, Error> {
        let missing = || Error::parameter("strconv.Atoi: parsing \"\": invalid syntax");
        self.number(key)?.ok_or_else(missing)
    }

    /// Reads the filters, refusing keys that the list does not have.
    pub(crate) fn filters(&self, known: &[&str]) -> Result<Filters, Error> {
        Ok(Filters::parse(
            self.text("filters").unwrap_or_default(),
            known,
        )?)
    }

    pub(crate) fn method(&self) -> &hyper::Method {
        self.request.method()
    }

    pub(crate) fn uri(&self) -> &hyper::Uri {
        self.request.uri()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Gives the request itself, for taking over its connection.
    pub(crate) fn into_request(self) -> Request<Incoming> {
        self.request
    }

    /// Reads a JSON body; none is taken for an empty object, as Docker does for all but the making of a container.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        match self.optional_json().await? {
            Some(body) => Ok(body),
            None => serde_json::from_slice(b"{}").map_err(Error::Json),
        }
    }

    /// Reads a JSON body in which one word may be left out, for the service to say what it thinks of none.
    pub(crate) async fn json_over<T: DeserializeOwned>(mut self, word: &str) -> Result<T, Error> {
        let body = self.body().await?;
        let read: Option<Value> = self.parse(&body)?;
        let mut value = read.unwrap_or_else(|| Value::Object(Default::default()));
        if let Some(fields) = value.as_object_mut() {
            fields.entry(word).or_insert_with(|| "".into());
        }
        serde_json::from_value(value).map_err(|error| refused(error, &body))
    }

    /// Reads a JSON body that must be there, as two values: some fields stand in no description of the API any more.
    pub(crate) async fn json_twice<T, U>(mut self) -> Result<(T, U), Error>
    where
        T: DeserializeOwned,
        U: DeserializeOwned,
    {
        let body = self.body().await?;
        match (self.parse(&body)?, self.parse(&body)?) {
            (Some(one), Some(other)) => Ok((one, other)),
            (None, _) | (_, None) => Err(Error::EmptyBody),
        }
    }

    /// Refuses a body where there must be none: what a start was to change was given up in 1.24.
    pub(crate) fn without_body(&self, refusal: &'static str) -> Result<(), Error> {
        use hyper::body::Body as _;
        // Docker lets pass what is as short as `{}` or `null`.
        const NOTHING: u64 = 7;
        match self.request.body().size_hint().exact() {
            Some(length) if length <= NOTHING => Ok(()),
            Some(_) | None => Err(Error::parameter(refusal)),
        }
    }

    /// Takes what is left of a short body and drops it: a client that is still sending it when the reply comes would see its
    /// connection break, and not why.
    pub(crate) async fn drain(self) {
        const SHORT: usize = 64 << 10;
        const PATIENCE: Duration = Duration::from_secs(1);
        let rest = collect(self.request.into_body(), SHORT);
        tokio::time::timeout(PATIENCE, rest).await.ok();
    }

    /// Reads a JSON body that may be absent.
    pub(crate) async fn optional_json<T: DeserializeOwned>(self) -> Result<Option<T>, Error> {
        self.json_and_request().await.map(|(json, _)| json)
    }

    /// Reads a JSON body that may be absent, and gives the emptied request, whose connection can still be taken over.
    pub(crate) async fn json_and_request<T: DeserializeOwned>(
        mut self,
    ) -> Result<(Option<T>, Request<Incoming>), Error> {
        let body = self.body().await?;
        let value = self.parse(&body)?;
        Ok((value, self.request))
    }

    /// Reads a body of text, whatever it says of its kind.
    pub(crate) async fn plain_text(mut self, limit: usize) -> Result<String, Error> {
        let body = match self.early.take() {
            Some(body) if body.len() > limit => return Err(Error::TooLarge(limit)),
            Some(body) => body,
            None => collect(self.request.body_mut(), limit).await?,
        };
        let text = String::from_utf8(body.to_vec());
        text.map_err(|error| Error::parameter(format!("the body is no UTF-8: {error}")))
    }

    /// Gives the body as a reader, for archives.
    pub(crate) fn reader(self) -> impl AsyncRead + Send + Unpin + 'static {
        let early = std::io::Cursor::new(self.early.unwrap_or_default());
        let frames = BodyStream::new(self.request.into_body());
        early.chain(StreamReader::new(
            frames
                .filter_map(async |frame| match frame {
                    Ok(frame) => frame.into_data().ok().map(Ok),
                    Err(error) => Some(Err(io::Error::other(error))),
                })
                .boxed(),
        ))
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
