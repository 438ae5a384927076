//! Brings the service to life after a daemon's end, whatever moment it was.
//!
//! Living supervisors are taken over; ended ones left `exit.json`; vanished ones left a cgroup to sweep. The record may
//! be one step behind: what the supervisor says counts. Only when all that runs has its addresses and ports back does
//! anything start again. A folder without a readable record is half a container and goes to the trash, unless its record
//! is there but unreadable: that one is somebody's data and stays, with a complaint.

use std::{fs, path::Path, sync::Arc, time::Duration};

use hakone_base::Timestamp;
use hakone_control::Link;
use hakone_supervision::{Exit, Notice, Request};
use tracing::{error, info, warn};

use crate::{
    Error, NetworkMode, Ports, RemoveOptions, Restoration, VolumeRequest,
    container::Container,
    exit::{self, Next},
    inner::{Inner, blocking},
    network,
    record::{FILE, Record},
    remove,
    restart::{self, Ended},
    run::Run,
    start::mounting,
    state::State,
    supervise::{drain, read_exit},
};

impl Inner {
    /// Reads all records, takes over what runs, ends what does not, applies restart policies.
    pub(crate) async fn restore(self: &Arc<Self>) -> Result<(), Error> {
        let (containers, trash) = (self.containers(), self.trash());
        let records = blocking(move || load(&containers, &trash)).await?;
        // Beside all else: a container makes trees that take their time.
        tokio::task::spawn_blocking({
            let trash = self.trash();
            move || remove::empty_all(&trash)
        });
        for record in records {
            self.adopt(record).await;
        }
        let mut after = Vec::new();
        for container in self.table.all() {
            let next = self.revive(&container).await;
            after.push((container, next));
        }
        self.sweep_run_folders().await?;
        for (container, next) in after {
            let inner = Arc::clone(self);
            tokio::spawn(async move { inner.follow(&container, next).await });
        }
        Ok(())
    }

    /// Puts a record into the table and claims its volumes.
    async fn adopt(&self, record: Record) {
        if let Err(error) = self.table.reserve(&record.name, &record.id) {
            warn!(container.id = %record.id, error = %error, "a container lost its name");
        }
        for mount in &record.mounts {
            let request = VolumeRequest {
                name: mount.name.clone(),
                ..VolumeRequest::default()
            };
            if mount.name.is_some()
                && let Err(error) = self.neighbours.volumes.claim(request, &record.id).await
            {
                warn!(container.id = %record.id, error = %error, "a container lost a volume");
            }
        }
        let container = Container::new(record, &self.config.data_root, &self.config.run_root);
        self.table.insert(Arc::new(container));
    }

    /// Brings a container to where it is: it runs, or nothing of its run is left.
    async fn revive(self: &Arc<Self>, container: &Arc<Container>) -> After {
        if let Some((link, found)) = find(container).await {
            match found {
                Some(found) => return self.resume(container, link, found).await,
                // It was being started by a daemon that is no more.
                None => dismiss(container, link).await,
            }
        }
        network::abandon_replugging(container).ok();
        match container.state() {
            State::Running | State::Paused => self.bury(container).await,
            State::Created | State::Exited | State::Restarting | State::Dead | State::Removing => {
                self.bury_start(container).await
            }
        }
    }

    /// Clears what a start left; one that got as far as an end has an exit that nobody took in.
    async fn bury_start(self: &Arc<Self>, container: &Arc<Container>) -> After {
        if !container.run_folder.exists() {
            return settled(container);
        }
        let finished = container.with(|record| record.run.finished);
        match read_exit(&container.run_folder) {
            Some(exit) if exit.at > finished => self.take_over_exit(container, exit, false).await,
            Some(_) => settled(container),
            None => {
                exit::swept(self.cgroup(container), container.run_folder.clone()).await;
                self.undo(container, Ports::Freed).await;
                settled(container)
            }
        }
    }

    /// Goes on with a container that never stopped.
    async fn resume(
        self: &Arc<Self>,
        container: &Arc<Container>,
        link: Link,
        found: Running,
    ) -> After {
        let pid = found.pid;
        self.ranges.adopt(&container.id, pid);
        if let Err(error) = self.rewire(container, pid).await {
            warn!(container.id = %container.id, error = %error, "a running container lost its network");
        }
        container.change(|record| found.correct(record)).ok();
        for mount in container.with(|record| record.mounts.clone()) {
            if let Some(mounting) = mounting(&container.id, &mount) {
                self.neighbours.volumes.take_up(mounting).await.ok();
            }
        }
        info!(container.id = %container.id, pid, "container taken over");
        self.watch(container, link);
        self.probe_again(container).await;
        After::Rest
    }

