//! Resolves a container's mounts at create: claims volumes, checks or makes bind sources, takes over others' mounts.

use std::{fs, os::unix::fs::DirBuilderExt as _, path::Path};

use hakone_base::ContainerId;
use hakone_mount::MountPoint;
use hakone_spec::{
    BindSource, ContainerSpec, Copy, ImageSource, MountSource, MountSpec, Propagation, ReadOnly,
    VolumeSource, VolumesFrom,
};

use crate::{
    Error, VolumeRequest,
    inner::{Inner, blocking},
    record::{Mount, MountKind, MountedImage},
};

/// Volumes claimed so far and whether each is anonymous, to be given back if the create fails.
pub(crate) type Claimed = Vec<(String, bool)>;

impl Inner {
    /// Resolves all mounts.
    pub(crate) async fn mounts(
        &self,
        id: &ContainerId,
        spec: &ContainerSpec,
        claimed: &mut Claimed,
    ) -> Result<Vec<Mount>, Error> {
        let mut mounts = Vec::new();
        for from in &spec.volumes_from {
            self.inherit(id, from, &mut mounts, claimed).await?;
        }
        for mount in &spec.mounts {
            // An anonymous volume of the image gives way to what another container brought to its place.
            let taken = mounts
                .iter()
                .any(|other: &Mount| other.destination == mount.target);
            if taken && is_anonymous(mount) {
                continue;
            }
            mounts.retain(|other| other.destination != mount.target);
            mounts.push(self.mount(id, mount, claimed).await?);
        }
        mounts.sort_by_key(|mount| {
            (
                mount.destination.matches('/').count(),
                mount.destination.clone(),
            )
        });
        Ok(mounts)
    }

    async fn inherit(
        &self,
        id: &ContainerId,
        from: &VolumesFrom,
        mounts: &mut Vec<Mount>,
        claimed: &mut Claimed,
    ) -> Result<(), Error> {
        let other = self
            .table
            .lookup(&from.container)
            .map_err(|error| Error::Invalid(error.to_string()))?;
        for mut mount in other.with(|record| record.mounts.clone()) {
            if mount.kind == MountKind::Tmpfs {
                continue;
            }
            if let Some(name) = mount.name.clone() {
                self.claim(
                    id,
                    VolumeRequest {
                        name: Some(name),
                        ..Default::default()
                    },
                    claimed,
                )
                .await?;
            }
            mount.writable &= !from.read_only;
            mount.anonymous = false;
            mounts.retain(|known| known.destination != mount.destination);
            mounts.push(mount);
        }
        Ok(())
    }

    async fn mount(
        &self,
        id: &ContainerId,
        mount: &MountSpec,
        claimed: &mut Claimed,
    ) -> Result<Mount, Error> {
        let base = Mount {
            kind: MountKind::Tmpfs,
            name: None,
            source: String::new(),
            destination: mount.target.clone(),
            driver: None,
            mode: mount.mode.clone(),
            writable: mount.read_only == ReadOnly::No,
            propagation: String::new(),
            anonymous: false,
            copy_up: false,
            image: None,
        };
        match &mount.source {
            MountSource::Bind(bind) => {
                let source = bind.clone();
                blocking(move || ensure_source(&source)).await?;
                Ok(Mount {
                    kind: MountKind::Bind,
                    source: bind.path.to_string_lossy().into_owned(),
                    propagation: bind.propagation.as_str().to_owned(),
                    ..base
                })
            }
            MountSource::Volume(volume) => self.volume(id, volume, base, claimed).await,
            MountSource::Image(image) => self.image(image, base).await,
            MountSource::Tmpfs { .. } => Ok(base),
        }
    }

    /// An image is there already; from now on it stays as long as the container.
    async fn image(&self, image: &ImageSource, base: Mount) -> Result<Mount, Error> {
        let found = self.neighbours.images.resolve(&image.reference).await?;
        Ok(Mount {
            kind: MountKind::Image,
            source: found.id.to_string(),
            image: Some(MountedImage {
                reference: image.reference.clone(),
                subpath: image.subpath.clone(),
            }),
            ..base
        })
    }

    async fn volume(
        &self,
        id: &ContainerId,
        volume: &VolumeSource,
        base: Mount,
        claimed: &mut Claimed,
    ) -> Result<Mount, Error> {
        let request = VolumeRequest {
            name: volume.name.as_ref().map(ToString::to_string),
            driver: volume.driver.clone(),
            options: volume.options.clone(),
            labels: volume.labels.clone(),
        };
        let anonymous = request.name.is_none();
        let made = self.claim(id, request, claimed).await?;
        let mode = match base.mode.as_str() {
            "" if anonymous => String::new(),
            "" => "z".to_owned(),
            mode => mode.to_owned(),
        };
        Ok(Mount {
            kind: MountKind::Volume,
            name: Some(made.name),
            source: made.path.to_string_lossy().into_owned(),
            driver: Some(made.driver),
            mode,
            anonymous,
            copy_up: volume.copy == Copy::FromImage && volume.subpath.is_none(),
            ..base
        })
    }

    async fn claim(
        &self,
        id: &ContainerId,
        request: VolumeRequest,
        claimed: &mut Claimed,
    ) -> Result<crate::Volume, Error> {
        let anonymous = request.name.is_none();
        let volume = self.neighbours.volumes.claim(request, id).await?;
        claimed.push((volume.name.clone(), anonymous));
        Ok(volume)
    }
}

fn is_anonymous(mount: &MountSpec) -> bool {
    matches!(&mount.source, MountSource::Volume(volume) if volume.name.is_none())
}

/// Refuses to share with the host what the host does not share: it would be private without a word.
pub(crate) fn check_propagation(bind: &BindSource) -> Result<(), Error> {
    const TABLE: &str = "/proc/self/mountinfo";
    let wanted = match bind.propagation {
        Propagation::Private | Propagation::RPrivate => return Ok(()),
        Propagation::Shared | Propagation::RShared => "shared",
        Propagation::Slave | Propagation::RSlave => "shared or slave",
    };
    let path = fs::canonicalize(&bind.path).map_err(Error::host("find", &bind.path))?;
    let table = fs::read_to_string(TABLE).map_err(Error::host("read", TABLE))?;
    let point = MountPoint::of(&table, &path);
    let fits = |point: &MountPoint| point.is_shared || wanted != "shared" && point.is_slave;
    match point {
        Some(point) if !fits(&point) => Err(Error::Supervisor(format!(
            "path {} is mounted on {} but it is not a {wanted} mount",
            bind.path.display(),
            point.path.display()
        ))),
        Some(_) | None => Ok(()),
    }
}

/// `-v` makes a missing source as a folder; `--mount` refuses it.
fn ensure_source(bind: &BindSource) -> Result<(), Error> {
    let path: &Path = &bind.path;
    if fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    match bind.create {
        false => Err(hakone_spec::Error::missing_bind_source(&path.to_string_lossy()).into()),
        true => {
            let mut builder = fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o755).create(path);
            made.map_err(Error::host("make", path))
        }
    }
}
