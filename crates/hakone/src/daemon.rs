//! `hakone daemon`: opens the services in their order, serves, and closes them in reverse.
//!
//! Crash-only: nothing here is needed to end well. A stopped daemon leaves its containers running (live restore) and
//! the next one finds everything in the store, the run folder and the kernel.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use hakone_http::{Door, Gate, Listener};
use hakone_store::{Durability, write_atomic};
use rustix::fs::{FlockOperation, flock};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing::{error, info, warn};

use crate::{
    bounds, compose, logging,
    resolve::{Resolved, resolve},
    rest,
    settings::{self, Files, Settings},
};

/// How long to wait for the lock on the data root before another daemon must be thought to have it.
const LOCK: Duration = Duration::from_secs(1);

/// The arguments of `hakone daemon`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    files: Files,
    /// Check the configuration and exit
    #[arg(long)]
    validate: bool,
}

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Settings(#[from] settings::Error),
    #[error("hakone daemon needs root: start it as root or with sudo")]
    Root,
    #[error("another daemon uses {0}")]
    Locked(PathBuf),
    #[error("could not use {path}: {source}")]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Listen(#[from] hakone_http::ListenError),
    #[error(transparent)]
    Metrics(#[from] hakone_http::MetricsError),
    #[error("could not start: {0}")]
    Compose(#[from] compose::Error),
    #[error("could not start the runtime: {0}")]
    Runtime(io::Error),
}

/// How long open requests may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);

/// Runs the daemon until a signal ends it.
pub(crate) fn main(arguments: &Arguments) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the log may not run yet, and the terminal is where the user looks"
)]
fn complain(error: &dyn std::error::Error) {
    eprintln!("hakone: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        eprintln!("  because: {inner}");
        cause = inner.source();
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let (settings, remarks) = settings::gather(&arguments.settings, &arguments.files)?;
    let resolved = resolve(settings)?;
    if arguments.validate {
        compose::check(&resolved)?;
        report(&remarks);
        return Ok(());
    }
    logging::start(&resolved.log_level, resolved.log_form);
    for remark in remarks {
        warn!(remark, "a key of daemon.json has no effect of its own");
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Error::Root);
    }
    let _lock = prepare(&resolved)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(
            std::thread::available_parallelism()
                .map_or(2, usize::from)
                .min(8),
        )
        .thread_stack_size(1 << 20)
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let served = runtime.block_on(serve(resolved));
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

#[expect(clippy::print_stdout, reason = "the answer of --validate")]
fn report(remarks: &[String]) {
    for remark in remarks {
        println!("note: {remark}");
    }
    println!("configuration OK");
}

/// Makes the folders and takes the lock that keeps a second daemon off the same data.
fn prepare(resolved: &Resolved) -> Result<File, Error> {
    private_folder(&resolved.data_root, NOBODY_ELSE)?;
    private_folder(&resolved.exec_root, PASSAGE)?;
    let path = resolved.data_root.join("lock");
    let folder = |source| Error::Folder {
        path: path.clone(),
        source,
    };
    let lock = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(folder)?;
    // A child of a killed daemon has the lock too, until it becomes its own program.
    let start = std::time::Instant::now();
    loop {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if start.elapsed() < LOCK => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(Error::Locked(resolved.data_root.clone()));
            }
            locked => break locked.map_err(|errno| folder(errno.into()))?,
        }
    }
    let pid = format!("{}\n", std::process::id());
    write_atomic(&resolved.pidfile, pid.as_bytes(), Durability::Process).map_err(|source| {
        Error::Folder {
            path: resolved.pidfile.clone(),
            source,
        }
    })?;
    Ok(lock)
}

/// For files: images and containers make set-user-id programs, which no user of the host is to start (CVE-2021-41091).
const NOBODY_ELSE: u32 = 0o710;

/// For sockets, which have modes of their own: others may pass through but not look around.
const PASSAGE: u32 = 0o711;

fn private_folder(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(|source| Error::Folder {
            path: path.to_owned(),
            source,
        })
}

