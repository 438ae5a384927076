//! Lends containers to the archive service: held open, with what of them it may know.

use hakone_archive::{
    BoxFuture, Commit, Committed, Containers, Held, Images, Inlay, Place, Refusal,
};
use hakone_base::{ContainerId, Fault};
use hakone_container::{Inside, Service};
use hakone_image::CommitOptions;
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

    fn announce(&self, container: &ContainerId, action: &str, extra: &[(&str, String)]) {
        self.0.announce(container, action, extra);
    }

    fn freeze<'a>(
        &'a self,
        container: &'a ContainerId,
        still: bool,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let done = match still {
                true => self.0.pause(container.as_str()).await,
                false => self.0.unpause(container.as_str()).await,
            };
            done.map_err(boxed)
        })
    }
}

/// The image service as archives see it.
pub(crate) struct Store(pub(crate) hakone_image::Service);

impl Images for Store {
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, Refusal>> {
        Box::pin(async move {
            let wishes = commit.wishes;
            let options = CommitOptions {
                parent: commit.parent,
                repository: wishes.repository,
                tag: wishes.tag,
                author: wishes.author,
                comment: wishes.comment,
                changes: wishes.changes,
                created_by: commit.config.cmd.clone().unwrap_or_default().join(" "),
                config: wishes.config.unwrap_or_default(),
                container: commit.config,
            };
            let made = self.0.commit(commit.layer, options).await;
            made.map(|(id, name)| Committed { id, name }).map_err(boxed)
        })
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
        paused: matches!(
            inside.place,
            hakone_container::Place::Running { paused: true, .. }
        ),
        image: inside.image.clone(),
        config: inside.config.clone(),
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
