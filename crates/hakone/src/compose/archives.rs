//! Lends containers to the archive service: held open, with what of them it may know.

use hakone_archive::{BoxFuture, Containers, Held, Inlay, Place, Refusal};
use hakone_base::{ContainerId, Fault};
use hakone_container::{Inside, Service};
use hakone_tar::{IdRange, Ids};

/// The container service as archives see it.
pub(crate) struct Joined(pub(crate) Service);

impl Containers for Joined {
    fn enter<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Held, Refusal>> {
        Box::pin(async move { self.0.enter(container).await.map(held).map_err(boxed) })
    }

    fn leave(&self, held: Held) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Ok(inside) = held.hold.downcast::<Inside>() {
                self.0.leave(*inside).await;
            }
        })
    }

    fn announce(&self, container: &ContainerId, action: &str) {
        self.0.announce(container, action, &[]);
    }
}

fn held(inside: Inside) -> Held {
    Held {
        id: inside.id.clone(),
        place: match inside.place {
            hakone_container::Place::Running { pid, .. } => Place::Running(pid),
            hakone_container::Place::Resting => Place::Resting,
        },
        layers: inside.layers.clone(),
        folder: inside.folder.clone(),
        mounts: inside.mounts.iter().map(inlay).collect(),
        read_only: inside.host.readonly_rootfs.unwrap_or(false),
        privileged: inside.host.privileged.unwrap_or(false),
        user: inside.config.user.clone().unwrap_or_default(),
        ids: ids(&inside),
        hold: Box::new(inside),
    }
}

fn inlay(inlay: &hakone_container::Inlay) -> Inlay {
    Inlay {
        source: inlay.source.clone(),
        destination: inlay.destination.clone(),
        writable: inlay.writable,
    }
}

fn ids(inside: &Inside) -> Ids {
    let Some((users, groups)) = &inside.mappings else {
        return Ids::default();
    };
    let ranges = |maps: &[hakone_container::IdMapping]| {
        let range = |map: &hakone_container::IdMapping| IdRange {
            inside: map.container,
            outside: map.host,
            count: map.size,
        };
        maps.iter().map(range).collect()
    };
    Ids {
        users: ranges(users),
        groups: ranges(groups),
    }
}

fn boxed<F: Fault + Send + Sync + 'static>(fault: F) -> Refusal {
    Box::new(fault)
}