async fn serve(resolved: Resolved) -> Result<(), Error> {
    // A way in that cannot be opened is said before anything of the host is touched.
    let mut doors = listen(&resolved).await?;
    let registry = compose::open_registry(&resolved)?;
    bounds::lift();
    let services = Arc::new(compose::open(&resolved, registry.as_ref()).await?);
    let mut compatible = resolved.docker_socket.clone();
    if let Some(path) = compatible.take() {
        let opened = listen_for_docker(&resolved, &path).await;
        compatible = (!opened.is_empty()).then_some(path);
        doors.extend(behind(&Arc::new(Gate::open("docker.sock")), opened));
    }
    let (stop, stopped) = watch::channel(false);
    if let Some(address) = resolved.metrics {
        let served = hakone_http::serve_metrics(address, Arc::clone(&services), stopped.clone());
        info!(address = %served.await?, "serving metrics");
    }
    let serving_registry = match registry {
        Some(running) => Some(serve_registry(running, &stopped).await?),
        None => None,
    };
    // Before anyone learns that we are ready, and may stop us.
    let ends = Ends::catch().map_err(Error::Runtime)?;
    notify(&[sd_notify::NotifyState::Ready]);
    info!(data_root = %resolved.data_root.display(), "ready");
    let serving = tokio::spawn(hakone_http::serve(
        doors,
        Arc::clone(&services),
        stopped,
        GRACE,
    ));
    let resting = tokio::spawn(rest::watch());
    let reason = ends.wait().await;
    resting.abort();
    notify(&[sd_notify::NotifyState::Stopping]);
    info!(
        signal = reason,
        live_restore = resolved.live_restore,
        "stopping"
    );
    stop.send_replace(true);
    serving.await.ok();
    if let Some(serving) = serving_registry {
        serving.await.ok();
    }
    compose::close(&services, &resolved).await;
    remove_own(&resolved);
    if let Some(path) = compatible {
        fs::remove_file(path).ok();
    }
    Ok(())
}

/// Serves the registry, and waits until it answers or cannot.
async fn serve_registry(
    running: hakone_registry_http::Running,
    stopped: &watch::Receiver<bool>,
) -> Result<tokio::task::JoinHandle<()>, Error> {
    let (said, heard) = tokio::sync::oneshot::channel();
    let stopped = stopped.clone();
    let (failed, failure) = tokio::sync::oneshot::channel();
    let serving = tokio::spawn(async move {
        let ready = move |_: &[std::net::SocketAddr]| said.send(()).unwrap_or_default();
        if let Err(error) = hakone_registry_http::serve(running, stopped, ready).await {
            drop(failed.send(error));
        }
    });
    match heard.await {
        Ok(()) => Ok(serving),
        Err(_) => match failure.await {
            Ok(error) => Err(compose::Error::from(error).into()),
            Err(_) => Ok(serving),
        },
    }
}

async fn listen(resolved: &Resolved) -> Result<Vec<Door>, Error> {
    let mut doors = Vec::new();
    for address in &resolved.addresses {
        let opened = hakone_http::listen(address, resolved.access, resolved.tls.as_ref()).await?;
        info!(?address, "listening");
        let gate = Arc::new(Gate::open(format!("{address:?}")));
        doors.extend(behind(&gate, opened));
    }
    for scoped in &resolved.sockets {
        let address = hakone_http::Address::Unix(scoped.path.clone());
        let opened = hakone_http::listen(&address, scoped.access, None).await?;
        info!(path = %scoped.path.display(), role = scoped.gate.grant.name(), "listening");
        doors.extend(behind(&scoped.gate, opened));
    }
    Ok(doors)
}

fn behind(gate: &Arc<Gate>, listeners: Vec<Listener>) -> impl Iterator<Item = Door> {
    let with = |listener| (listener, Arc::clone(gate));
    listeners.into_iter().map(with)
}

/// Opens the socket that Docker's clients look for, if nobody else answers there.
async fn listen_for_docker(resolved: &Resolved, path: &Path) -> Vec<Listener> {
    let address = hakone_http::Address::Unix(path.to_owned());
    match hakone_http::listen(&address, resolved.access, None).await {
        Ok(listeners) => {
            info!(path = %path.display(), "listening for Docker's clients");
            listeners
        }
        Err(error) => {
            warn!(%error, "Docker's clients will not find this daemon by themselves");
            Vec::new()
        }
    }
}

/// The signals that end the daemon; caught from the moment this exists.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Tells systemd; without systemd nobody listens, which is fine.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        error!(%error, "could not notify systemd");
    }
}

fn remove_own(resolved: &Resolved) {
    fs::remove_file(&resolved.pidfile).ok();
    for address in &resolved.addresses {
        if let hakone_http::Address::Unix(path) = address {
            fs::remove_file(path).ok();
        }
    }
    for scoped in &resolved.sockets {
        fs::remove_file(&scoped.path).ok();
    }
}
