//! Who is told what happens, and who is asked before a manifest is given away.

use std::{future::Future, pin::Pin};

use hakone_registry_api::{ContentDigest, Event, RepositoryName, Subject, Tag};
use tracing::info;

/// A future in a box.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Takes note of what happens to content: a log, an audit, webhooks.
pub trait Journal: Send + Sync + 'static {
    /// Takes note; must not block.
    fn note(&self, event: &Event);
}

/// Somebody wants a manifest.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// From which repository.
    pub repository: &'a RepositoryName,
    /// Which one.
    pub digest: &'a ContentDigest,
    /// Under which tag, if by one.
    pub tag: Option<&'a Tag>,
    /// What it is.
    pub media_type: &'a str,
    /// Who.
    pub subject: &'a Subject,
}

/// Judges whether a manifest may be had: signed, scanned, released.
pub trait Gate: Send + Sync + 'static {
    /// Judges.
    ///
    /// # Errors
    /// Why not, in words for the user: docker prints them after `denied:`.
    fn judge<'a>(&'a self, ask: Ask<'a>) -> BoxFuture<'a, Result<(), String>>;
}

/// The gate that stands open.
#[derive(Clone, Copy, Debug)]
pub struct Open;

impl Gate for Open {
    fn judge<'a>(&'a self, _ask: Ask<'a>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The journal that writes to the log, under the target `registry.audit`.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Journal for Log {
    fn note(&self, event: &Event) {
        info!(
            target: "registry.audit",
            action = event.happening.as_str(),
            repository = %event.repository,
            digest = event.digest.as_ref().map(tracing::field::display),
            tag = event.tag.as_ref().map(tracing::field::display),
            user = %event.subject,
            peer = event.peer,
            "registry content"
        );
    }
}
