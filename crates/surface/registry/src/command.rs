//! The verbs `hakone registry serve`, `gc` and `import`.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, FromArgMatches as _, Subcommand};
use hakone_registry_service::import;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{Error, Place, Settings, open, serve};

/// Where a registry of its own keeps everything when not told.
const DATA: &str = "/var/lib/hakone-registry";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve a registry (OCI distribution 1.1)
    Serve(Serve),
    /// Remove what no tag, manifest or running upload needs; asks a registry that is being served to do it
    Gc(Files),
    /// Take over the folder of Docker's own registry
    Import(Import),
}

#[derive(Debug, Args)]
struct Files {
    /// File with the configuration, TOML
    #[arg(long, short = 'c', value_name = "FILE", env = "HAKONE_REGISTRY_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of everything [default: /var/lib/hakone-registry]
    #[arg(long, value_name = "DIR", env = "HAKONE_REGISTRY_DATA")]
    data: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    files: Files,
    /// Address to answer on, repeatable [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Vec<SocketAddr>,
    /// Check the configuration and exit
    #[arg(long)]
    validate: bool,
}

#[derive(Debug, Args)]
struct Import {
    #[command(flatten)]
    files: Files,
    /// Folder that holds docker/registry/v2
    folder: PathBuf,
}

/// Gives the verbs for the command line.
#[must_use]
pub fn command() -> clap::Command {
    let command = clap::Command::new("registry")
        .about("Serve a registry, and look after one")
        .long_about(None)
        .subcommand_required(true)
        .arg_required_else_help(true);
    Verb::augment_subcommands(command)
}

/// Runs a verb; needs a runtime.
///
/// # Errors
/// Why it failed, for the terminal.
pub async fn run(matches: &clap::ArgMatches) -> Result<(), String> {
    let verb = Verb::from_arg_matches(matches).map_err(|error| error.to_string())?;
    match verb {
        Verb::Serve(arguments) => run_serve(arguments).await,
        Verb::Gc(files) => gc(&files).await,
        Verb::Import(arguments) => take_over(arguments).await,
    }
}

impl Files {
    fn settings(&self) -> Result<(Settings, Place), String> {
        let settings = match &self.config {
            Some(path) => {
                Settings::load(path).map_err(|error| format!("{}: {error}", path.display()))?
            }
            None => Settings::default(),
        };
        let data = self.data.clone().or_else(|| settings.data.clone());
        let data = data.unwrap_or_else(|| PathBuf::from(DATA));
        let place = Place {
            blobs: data.join("blobs"),
            state: data.join("registry"),
        };
        Ok((settings, place))
    }
}

async fn run_serve(arguments: Serve) -> Result<(), String> {
    let (mut settings, place) = arguments.files.settings()?;
    if !arguments.address.is_empty() {
        settings.address = arguments.address;
    }
    if arguments.validate {
        settings.check().map_err(|error| error.to_string())?;
        return say("configuration OK");
    }
    let running = tokio::task::block_in_place(|| open(settings, &place, None))
        .map_err(|error| error.to_string())?;
    let (stop, stopped) = watch::channel(false);
    let registry = running.registry.clone();
    let watching = tokio::spawn(async move {
        if let Err(error) = wait(&registry).await {
            tracing::warn!(%error, "signals are not heard");
            std::future::pending::<()>().await;
        }
        stop.send_replace(true);
    });
    let served = serve(running, stopped, |_| {})
        .await
        .map_err(|error: Error| error.to_string());
    watching.abort();
    served
}

/// Waits for the signal that ends the registry; SIGUSR1 makes it collect. SIGHUP, which others reload at, must not end it:
/// certificates and users are read again when they change, without being told.
async fn wait(registry: &hakone_registry_service::Registry) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut collect = signal(SignalKind::user_defined1())?;
    let mut reload = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = reload.recv() => tracing::info!("certificates and users are read again when they change"),
            _ = collect.recv() => {
                if let Err(error) = registry.collect().await {
                    tracing::warn!(%error, "collection failed");
                }
            }
        }
    }
}

async fn gc(files: &Files) -> Result<(), String> {
    let (mut settings, place) = files.settings()?;
    let state = place.state.clone();
    // Nobody is told of a collection, and nobody is asked behind.
    (settings.listeners, settings.cache) = (Vec::new(), None);
    let opened = tokio::task::block_in_place(|| open(settings, &place, None));
    match opened {
        Ok(running) => {
            let collected = running
                .registry
                .collect()
                .await
                .map_err(|error| error.to_string())?;
            say(&format!(
                "removed {} blobs ({} bytes), {} manifests, {} unused uploads of blobs, {} stale uploads",
                collected.blobs,
                collected.bytes,
                collected.manifests,
                collected.links,
                collected.uploads
            ))
        }
        Err(Error::Registry(hakone_registry_service::Error::Locked(_))) => ask(&state),
        Err(error) => Err(error.to_string()),
    }
}

/// Asks the registry that keeps the folder, whose number stands in its lock.
fn ask(state: &Path) -> Result<(), String> {
    let text = fs::read_to_string(state.join("lock")).map_err(|error| error.to_string())?;
    let pid = text
        .trim()
        .parse::<i32>()
        .ok()
        .filter(|pid| *pid > 1)
        .and_then(Pid::from_raw);
    let pid = pid.ok_or("the folder is in use, and it is not told by whom")?;
    kill_process(pid, Signal::USR1).map_err(|errno| errno.to_string())?;
    say(&format!(
        "asked the registry that is being served (process {}) to collect; see its log",
        pid.as_raw_nonzero()
    ))
}

async fn take_over(arguments: Import) -> Result<(), String> {
    let (mut settings, place) = arguments.files.settings()?;
    (settings.listeners, settings.cache) = (Vec::new(), None);
    let running = tokio::task::block_in_place(|| open(settings, &place, None))
        .map_err(|error| error.to_string())?;
    let folder = arguments.folder;
    let importing = tokio::task::spawn_blocking(move || import(&running.registry, &folder));
    let imported = importing
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    for one in &imported.left_out {
        say(&format!("left out: {one}"))?;
    }
    say(&format!(
        "imported {} repositories, {} blobs, {} manifests, {} tags; left out {}",
        imported.repositories,
        imported.blobs,
        imported.manifests,
        imported.tags,
        imported.left_out.len()
    ))
}

fn say(text: &str) -> Result<(), String> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{text}").map_err(|error| error.to_string())
}
