//! A container as other capabilities look into it: where its files are, which processes are its own.
//!
//! A running one is looked at through its init; of one that rests the parts are given, and it is kept from being started
//! until it is let go, as two mounts of one writable layer would not agree.

use std::{path::PathBuf, sync::Arc};

use hakone_base::{ContainerId, Digest};
use hakone_engine_api::wire;
use hakone_runtime_spec::Mappings;
use tokio::sync::OwnedMutexGuard;

use crate::{
    Error,
    container::Container,
    inner::Inner,
    record::{MountKind, Record},
    remap,
    start::mounting,
    state::State,
};

/// A container that is held open.
#[derive(Debug)]
pub struct Inside {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Whether it runs, and as which process.
    pub place: Place,
    /// Its control group.
    pub cgroup: String,
    /// The image's layers, lowest first.
    pub layers: Vec<PathBuf>,
    /// Its own folder, with `upper` and `work` in it.
    pub folder: PathBuf,
    /// What is mounted in it besides.
    pub mounts: Vec<Inlay>,
    /// Its image.
    pub image: Digest,
    /// The image as it was asked for.
    pub image_reference: String,
    /// Its configuration, the image's merged in.
    pub config: wire::ContainerConfig,
    /// What it asked of the host.
    pub host: wire::HostConfig,
    /// How its root shows ids, if not as they are: only while it runs, for they are stored as it sees them.
    pub mappings: Option<Mappings>,
    /// Networks that it is on, with their interfaces' names in order.
    pub networks: Vec<String>,
    volumes: Vec<String>,
    _rest: Option<OwnedMutexGuard<()>>,
}

/// A container as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Its init, if it runs.
    pub pid: Option<i32>,
    /// Whether it is frozen.
    pub paused: bool,
    /// Its control group.
    pub cgroup: String,
    /// Whether it uses the host's network.
    pub host_network: bool,
}

/// Where a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It runs, or is frozen.
    Running {
        /// Its init.
        pid: i32,
        /// Whether it is frozen.
        paused: bool,
    },
    /// It does not run, and will not while it is held.
    Resting,
}

/// A path of the host that is mounted in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inlay {
    /// The path on the host.
    pub source: PathBuf,
    /// Where it is in the container.
    pub destination: PathBuf,
    /// Whether the container may write to it.
    pub writable: bool,
}

impl Inner {
    /// Holds a container open.
    pub(crate) async fn enter(&self, container: &Arc<Container>) -> Result<Inside, Error> {
        if let Some(place) = running(container) {
            return self.inside(container, place, None).await;
        }
        let held = Arc::clone(&container.operation).lock_owned().await;
        // Started while we waited: then nothing needs to be held.
        match running(container) {
            Some(place) => {
                drop(held);
                self.inside(container, place, None).await
            }
            None => {
                container.await_gone().await;
                self.inside(container, Place::Resting, Some(held)).await
            }
        }
    }

    async fn inside(
        &self,
        container: &Container,
        place: Place,
        rest: Option<OwnedMutexGuard<()>>,
    ) -> Result<Inside, Error> {
        let record = container.record();
        let image = self
            .neighbours
            .images
            .resolve(record.image.as_str())
            .await?;
        let mut inside = Inside {
            id: record.id.clone(),
            name: record.name.to_string(),
            place,
            cgroup: self.cgroup(container),
            layers: image.layers,
            folder: container.folder.clone(),
            mounts: inlays(&record),
            networks: record.networks.keys().cloned().collect(),
            mappings: match place {
                Place::Running { pid, .. } => remap::of_process(pid),
                Place::Resting => None,
            },
            image: record.image,
            image_reference: record.image_reference,
            config: record.config,
            host: record.host,
            volumes: Vec::new(),
            _rest: rest,
        };
        if place == Place::Resting {
            let mounts = record.mounts.iter();
            for mounting in mounts.filter_map(|mount| mounting(&record.id, mount)) {
                self.neighbours.volumes.mount(mounting).await?;
                inside.volumes.push(mounting.name.to_owned());
            }
        }
        Ok(inside)
    }

    /// Tells how a container stands.
    pub(crate) fn glance(&self, container: &Container) -> Glance {
        let place = running(container).unwrap_or(Place::Resting);
        let cgroup = self.cgroup(container);
        container.with(|record| Glance {
            id: record.id.clone(),
            name: record.name.to_string(),
            pid: match place {
                Place::Running { pid, .. } => Some(pid),
                Place::Resting => None,
            },
            paused: record.state == State::Paused,
            cgroup,
            host_network: record.host.network_mode.as_deref() == Some("host"),
        })
    }

    /// Lets a container go.
    pub(crate) async fn leave(&self, inside: Inside) {
        for name in &inside.volumes {
            self.neighbours.volumes.unmount(name, &inside.id).await;
        }
    }
}

fn running(container: &Container) -> Option<Place> {
    container.with(|record| match record.state {
        State::Running | State::Paused => Some(Place::Running {
            pid: record.run.pid,
            paused: record.state == State::Paused,
        }),
        State::Created | State::Restarting | State::Removing | State::Exited | State::Dead => None,
    })
}

/// Paths of the host only: what a tmpfs held is gone when its container rests, and an image is mounted for one that runs.
fn inlays(record: &Record) -> Vec<Inlay> {
    let paths = record
        .mounts
        .iter()
        .filter(|mount| matches!(mount.kind, MountKind::Bind | MountKind::Volume));
    paths
        .map(|mount| Inlay {
            source: mount.source.clone().into(),
            destination: mount.destination.clone().into(),
            writable: mount.writable,
        })
        .collect()
}
