//! `docker commit`: what a container changed becomes a layer on top of its image.

use hakone_tar::layer;

use crate::{
    Commit, Committed, Error, Held, Place, Service, Wishes,
    service::{blocking, is_ours},
};

impl Service {
    /// Makes an image of a container; it stands still meanwhile, unless it is wished otherwise.
    ///
    /// # Errors
    /// When the container cannot be read, or the name or a change is refused.
    pub async fn commit(&self, container: &str, wishes: Wishes) -> Result<Committed, Error> {
        let held = self.containers.enter(container).await?;
        let service = self.clone();
        // A task of its own: a client that leaves does not leave the container frozen.
        let work = tokio::spawn(async move { service.commit_held(held, wishes).await });
        work.await.map_err(|_panic| Error::Closing)?
    }

    async fn commit_held(&self, held: Held, wishes: Wishes) -> Result<Committed, Error> {
        let id = held.id.clone();
        let runs = matches!(held.place, Place::Running(_));
        let freeze = wishes.pause && runs && !held.paused;
        if freeze {
            self.containers.freeze(&id, true).await?;
        }
        let comment = wishes.comment.clone();
        let made = self.make(held, wishes).await;
        if let Ok(made) = &made {
            let extra = [
                ("comment", comment),
                ("imageID", made.id.to_string()),
                ("imageRef", made.name.clone()),
            ];
            self.containers.announce(&id, "commit", &extra);
        }
        if freeze {
            self.containers.freeze(&id, false).await?;
        }
        made
    }

    async fn make(&self, held: Held, wishes: Wishes) -> Result<Committed, Error> {
        let (parent, config) = (held.image.clone(), held.config.clone());
        let (held, changes) = blocking(move || {
            let upper = held.folder.join("upper");
            let changes = hakone_tar::changes(&upper, &held.layers, is_ours);
            (held, changes)
        })
        .await?;
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => {
                self.containers.leave(held).await;
                return Err(error.into());
            }
        };
        let layer = match changes.is_empty() {
            true => {
                self.containers.leave(held).await;
                None
            }
            false => Some(self.stream(held, move |held, writer| {
                let upper = held.folder.join("upper");
                Ok(layer(&upper, &changes, writer)?)
            })),
        };
        let commit = Commit {
            parent,
            layer,
            config,
            wishes,
        };
        Ok(self.images.commit(commit).await?)
    }
}
