//! Lends the volume service to containers.

use std::path::PathBuf;

use hakone_base::{ContainerId, Fault};
use hakone_container::{BoxFuture, Mounting, Refusal, Volume, VolumeRequest, Volumes};
use hakone_volume::{Service, User, VolumeSpec};

/// The volume service as containers see it.
pub(crate) struct Joined(pub(crate) Service);

impl Volumes for Joined {
    fn claim<'a>(
        &'a self,
        request: VolumeRequest,
        container: &'a ContainerId,
    ) -> BoxFuture<'a, Result<Volume, Refusal>> {
        Box::pin(async move {
            let spec = VolumeSpec {
                name: request.name,
                driver: request.driver,
                options: request.options,
                labels: request.labels,
            };
            let volume = self.0.claim(spec, container).await.map_err(boxed)?;
            Ok(Volume {
                name: volume.name,
                driver: volume.driver,
                path: PathBuf::from(volume.mountpoint),
            })
        })
    }

    fn mount<'a>(&'a self, mounting: Mounting<'a>) -> BoxFuture<'a, Result<bool, Refusal>> {
        let (name, user) = (mounting.name, user(&mounting));
        Box::pin(async move { self.0.mount(name, user).await.map_err(boxed) })
    }

    fn take_up<'a>(&'a self, mounting: Mounting<'a>) -> BoxFuture<'a, Result<(), Refusal>> {
        let (name, user) = (mounting.name, user(&mounting));
        Box::pin(async move { self.0.take_up(name, user).await.map(drop).map_err(boxed) })
    }

    fn is_of_host(&self, name: &str) -> bool {
        self.0.is_of_host(name)
    }

    fn is_bounded(&self, name: &str) -> bool {
        self.0.is_bounded(name)
    }

    fn unmount<'a>(&'a self, name: &'a str, container: &'a ContainerId) -> BoxFuture<'a, ()> {
        Box::pin(self.0.unmount(name, container))
    }

    fn disclaim<'a>(
        &'a self,
        name: &'a str,
        container: &'a ContainerId,
        remove: bool,
    ) -> BoxFuture<'a, ()> {
        Box::pin(self.0.disclaim(name, container, remove))
    }
}

fn user(mounting: &Mounting<'_>) -> User {
    User {
        container: mounting.container.clone(),
        destination: mounting.destination.to_owned(),
        writable: mounting.writable,
    }
}

fn boxed<F: Fault + Send + Sync + 'static>(fault: F) -> Refusal {
    Box::new(fault)
}