    async fn probe_again(self: &Arc<Self>, container: &Arc<Container>) {
        let record = container.record();
        let image = self.neighbours.images.resolve(record.image.as_str()).await;
        let spec = image
            .ok()
            .and_then(|image| self.parse(&record, &image.config).ok());
        self.probe(container, spec.and_then(|spec| spec.health));
    }

    async fn rewire(&self, container: &Arc<Container>, pid: i32) -> Result<(), Error> {
        let record = container.record();
        let Some(sandbox) = record.sandbox.clone() else {
            return Ok(());
        };
        let image = self
            .neighbours
            .images
            .resolve(record.image.as_str())
            .await?;
        let spec = self.parse(&record, &image.config)?;
        let request = self.sandbox_request(&record, &spec)?;
        if matches!(request.mode, NetworkMode::Container(_)) {
            return Ok(());
        }
        let held = match Link::connect(&container.run_folder).await {
            Ok(mut link) => link.held().await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let running = Restoration {
            request,
            pid,
            sandbox,
            held,
        };
        let sandbox = self.neighbours.networks.restore(running).await?;
        container.change(|record| record.sandbox = Some(sandbox))?;
        self.finish_replugging(container, pid).await
    }

    /// Records the end of a container that ended while no daemon looked.
    async fn bury(self: &Arc<Self>, container: &Arc<Container>) -> After {
        let exit = read_exit(&container.run_folder);
        let vanished = exit.is_none();
        let exit = exit.unwrap_or_else(crate::supervise::vanish);
        self.take_over_exit(container, exit, vanished).await
    }

    async fn take_over_exit(
        self: &Arc<Self>,
        container: &Arc<Container>,
        exit: Exit,
        vanished: bool,
    ) -> After {
        match self.take_in(container, exit, vanished).await {
            Next::Remove | Next::Rest => settled(container),
            Next::Restart(_) => After::Restart,
        }
    }

    async fn follow(self: &Arc<Self>, container: &Arc<Container>, after: After) {
        match after {
            After::Rest => (),
            After::Restart => self.restart_now(container).await,
            After::Remove { volumes } => self.remove_again(container, volumes).await,
        }
    }

    async fn remove_again(self: &Arc<Self>, container: &Arc<Container>, volumes: bool) {
        let options = RemoveOptions {
            volumes,
            ..RemoveOptions::default()
        };
        if let Err(error) = self.remove(container, options).await {
            warn!(container.id = %container.id, error = %error, "a container was not removed");
        }
    }

    /// Ends what has a run folder and no record: the container was removed while its supervisor still went.
    async fn sweep_run_folders(&self) -> Result<(), Error> {
        let root = self.config.run_root.join("containers");
        for entry in fs::read_dir(&root).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let known = name
                .to_str()
                .is_some_and(|id| self.table.lookup(id).is_ok());
            if known {
                continue;
            }
            let folder = entry.path();
            Link::ask(&folder, &Request::Signal { number: 9 })
                .await
                .ok();
            Link::ask(&folder, &Request::Abort).await.ok();
            let cgroup = format!(
                "/{}/{}",
                self.config.cgroup_parent.trim_matches('/'),
                name.to_string_lossy()
            );
            blocking(move || {
                exit::sweep(&cgroup, &folder);
                crate::joined::drop_shm(&folder);
                fs::remove_dir_all(&folder).ok();
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

/// How long a supervisor may take to say that its program runs.
const ANSWER: Duration = Duration::from_secs(2);
/// How long one may take to undo its work.
const FAREWELL: Duration = Duration::from_secs(10);

/// What follows when all that runs was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Nothing.
    Rest,
    /// Another run.
    Restart,
    /// Removal.
    Remove {
        /// With its anonymous volumes.
        volumes: bool,
    },
}

/// Decides what becomes of a container that does not run when the daemon starts.
fn settled(container: &Container) -> After {
    let (state, next) = container.with(|record| (record.state, after(record)));
    let to = match (state, next) {
        (State::Restarting, After::Rest) => State::Exited,
        (_, After::Restart) => State::Restarting,
        (State::Removing, _) => State::Dead,
        (state, _) => state,
    };
    let is_true = container.with(|record| record.state == to && record.sandbox.is_none());
    if !is_true {
        let correct = |record: &mut Record| (record.state, record.sandbox) = (to, None);
        container.change(correct).ok();
    }
    next
}

fn after(record: &Record) -> After {
    let ended = Ended {
        code: record.run.exit_code,
        stopped: record.stopped,
        restarts: record.restarts,
    };
    match record.state {
        State::Removing => After::Remove {
            volumes: record.volumes_go,
        },
        State::Exited if record.auto_remove() => After::Remove { volumes: true },
        State::Exited | State::Restarting
            if restart::at_daemon_start(exit::policy(record), ended) =>
        {
            After::Restart
        }
        State::Restarting
        | State::Exited
        | State::Created
        | State::Dead
        | State::Running
        | State::Paused => After::Rest,
    }
}

/// A process that goes on.
#[derive(Clone, Copy, Debug)]
struct Running {
    pid: i32,
    at: Timestamp,
}

impl Running {
    /// Makes a record that was written before the start say what came of it.
    fn correct(self, record: &mut Record) {
        record.run.pid = self.pid;
        if !record.state.has_process() {
            record.state = State::Running;
            record.stopped = false;
            record.run = Run {
                pid: self.pid,
                started: self.at,
                finished: record.run.finished,
                ..Run::default()
            };
        }
    }
}

/// Asks a supervisor what it has: nothing if there is none, no process if its program was never started.
async fn find(container: &Container) -> Option<(Link, Option<Running>)> {
    let mut link = watch(container).await?;
    loop {
        match tokio::time::timeout(ANSWER, link.notice()).await {
            Ok(Ok(Some(Notice::Started { pid, at }))) => {
                return Some((link, Some(Running { pid, at })));
            }
            Ok(Ok(Some(Notice::Oom | Notice::ExecExited { .. }))) => (),
            // It waits at its barrier and has nothing to tell.
            Err(_) => return Some((link, None)),
            Ok(Ok(Some(Notice::Exited(_)) | None) | Err(_)) => return None,
        }
    }
}

/// Lets a supervisor undo what it made, and waits for its end.
async fn dismiss(container: &Container, link: Link) {
    Link::ask(&container.run_folder, &Request::Abort).await.ok();
    tokio::time::timeout(FAREWELL, drain(link)).await.ok();
}

async fn watch(container: &Container) -> Option<Link> {
    let mut link = Link::connect(&container.run_folder).await.ok()?;
    link.send(&Request::Watch).await.ok()?;
    Some(link)
}

/// Reads all records; half-made containers go to what is left of removed ones.
fn load(containers: &Path, trash: &Path) -> Result<Vec<Record>, Error> {
    for folder in [containers, trash] {
        fs::create_dir_all(folder).map_err(Error::host("make", folder))?;
    }
    let mut records = Vec::new();
    for entry in fs::read_dir(containers).map_err(Error::host("read", containers))? {
        let folder = entry.map_err(Error::host("read", containers))?.path();
        let file = folder.join(FILE);
        if !file.exists() {
            warn!(path = %folder.display(), "a half-made container is removed");
            let name = folder.file_name().unwrap_or_default();
            fs::rename(&folder, trash.join(name)).ok();
            continue;
        }
        hakone_store::discard_all_torn(&folder);
        match hakone_store::load::<Record>(&file) {
            Ok(record) => records.push(record),
            Err(error) => error!(error = %error, "an unreadable container is left alone"),
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture::record;

    #[test]
    fn half_made_containers_go_and_unreadable_ones_stay() {
        let root = tempfile::tempdir().unwrap();
        let (containers, trash) = (root.path().join("containers"), root.path().join("trash"));
        for name in ["good", "half/upper", "torn"] {
            fs::create_dir_all(containers.join(name)).unwrap();
        }
        record(1, "web").save(&containers.join("good")).unwrap();
        let torn = containers.join("torn").join(FILE);
        hakone_store::write_atomic(&torn, b"{", hakone_store::Durability::Process).unwrap();
        let killed = containers.join("good/.container.json.new");
        hakone_store::write_atomic(&killed, b"{", hakone_store::Durability::Process).unwrap();
        let records = load(&containers, &trash).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].name.as_str(), "web");
        assert!(!containers.join("half").exists() && torn.exists() && !killed.exists());
        assert_eq!(fs::read_dir(&trash).unwrap().count(), 1);
        remove::empty_all(&trash);
        assert_eq!(fs::read_dir(&trash).unwrap().count(), 0);
    }
}
