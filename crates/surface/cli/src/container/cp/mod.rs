//! `hakone cp`: files between the host and a container, as tar streams that are never whole in memory.
//!
//! What is meant by a path (`place`) is decided before anything is written. A stream out of a container is hostile: it is
//! unpacked inside the folder that was named and nowhere else, without device nodes and set-user-id bits.

mod inward;
mod outward;
mod place;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use clap::Args;
use hakone_client::{Client, Error, Request, Session};
use hakone_engine_api::archive::PathStat;

use super::path;
use crate::quantity;
use place::Side;

/// Copy files/folders between a container and the local filesystem
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Archive mode (copy all uid/gid information)
    #[arg(short, long)]
    archive: bool,
    /// Always follow symbol link in SRC_PATH
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached
    #[arg(short, long)]
    quiet: bool,
    /// What to copy: CONTAINER:PATH, a path, or - for an archive from STDIN
    #[arg(value_name = "SRC_PATH")]
    source: String,
    /// Where to: CONTAINER:PATH, a path, or - for an archive to STDOUT
    #[arg(value_name = "DEST_PATH")]
    destination: String,
}

/// Copies one way or the other.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let side = |text: &str, what: &str| {
        Side::parse(text).ok_or_else(|| Error::usage(format!("{what} can not be empty")))
    };
    let from = side(&arguments.source, "source")?;
    match (from, side(&arguments.destination, "destination")?) {
        (Side::There { container, path }, Side::Here(here)) => {
            outward::run(session, arguments, (&container, &path), &here).await
        }
        (Side::Here(here), Side::There { container, path }) => {
            inward::run(session, arguments, &here, (&container, &path)).await
        }
        (Side::There { .. }, Side::There { .. }) => {
            Err(Error::usage("copying between containers is not supported"))
        }
        (Side::Here(_), Side::Here(_)) => {
            Err(Error::usage("must specify at least one container source"))
        }
    }
}

/// Asks what a path in a container names; nothing when the daemon does not say.
async fn look(client: &Client, container: &str, at: &str) -> Result<Option<PathStat>, Error> {
    let request = Request::head(path(container, "archive")).query("path", at);
    match client.headers(request).await {
        Ok(headers) => Ok(stat(&headers)),
        Err(Error::Daemon { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn stat(headers: &hyper::HeaderMap) -> Option<PathStat> {
    let value = headers.get("X-Docker-Container-Path-Stat")?;
    PathStat::from_header(value.to_str().ok()?)
}

/// Where a link leads, as a path from the root.
fn target(link: &str, stat: &PathStat) -> String {
    match stat.link_target.starts_with('/') {
        true => stat.link_target.clone(),
        false => place::join(place::parent(link), &stat.link_target),
    }
}

/// Counts what travels.
#[derive(Clone, Debug, Default)]
struct Count(Arc<AtomicU64>);

impl Count {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Says what was copied, to a person.
    fn report(&self, session: &Session, arguments: &Arguments, to: &str) {
        if arguments.quiet || !session.console.terminal().stdout {
            return;
        }
        let bytes = i64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        let size = quantity::human_size(bytes, 3);
        session
            .console
            .note(&format!("Successfully copied {size} to {to}"));
    }
}
