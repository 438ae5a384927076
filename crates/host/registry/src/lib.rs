//! Speaking to a registry over HTTP: TLS and proxies, tokens, manifests, blobs that resume where they broke off, uploads.
//!
//! Small on purpose: each connection is made here, so the very address that is connected to is the one that was judged
//! (`hakone-registry-model` judges), each body has a bound in bytes and in time, and what a registry says never decides
//! where the user's password goes. What the bytes mean is the image service's concern (`service/image`).

mod blob;
mod client;
mod dial;
mod error;
mod exchange;
mod fetch;
mod manifest;
mod name;
mod post;
mod search;
mod session;
mod trust;
mod upload;

pub use blob::Blob;
pub use client::{Client, Options, Patience};
pub use error::Error;
pub use fetch::Download;
pub use hakone_registry_model::{
    Bypass, Credentials, CredentialsError, Endpoint, Proxies, Proxy, Rule, RuleError, Settings,
    Url, UrlError,
};
pub use manifest::{Found, Reference};
pub use search::SearchResult;
pub use session::{Access, Session};
pub use upload::{Mounted, Source};
