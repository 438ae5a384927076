//! Starts containers: sandbox, bundle, supervisor and wiring side by side, waiting clients, go; or all of it undone.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hakone_base::ContainerId;
use hakone_control::{Link, LinkError};
use hakone_runtime_spec::{Mappings, Netns};
use hakone_spec::{Capability, ContainerSpec, Create, Defaults, UserMode};
use hakone_supervision::{FailureKind, Reply, Request};
use rustix::process::{Pid, Signal, kill_process};
use tracing::{info, warn};

use crate::{
    Error, Launch, Mounting, NetworkMode, Ports, Prepared, Sandbox,
    bundle::{self, Plan},
    container::{Container, hold},
    error::lost,
    health::Health,
    inner::{Inner, blocking, now},
    joined,
    record::{Mount, MountKind, Record},
    run::Run,
    sandbox::hostname,
    state::State,
    supervise::drain,
};

/// What stands before the runtime's own words, since clients look for it.
const PREFIX: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";
/// Time that an aborted supervisor gets to undo its work before it is killed.
const ABORTING: Duration = Duration::from_secs(10);

/// Who starts a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The user: restarts are counted anew, a manual stop is forgotten.
    User,
    /// The restart policy.
    Policy,
}

/// A container that runs.
struct Started {
    pid: i32,
    sandbox: Option<Sandbox>,
    link: Link,
    spec: ContainerSpec,
}

impl Inner {
    /// Starts a container on the user's wish.
    pub(crate) async fn start(self: &Arc<Self>, container: &Arc<Container>) -> Result<(), Error> {
        let operation = container.operation.lock().await;
        container.state().may_start(&container.id)?;
        let started = self.start_held(container, Cause::User).await;
        drop(operation);
        // A container with --rm goes too if it never ran: its client waits for the removal.
        if started.is_err() && container.with(Record::auto_remove) {
            self.auto_remove(container).await;
        }
        started
    }

    /// Starts a container whose operation lock the caller holds.
    pub(crate) async fn start_held(
        self: &Arc<Self>,
        container: &Arc<Container>,
        cause: Cause,
    ) -> Result<(), Error> {
        container.await_gone().await;
        // Boxed: the largest part of the work, and a guest in every future above.
        match Box::pin(self.launch(container)).await {
            Ok(started) => self.record_start(container, started, cause),
            Err(error) => {
                self.undo(container, Ports::Freed).await;
                hold(&container.pending).clear();
                record_failure(container, &error)?;
                Err(error)
            }
        }
    }

    fn record_start(
        self: &Arc<Self>,
        container: &Arc<Container>,
        started: Started,
        cause: Cause,
    ) -> Result<(), Error> {
        let saved = container.change(|record| {
            record.state = State::Running;
            record.run = Run {
                pid: started.pid,
                started: now(),
                finished: record.run.finished,
                ..Run::default()
            };
            record.stopped = false;
            record.sandbox = started.sandbox;
            record.health = started.spec.health.as_ref().map(|_| Health::default());
            if cause == Cause::User {
                record.restarts = 0;
            }
        });
        info!(container.id = %container.id, pid = started.pid, "container started");
        self.announce(container, "start", &[]);
        self.probe(container, started.spec.health);
        self.watch(container, started.link);
        saved
    }

    async fn launch(self: &Arc<Self>, container: &Arc<Container>) -> Result<Started, Error> {
        let record = container.record();
        let images = &self.neighbours.images;
        let image = images.resolve(record.image.as_str()).await?;
        let spec = self.parse(&record, &image.config)?;
        let request = self.sandbox_request(&record, &spec)?;
        let mode = request.mode.clone();
        let prepared = match &mode {
            NetworkMode::Container(_) => None,
            NetworkMode::Networks | NetworkMode::Host | NetworkMode::None => {
                Some(self.neighbours.networks.prepare(request).await?)
            }
        };
        let empty = self.mount_volumes(&record).await?;
        let shown = self.shown_images(&record).await?;
        let mut plan = self.plan(container, record, spec, &mode)?;
        (plan.layers, plan.empty, plan.images) = (image.layers, empty, shown);
        plan.etc = prepared.as_ref().map(|prepared| prepared.etc.clone());
        self.run(container, plan, prepared).await
    }

