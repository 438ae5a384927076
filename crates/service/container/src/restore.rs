//! Brings the service to life after a daemon's end, whatever moment it was.
//!
//! Living supervisors are taken over; ended ones left `exit.json`; vanished ones left a cgroup to sweep. A folder
//! without a readable record is half a container and goes to the trash, unless its record is there but unreadable: that
//! one is somebody's data and stays, with a complaint.

use std::{fs, path::Path, sync::Arc};

use hakone_supervision::{Notice, Request};
use tracing::{info, warn};

use crate::{
    Error, NetworkMode, Restoration, VolumeRequest,
    container::Container,
    exit::{self, Next},
    inner::{Inner, blocking, now},
    link::Link,
    record::{FILE, Record},
    remove,
    restart::{self, Ended},
    state::State,
    supervise::read_exit,
};

impl Inner {
    /// Reads all records, takes over what runs, ends what does not, applies restart policies.
    pub(crate) async fn restore(self: &Arc<Self>) -> Result<(), Error> {
        let (containers, trash) = (self.containers(), self.trash());
        let records = blocking(move || load(&containers, &trash)).await?;
        for record in records {
            self.adopt(record).await;
        }
        for container in self.table.all() {
            self.revive(&container).await;
        }
        self.sweep_run_folders().await
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

    async fn revive(self: &Arc<Self>, container: &Arc<Container>) {
        match container.state() {
            State::Running | State::Paused | State::Created => self.take_over(container).await,
            State::Restarting => {
                let next = exit::policy(&container.record());
                if next == hakone_spec::RestartPolicy::No {
                    container.change(|record| record.state = State::Exited).ok();
                } else {
                    self.restart_now_later(container);
                }
            }
            State::Removing => {
                container.change(|record| record.state = State::Dead).ok();
                let (inner, of) = (Arc::clone(self), Arc::clone(container));
                tokio::spawn(async move { inner.remove(&of, Default::default()).await });
            }
            State::Exited => self.restart_if_wanted(container),
            State::Dead => (),
        }
    }

    /// Finds a container's supervisor. One of a container that was being started is told to undo its work.
    async fn take_over(self: &Arc<Self>, container: &Arc<Container>) {
        let state = container.state();
        let found = find(container).await;
        match (state, found) {
            (State::Created, Some((_, Some(pid)))) | (_, Some((_, Some(pid))))
                if state != State::Created || pid > 0 =>
            {
                self.resume(container, pid).await;
            }
            (State::Created, Some((_, None))) => {
                Link::ask(&container.run_folder, &Request::Abort).await.ok();
                self.bury_start(container).await;
            }
            (State::Created, _) => self.bury_start(container).await,
            (_, _) => self.bury(container).await,
        }
    }

    async fn bury_start(&self, container: &Arc<Container>) {
        if container.run_folder.exists() {
            let cgroup = self.cgroup(container);
            exit::swept(cgroup).await;
            self.undo(container).await;
        }
    }

    /// Goes on with a container that never stopped.
    async fn resume(self: &Arc<Self>, container: &Arc<Container>, pid: i32) {
        let Some(link) = watch(container).await else {
            return self.bury(container).await;
        };
        if let Err(error) = self.rewire(container, pid).await {
            warn!(container.id = %container.id, error = %error, "a running container lost its network");
        }
        container
            .change(|record| {
                record.run.pid = pid;
                if record.state == State::Created {
                    record.state = State::Running;
                    record.run.started = now();
                }
            })
            .ok();
        for mount in container.with(|record| record.mounts.clone()) {
            if let Some(name) = &mount.name {
                self.neighbours
                    .volumes
                    .mount(name, &container.id)
                    .await
                    .ok();
            }
        }
        info!(container.id = %container.id, pid, "container taken over");
        self.watch(container, link);
        self.probe_again(container).await;
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
        container.change(|record| record.sandbox = Some(sandbox))
    }

    /// Records the end of a container that ended while no daemon looked.
    async fn bury(self: &Arc<Self>, container: &Arc<Container>) {
        let exit = read_exit(&container.run_folder);
        let vanished = exit.is_none();
        let exit = exit.unwrap_or_else(crate::supervise::vanish);
        let next = self.take_in(container, exit, vanished).await;
        match next {
            Next::Remove => {
                let (inner, of) = (Arc::clone(self), Arc::clone(container));
                tokio::spawn(async move { inner.go_on(&of, next).await });
            }
            Next::Restart(_) => self.restart_now_later(container),
            Next::Rest => self.restart_if_wanted(container),
        }
    }

    /// Applies the restart policy to a container that does not run when the daemon starts.
    fn restart_if_wanted(self: &Arc<Self>, container: &Arc<Container>) {
        let wanted = container.with(|record| {
            let ended = Ended {
                code: record.run.exit_code,
                stopped: record.stopped,
                restarts: record.restarts,
            };
            restart::at_daemon_start(exit::policy(record), ended)
        });
        if wanted {
            container
                .change(|record| record.state = State::Restarting)
                .ok();
            self.restart_now_later(container);
        }
    }

    fn restart_now_later(self: &Arc<Self>, container: &Arc<Container>) {
        let (inner, of) = (Arc::clone(self), Arc::clone(container));
        tokio::spawn(async move { inner.restart_now(&of).await });
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
                exit::sweep(&cgroup);
                crate::joined::drop_shm(&folder);
                fs::remove_dir_all(&folder).ok();
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

/// Asks a supervisor what it has: nothing if there is none, no process if its program was never started.
async fn find(container: &Container) -> Option<(Link, Option<i32>)> {
    let mut link = watch(container).await?;
    let first = tokio::time::timeout(std::time::Duration::from_secs(2), link.notice()).await;
    match first {
        Ok(Ok(Some(Notice::Started { pid, .. }))) => Some((link, Some(pid))),
        Ok(Ok(Some(Notice::Oom | Notice::ExecExited { .. }))) => {
            let pid = container.with(|record| record.run.pid);
            Some((link, Some(pid).filter(|pid| *pid > 0)))
        }
        // It waits at its barrier and has nothing to tell.
        Err(_) => Some((link, None)),
        Ok(Ok(Some(Notice::Exited(_)) | None) | Err(_)) => None,
    }
}

async fn watch(container: &Container) -> Option<Link> {
    let mut link = Link::connect(&container.run_folder).await.ok()?;
    link.send(&Request::Watch).await.ok()?;
    Some(link)
}

/// Reads all records; half-made containers and what is left of removed ones go.
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
        match hakone_store::load::<Record>(&file) {
            Ok(record) => records.push(record),
            Err(error) => warn!(error = %error, "an unreadable container is left alone"),
        }
    }
    for entry in fs::read_dir(trash).map_err(Error::host("read", trash))? {
        remove::empty(&entry.map_err(Error::host("read", trash))?.path());
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::tests::record;

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
        let records = load(&containers, &trash).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].name.as_str(), "web");
        assert!(!containers.join("half").exists() && torn.exists());
        assert_eq!(fs::read_dir(&trash).unwrap().count(), 0);
    }
}
