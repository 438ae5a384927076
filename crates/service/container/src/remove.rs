//! Removes containers: out of sight at once, their files in the background.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use hakone_base::{ContainerId, EventKind, Timestamp};
use hakone_engine_api::Filters;
use hakone_mount::remove_tree;
use hakone_quota::Projects;
use tracing::{info, warn};

use crate::{
    Error, Pruned, RemoveOptions,
    container::{Container, hold},
    inner::{Inner, blocking, now},
    record::{Mount, Record},
    size,
    state::State,
};

/// Time a killed container gets before its removal fails.
const DYING: Duration = Duration::from_secs(20);

impl Inner {
    /// Removes a container.
    pub(crate) async fn remove(
        self: &Arc<Self>,
        container: &Arc<Container>,
        options: RemoveOptions,
    ) -> Result<(), Error> {
        if options.force && container.state().is_running() {
            self.kill_for_removal(container).await?;
        }
        let operation = container.operation.lock().await;
        let name = container.with(|record| record.name.to_string());
        if container.changes().borrow().removed {
            return Err(Error::NotFound(name));
        }
        container.state().may_remove(&name)?;
        container.turn(State::Removing);
        match self.dispose(container, options).await {
            Ok(()) => {
                self.table.remove(&container.id);
                info!(container.id = %container.id, "container removed");
                self.announce(container, "destroy", &[]);
                container.gone();
                drop(operation);
                Ok(())
            }
            Err(error) => {
                container.change(|record| record.state = State::Dead).ok();
                Err(error)
            }
        }
    }

    async fn kill_for_removal(self: &Arc<Self>, container: &Arc<Container>) -> Result<(), Error> {
        // What cannot be recorded is done all the same: a full disk must not keep anything running.
        container.change(|record| record.stopped = true).ok();
        if container.state() == State::Restarting {
            let _operation = container.operation.lock().await;
            // The restart may have held the lock: then it runs now, and is killed like any other.
            if !container.state().has_process() {
                return self.give_up_restart(container);
            }
        }
        match self.kill(container, None).await {
            // Ended by itself meanwhile.
            Err(Error::Conflict(_)) | Ok(()) => (),
            Err(error) => return Err(error),
        }
        match container.await_exit(Some(DYING)).await {
            true => Ok(()),
            false => self.kill_harder(container).await,
        }
    }

    /// Takes a link of another container away: `/web/db` names what web knows as db. It ends with the present run of web.
    pub(crate) async fn unlink(&self, typed: &str) -> Result<(), Error> {
        let name = typed.trim_start_matches('/');
        let Some((parent, alias)) = name.rsplit_once('/') else {
            self.table.lookup(typed)?;
            return Err(Error::Conflict(
                "Conflict, cannot remove the default link name of the container".to_owned(),
            ));
        };
        let parent = self.table.lookup(parent)?;
        let _operation = parent.operation.lock().await;
        let known_as = |link: &String| link.rsplit(':').next() == Some(alias);
        let linked = parent.with(|record| record.host.links.iter().flatten().any(known_as));
        if !linked {
            return Err(Error::NotFound(typed.to_owned()));
        }
        parent.change(|record| {
            if let Some(links) = &mut record.host.links {
                links.retain(|link| !known_as(link));
            }
        })
    }

    /// Takes everything of a container away; up to the record's end a crash leaves a removal to go on with.
    async fn dispose(
        self: &Arc<Self>,
        container: &Arc<Container>,
        options: RemoveOptions,
    ) -> Result<(), Error> {
        hold(&container.pending).clear();
        let (folder, run_folder) = (container.folder.clone(), container.run_folder.clone());
        let trash = self.trash().join(container.id.as_str());
        // Kept volumes first: after the rename a crash takes those that were made for this container.
        self.let_go(
            container,
            |mount| !(options.volumes && mount.anonymous),
            false,
        )
        .await;
        blocking(move || {
            // One rename is the whole removal: before it the container is there, after it a crash finds only trash and a
            // run folder without a container, which the next start of the daemon sweeps. A supervisor that still lets its
            // mount go has no further use of either.
            unless_missing(fs::rename(&folder, &trash)).map_err(Error::host("remove", &folder))?;
            tokio::task::spawn_blocking(move || {
                empty(&run_folder);
                empty(&trash);
            });
            Ok(())
        })
        .await?;
        self.let_go(container, |mount| options.volumes && mount.anonymous, true)
            .await;
        Ok(())
    }

    async fn let_go(&self, container: &Container, which: impl Fn(&Mount) -> bool, remove: bool) {
        let mounts = container.with(|record| record.mounts.clone());
        for name in mounts
            .iter()
            .filter(|mount| which(mount))
            .filter_map(|m| m.name.as_ref())
        {
            let volumes = &self.neighbours.volumes;
            volumes.disclaim(name, &container.id, remove).await;
        }
    }

    /// Removes all containers without a process that pass the filters.
    pub(crate) async fn prune(self: &Arc<Self>, filters: &Filters) -> Result<Pruned, Error> {
        let until = filters.until(now())?;
        let mut pruned = Pruned::default();
        for container in self.table.all() {
            if !container.with(|record| prunable(record, filters, until)) {
                continue;
            }
            let bytes = size::writable(&container).await;
            // One that was started or removed meanwhile is left out.
            if self
                .remove(&container, RemoveOptions::default())
                .await
                .is_ok()
            {
                pruned.containers.push(ContainerId::clone(&container.id));
                pruned.reclaimed += bytes;
            }
        }
        let reclaimed = ("reclaimed".to_owned(), pruned.reclaimed.to_string());
        self.events
            .publish(EventKind::Container, "prune", "", [reclaimed].into());
        Ok(pruned)
    }
}

fn prunable(record: &Record, filters: &Filters, until: Option<Timestamp>) -> bool {
    let stopped = match record.state {
        State::Created | State::Exited | State::Dead => true,
        State::Running | State::Paused | State::Restarting | State::Removing => false,
    };
    stopped
        && until.is_none_or(|until| record.created < until)
        && filters.labels(|key| record.label(key))
        && !filters.excluded(|key| record.label(key))
}

/// Removes what is left of all containers that were removed.
pub(crate) fn empty_all(trash: &Path) {
    for entry in fs::read_dir(trash).into_iter().flatten().flatten() {
        empty(&entry.path());
    }
}

/// Deletes what a removed container wrote; what fails is tried again when the daemon starts.
pub(crate) fn empty(trash: &Path) {
    Projects::lift(&trash.join("upper"));
    if let Err(error) = unless_missing(remove_tree(trash)) {
        warn!(path = %trash.display(), error = %error, "a removed container's files are left");
    }
}

fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Service, record::fixture::record};

    #[test]
    fn a_prune_takes_stopped_containers_that_pass_its_filters() {
        let filters = |text: &str| Filters::parse(text, Service::PRUNE_FILTERS).unwrap();
        let mut web = record(9, "web");
        web.config.labels = Some([("keep".to_owned(), "1".to_owned())].into());
        let all = Filters::default();
        assert!(prunable(&web, &all, None));
        assert!(!prunable(&web, &filters(r#"{"label!":["keep"]}"#), None));
        assert!(prunable(&web, &filters(r#"{"label":["keep=1"]}"#), None));
        assert!(!prunable(&web, &all, Some(Timestamp::from_nanos(1))));
        web.state = State::Running;
        assert!(!prunable(&web, &all, None));
    }
}