    /// Gives what a request falls back to. What the engine makes for itself, as the steps of builds are, is not hardened and
    /// has Docker's capabilities: packages are installed with `chroot` and `mknod`.
    pub(crate) fn defaults_of(&self, engine: bool) -> Cow<'_, Defaults> {
        match engine {
            false => Cow::Borrowed(&self.defaults),
            true => Cow::Owned(Defaults {
                hardened: false,
                capabilities: Capability::docker_defaults(),
                ..self.defaults.clone()
            }),
        }
    }

    /// Derives the specification again; it was checked when the container was made.
    pub(crate) fn parse(
        &self,
        record: &Record,
        image: &hakone_engine_api::wire::ImageConfig,
    ) -> Result<ContainerSpec, Error> {
        let create = Create {
            config: &record.asked,
            host: &record.host,
            image,
        };
        Ok(ContainerSpec::parse(&create, &self.defaults_of(record.engine))?.0)
    }

    /// Makes the volumes' files reachable; gives the destinations of those still empty.
    async fn mount_volumes(&self, record: &Record) -> Result<Vec<String>, Error> {
        let mut empty = Vec::new();
        for mount in &record.mounts {
            if let Some(mounting) = mounting(&record.id, mount)
                && self.neighbours.volumes.mount(mounting).await?
            {
                empty.push(mount.destination.clone());
            }
        }
        Ok(empty)
    }

    /// Finds the layers of the images that it shows besides its own, by destination.
    async fn shown_images(&self, record: &Record) -> Result<BTreeMap<String, Vec<PathBuf>>, Error> {
        let mut shown = BTreeMap::new();
        for mount in &record.mounts {
            if mount.kind == MountKind::Image {
                let image = self.neighbours.images.resolve(&mount.source).await?;
                shown.insert(mount.destination.clone(), image.layers);
            }
        }
        Ok(shown)
    }

    fn plan(
        &self,
        container: &Container,
        record: Record,
        spec: ContainerSpec,
        mode: &NetworkMode,
    ) -> Result<Plan, Error> {
        let (network, etc_folder) = match mode {
            NetworkMode::Host => (Netns::Host, container.folder.clone()),
            NetworkMode::Networks | NetworkMode::None => (Netns::New, container.folder.clone()),
            NetworkMode::Container(other) => {
                let path = self.namespace(other.as_str(), "network", "net")?;
                let folder = self.table.lookup(other.as_str())?.folder.clone();
                (Netns::Path(path), folder)
            }
        };
        // Whoever shares a network is called by one name: the file in `/etc` is shared too.
        let hostname = match mode {
            NetworkMode::Container(other) => match bundle::hostname(&etc_folder)? {
                Some(name) => name,
                None => self.table.lookup(other.as_str())?.id.short().to_owned(),
            },
            NetworkMode::Host | NetworkMode::Networks | NetworkMode::None => {
                hostname(&record, &spec)
            }
        };
        Ok(Plan {
            hostname,
            joined: self.joined(&spec)?,
            shm: self.shm(container, &spec)?,
            cgroup: self.cgroup(container),
            host: self.facts.clone(),
            layers: Vec::new(),
            empty: Vec::new(),
            images: BTreeMap::new(),
            etc: None,
            mappings: self.mappings(&record.id, &spec)?,
            shifted: self.shifted(&record, &spec),
            bounded: self.is_bounded(&record, &spec),
            etc_folder,
            network,
            spec,
            record,
        })
    }

    /// Gives the maps of a container with ids of its own.
    fn mappings(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Option<Mappings>, Error> {
        if spec.namespaces.user == UserMode::Host {
            return Ok(None);
        }
        let mut joins = spec.namespaces.joins();
        let other = joins.find_map(|typed| self.table.lookup(typed).ok());
        let maps = self
            .ranges
            .take(id, other.as_ref().map(|other| &other.id))?;
        Ok(Some(maps))
    }

    /// Finds what a container with ids of its own sees with those: its volumes, and sockets that were made for containers. Folders
    /// of the host keep their owners.
    fn shifted(&self, record: &Record, spec: &ContainerSpec) -> Vec<PathBuf> {
        let granted = &self.defaults.guarded.granted;
        let is_its_own = |mount: &&Mount| match (&mount.kind, &mount.name) {
            (MountKind::Volume, Some(name)) => !self.neighbours.volumes.is_of_host(name),
            (MountKind::Bind, _) => granted
                .iter()
                .any(|socket| socket == Path::new(&mount.source)),
            _ => false,
        };
        let mapped = spec.namespaces.user == UserMode::Remapped;
        let found = record.mounts.iter().filter(|_| mapped).filter(is_its_own);
        found.map(|mount| PathBuf::from(&mount.source)).collect()
    }

    /// Reports whether the file system bounds what some of its files take: its own, or those of a volume.
    fn is_bounded(&self, record: &Record, spec: &ContainerSpec) -> bool {
        let mut volumes = record.mounts.iter().filter_map(|mount| match mount.kind {
            MountKind::Volume => mount.name.as_deref(),
            _ => None,
        });
        spec.storage.is_some() || volumes.any(|name| self.neighbours.volumes.is_bounded(name))
    }

    /// Starts the supervisor while the network is wired, then lets the program go.
    async fn run(
        self: &Arc<Self>,
        container: &Arc<Container>,
        plan: Plan,
        prepared: Option<Prepared>,
    ) -> Result<Started, Error> {
        let (namespace, held, wiring) = match prepared {
            Some(prepared) => (prepared.namespace, prepared.held, Some(prepared.wiring)),
            None => (None, Vec::new(), None),
        };
        let (inner, of) = (Arc::clone(self), Arc::clone(container));
        let spawning = blocking(move || inner.spawn(&of, plan, namespace));
        let wiring = async {
            match wiring {
                Some(wiring) => wiring.await.map(Some),
                None => Ok(None),
            }
        };
        let (spawned, wired) = tokio::join!(spawning, wiring);
        let (supervisor, spec) = spawned?;
        let go = async {
            let sandbox = wired?;
            // Before the program runs: should we die right after, the next daemon needs it to take the container over.
            container.change(|record| record.sandbox.clone_from(&sandbox))?;
            let (pid, link) = self.go(container, &held).await?;
            Ok((pid, link, sandbox))
        };
        match go.await {
            Ok((pid, link, sandbox)) => Ok(Started {
                pid,
                sandbox,
                link,
                spec,
            }),
            Err(error) => {
                abort(container, supervisor).await;
                Err(error)
            }
        }
    }

    /// Writes the bundle and starts the supervisor. Blocks.
    fn spawn(
        &self,
        container: &Container,
        plan: Plan,
        namespace: Option<std::os::fd::OwnedFd>,
    ) -> Result<(u32, ContainerSpec), Error> {
        let order = bundle::write(&plan, container, self)?;
        joined::ensure_shm(container, &plan.spec)?;
        let listener = hakone_control::listen(&container.run_folder)
            .map_err(Error::host("listen in", &container.run_folder))?;
        let complaints = fs::File::create(container.run_folder.join("supervisor.log")).ok();
        let launch = Launch {
            order,
            listener,
            namespace,
            complaints: complaints.map(Into::into),
        };
        let launched = self.neighbours.launcher.launch(launch);
        let pid = launched.map_err(Error::host("start the supervisor of", &container.folder))?;
        container.supervised.send_replace(true);
        Ok((pid, plan.spec))
    }

    /// Connects who waits, then starts the program.
    async fn go(
        &self,
        container: &Container,
        held: &[std::os::fd::OwnedFd],
    ) -> Result<(i32, Link), Error> {
        let folder = &container.run_folder;
        let mut watch = Link::connect(folder).await.map_err(lost)?;
        watch.send(&Request::Watch).await.map_err(lost)?;
        let pending = std::mem::take(&mut *hold(&container.pending));
        for client in pending {
            client.connect(folder).await?;
        }
        if !held.is_empty() {
            let mut link = Link::connect(folder).await.map_err(lost)?;
            link.hold(held).await.map_err(lost)?;
        }
        match Link::ask(folder, &Request::Start).await.map_err(lost)? {
            Reply::Started { pid, warnings } => {
                for warning in warnings {
                    warn!(container.id = %container.id, warning, "a container goes without");
                }
                Ok((pid, watch))
            }
            Reply::Failed { kind, message } => Err(failure(kind, &message)),
            Reply::Ok | Reply::ExecStarted { .. } | Reply::Held { .. } => {
                Err(Error::Supervisor("the supervisor misunderstood".into()))
            }
        }
    }

    /// Gives back what a run of the container had outside its supervisor; idempotent.
    pub(crate) async fn undo(&self, container: &Container, ports: Ports) {
        self.ranges.give_back(&container.id);
        self.neighbours.networks.release(&container.id, ports).await;
        for mount in container.with(|record| record.mounts.clone()) {
            if let Some(name) = &mount.name {
                self.neighbours.volumes.unmount(name, &container.id).await;
            }
        }
        joined::drop_shm(&container.run_folder);
    }
}

