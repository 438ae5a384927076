//! A request before it is sent: method, path, query, body.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Method, body::Frame};
use serde::Serialize;

/// The body of a request: nothing, JSON in memory, or a stream of bytes.
pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Filters as the CLI sends them: a set of values for each key.
pub type Filters = BTreeMap<String, BTreeSet<String>>;

/// A request to the daemon, without the version prefix.
#[derive(Debug)]
pub struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Body,
    pub(super) kind: Option<&'static str>,
    query: Vec<(&'static str, String)>,
    pub(super) registry_auth: Option<String>,
    pub(super) registry_config: Option<String>,
}

impl Request {
    /// Asks for something.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    /// Asks what there is to get.
    pub fn head(path: impl Into<String>) -> Self {
        Self::new(Method::HEAD, path.into())
    }

    /// Brings something.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path.into())
    }

    /// Asks to do something.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path.into())
    }

    /// Asks to remove something.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path.into())
    }

    fn new(method: Method, path: String) -> Self {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Self {
            method,
            path,
            body,
            kind: None,
            query: Vec::new(),
            registry_auth: None,
            registry_config: None,
        }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// Says who the user is at the registry that the daemon will speak to.
    #[must_use]
    pub fn registry_auth(mut self, value: String) -> Self {
        self.registry_auth = Some(value);
        self
    }

    /// Says who the user is at each of the registries that a build may speak to.
    #[must_use]
    pub fn registry_config(mut self, value: String) -> Self {
        self.registry_config = Some(value);
        self
    }

    /// Adds a parameter when there is a value.
    #[must_use]
    pub fn maybe(self, key: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    /// Adds `key=1` when set.
    #[must_use]
    pub fn flag(self, key: &'static str, set: bool) -> Self {
        if set { self.query(key, "1") } else { self }
    }

    /// Adds filters when there are any.
    #[must_use]
    pub fn filters(self, filters: &Filters) -> Self {
        let set = |values: &BTreeSet<String>| -> BTreeMap<String, bool> {
            values.iter().map(|value| (value.clone(), true)).collect()
        };
        let wire: BTreeMap<_, _> = filters
            .iter()
            .map(|(key, values)| (key, set(values)))
            .collect();
        match serde_json::to_string(&wire) {
            Ok(text) if !filters.is_empty() => self.query("filters", text),
            _ => self,
        }
    }

    /// Carries JSON.
    #[must_use]
    pub fn json(mut self, value: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        self.kind = Some("application/json");
        self.body = Full::new(Bytes::from(bytes))
            .map_err(|never| match never {})
            .boxed_unsync();
        self
    }

    /// Carries text.
    #[must_use]
    pub fn text(mut self, text: String) -> Self {
        self.kind = Some("application/yaml");
        self.body = Full::new(Bytes::from(text))
            .map_err(|never| match never {})
            .boxed_unsync();
        self
    }

    /// Carries an archive that is still being read.
    #[must_use]
    pub fn archive<S>(mut self, stream: S) -> Self
    where
        S: futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        use futures_util::TryStreamExt as _;
        self.kind = Some("application/x-tar");
        self.body = BodyExt::boxed_unsync(StreamBody::new(stream.map_ok(Frame::data)));
        self
    }

    /// Gives path and query, sorted by key as Go's clients send them.
    #[must_use]
    pub fn target(&self) -> String {
        let mut query = self.query.clone();
        query.sort_by_key(|(key, _)| *key);
        let pairs: Vec<_> = query
            .iter()
            .map(|(key, value)| format!("{key}={}", escape(value)))
            .collect();
        match pairs.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, pairs.join("&")),
        }
    }
}

/// Escapes a query value: a space is a plus, everything but the unreserved is percent and hex.
fn escape(value: &str) -> String {
    value.bytes().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            text + char::from(byte).encode_utf8(&mut [0; 4])
        }
        b' ' => text + "+",
        _ => text + &format!("%{byte:02X}"),
    })
}

/// Escapes a name for use as one element of a path; slashes of image names stay.
#[must_use]
pub fn segment(name: &str) -> String {
    name.bytes().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z'
        | b'A'..=b'Z'
        | b'0'..=b'9'
        | b'-'
        | b'_'
        | b'.'
        | b'~'
        | b'/'
        | b':'
        | b'@'
        | b'+'
        | b'='
        | b'$'
        | b'&' => text + char::from(byte).encode_utf8(&mut [0; 4]),
        _ => text + &format!("%{byte:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_sorted_and_escaped() {
        let request = Request::get("/x")
            .query("b", "a b/c")
            .flag("a", true)
            .flag("z", false);
        assert_eq!(request.target(), "/x?a=1&b=a+b%2Fc");
    }

    #[test]
    fn a_path_segment_cannot_start_a_query() {
        assert_eq!(segment("a?b#c d"), "a%3Fb%23c%20d");
        assert_eq!(segment("reg:5000/app@sha256:0"), "reg:5000/app@sha256:0");
    }
}
