//! `hakone registry`: a registry of its own, and the one that the daemon serves from its content store.

use std::{path::Path, process::ExitCode, sync::Arc};

use hakone_registry_http::{Place, Running, Settings};
use tracing::warn;

use crate::logging;

/// Runs a verb of `hakone registry`.
pub(crate) fn main(matches: &clap::ArgMatches) -> ExitCode {
    if matches.subcommand_matches("serve").is_some() {
        logging::start("info", logging::Form::Text);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ran = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(hakone_registry_http::run(matches)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            complain(&reason);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the terminal is where the user looks")]
fn complain(reason: &str) {
    eprintln!("hakone: {reason}");
}

/// Opens the registry that a daemon serves, with its records beside the images' and its content among theirs.
pub(crate) fn open(
    config: &Path,
    data_root: &Path,
) -> Result<Running, hakone_registry_http::Error> {
    let settings = Settings::load(config)?;
    if settings.data.is_some() {
        warn!(
            "the registry's key `data` has no effect: the daemon keeps its content with the images"
        );
    }
    let place = Place {
        blobs: data_root.join("blobs"),
        state: data_root.join("registry"),
    };
    hakone_registry_http::open(settings, &place, None)
}

/// The registry as the images see it: somebody who needs blobs too.
pub(crate) struct Keeps(pub(crate) hakone_registry_http::Registry);

impl hakone_image::Keeper for Keeps {
    fn unless_kept(&self, blob: &hakone_base::Digest, remove: &mut dyn FnMut()) {
        self.0.unless_needed(&blob.into(), remove);
    }
}

/// A registry that was served once and is not now: nothing of it may be taken for rubbish.
pub(crate) struct KeepsAll;

impl hakone_image::Keeper for KeepsAll {
    fn unless_kept(&self, _blob: &hakone_base::Digest, _remove: &mut dyn FnMut()) {}
}

/// Tells the images who else needs their blobs.
pub(crate) fn keeper(running: Option<&Running>, data_root: &Path) -> Option<hakone_image::Kept> {
    let left = data_root.join("registry/repositories");
    let holds = || std::fs::read_dir(&left).is_ok_and(|mut entries| entries.next().is_some());
    match running {
        Some(running) => Some(hakone_image::Kept(Arc::new(Keeps(
            running.registry.clone(),
        )))),
        None if holds() => {
            warn!(folder = %left.display(), "a registry was served here: its blobs are kept, and so is what images no longer need");
            Some(hakone_image::Kept(Arc::new(KeepsAll)))
        }
        None => None,
    }
}

/// The images as the registry sees them: they sweep the content that both share.
pub(crate) struct Sweeps(pub(crate) hakone_image::Service);

impl hakone_registry_http::Neighbour for Sweeps {
    fn sweep(&self) {
        self.0.sweep();
    }
}