/// Says which volume a mount asks for, if it is one.
pub(crate) fn mounting<'a>(container: &'a ContainerId, mount: &'a Mount) -> Option<Mounting<'a>> {
    Some(Mounting {
        name: mount.name.as_deref()?,
        container,
        destination: &mount.destination,
        writable: mount.writable,
    })
}

/// Reports whether a user or group was not found in the image: what Docker finds out before it asks the runtime.
pub(crate) fn is_of_image(message: &str) -> bool {
    message.ends_with("no matching entries in passwd file")
        || message.ends_with("no matching entries in group file")
}

/// Puts a failure into the words that clients look for: what is a directory is told to be forbidden as well.
pub(crate) fn told(prefix: &str, message: &str) -> String {
    match message {
        message if is_of_image(message) => message.to_owned(),
        message if message.ends_with(": is a directory") => {
            format!("{prefix}{message}: unknown: permission denied")
        }
        message => format!("{prefix}{message}: unknown"),
    }
}

/// Gives the working directory that is none: Docker finds out before it asks the runtime.
fn no_directory(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("chdir to cwd (\"")?;
    rest.strip_suffix("\") set in config.json failed: not a directory")
}

fn failure(kind: FailureKind, message: &str) -> Error {
    Error::Start {
        message: match no_directory(message) {
            Some(path) => format!("Cannot mkdir: {path} is not a directory"),
            None => told(PREFIX, message),
        },
        code: match kind {
            FailureKind::NotFound => 127,
            FailureKind::Permission => 126,
            FailureKind::Other => 128,
        },
    }
}

/// Keeps the failure where inspect finds it; the container stays as it was, or ends if it waited for a restart.
fn record_failure(container: &Container, error: &Error) -> Result<(), Error> {
    let code = match error {
        Error::Start { code, .. } => *code,
        _ => 128,
    };
    container.change(|record| {
        record.run.exit_code = code;
        record.run.error = error.to_string();
        record.run.pid = 0;
        record.sandbox = None;
        if record.state == State::Restarting {
            record.state = State::Exited;
        }
    })
}

/// Lets a supervisor undo its work and waits for its end; one that does not go is killed.
async fn abort(container: &Container, supervisor: u32) {
    let farewell = async {
        let mut link = Link::connect(&container.run_folder).await?;
        link.send(&Request::Abort).await?;
        drain(link).await;
        Ok::<_, LinkError>(())
    };
    if tokio::time::timeout(ABORTING, farewell).await.is_err() {
        warn!(container.id = %container.id, "a supervisor had to be killed");
        // It held our connection a moment ago: the number is still its own.
        let pid = i32::try_from(supervisor).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::KILL).ok();
        }
    }
    container.supervised.send_replace(false);
}
