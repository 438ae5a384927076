//! What every handle of the service shares.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::SystemTime,
};

use hakone_base::{EventKind, Timestamp};
use hakone_events::Bus;
use hakone_quota::Projects;
use hakone_runtime_spec::HostFacts;
use hakone_spec::Defaults;
use tokio::sync::watch;

use crate::{Config, Error, Neighbours, container::Container, remap::Ranges, table::Table};

/// The service's state and its neighbours.
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) neighbours: Neighbours,
    pub(crate) events: Bus,
    pub(crate) table: Table,
    pub(crate) facts: HostFacts,
    pub(crate) defaults: Defaults,
    /// Ids of containers with a user namespace.
    pub(crate) ranges: Ranges,
    /// What bounds files of containers.
    pub(crate) projects: Arc<Projects>,
    /// Health probes since the daemon's start.
    pub(crate) probes: ProbeCounts,
    /// True once the daemon shuts down: no restart, no watch goes on.
    pub(crate) closing: watch::Sender<bool>,
}

/// Counts probes.
#[derive(Debug, Default)]
pub(crate) struct ProbeCounts {
    pub(crate) total: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// The folder of all containers' folders.
    pub(crate) fn containers(&self) -> PathBuf {
        self.config.data_root.join("containers")
    }

    /// Where folders of removed containers wait for their deletion.
    pub(crate) fn trash(&self) -> PathBuf {
        self.config.data_root.join("trash")
    }

    /// The cgroup of a container, absolute in each hierarchy.
    pub(crate) fn cgroup(&self, container: &Container) -> String {
        let parent = container.with(|r| r.host.cgroup_parent.clone());
        let parent = parent.filter(|parent| !parent.is_empty());
        let parent = parent.as_deref().unwrap_or(&self.config.cgroup_parent);
        format!("/{}/{}", parent.trim_matches('/'), container.id)
    }

    /// Announces what happened to a container; labels travel along, as Compose filters by them.
    pub(crate) fn announce(&self, container: &Container, action: &str, extra: &[(&str, String)]) {
        let attributes = container.with(|record| {
            let labels = record.config.labels.iter().flatten();
            let mut all: BTreeMap<String, String> =
                labels.map(|(k, v)| (k.clone(), v.clone())).collect();
            all.insert("image".to_owned(), record.image_reference.clone());
            all.insert("name".to_owned(), record.name.to_string());
            all.extend(extra.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
            all
        });
        self.events.publish(
            EventKind::Container,
            action,
            container.id.as_str(),
            attributes,
        );
    }

    /// Runs a change to its end in a task of its own, so that a caller who leaves never leaves half work.
    pub(crate) async fn own<T: Send + 'static>(
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        match tokio::spawn(work).await {
            Ok(done) => done,
            Err(_) => Err(Error::Closing),
        }
    }
}

/// Runs blocking work of disk and kernel on a thread for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Closing),
    }
}

/// Gives the present time.
pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Gives 32 random bytes, the stuff of ids.
pub(crate) fn entropy<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| Error::host("read entropy from", "the kernel")(errno.into()))?;
    Ok(bytes)
}

/// Gives back a shared handle; shortens the tasks that own one.
pub(crate) fn share<T>(shared: &Arc<T>) -> Arc<T> {
    Arc::clone(shared)
}
