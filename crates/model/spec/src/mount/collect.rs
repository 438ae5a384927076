//! Brings the mounts of all options together: no target twice, parents before children.

use std::collections::BTreeSet;

use hakone_engine_api::wire::{ContainerConfig, HostConfig, ImageConfig};

use super::{MountSource, MountSpec, bind, tmpfs, typed};
use crate::Error;

/// Parses every mount of a request and adds the volumes of the image whose place is free.
pub(crate) fn collect(
    config: &ContainerConfig,
    host: &HostConfig,
    image: &ImageConfig,
) -> Result<Vec<MountSpec>, Error> {
    let mut mounts = Vec::new();
    let driver = host.volume_driver.as_deref().unwrap_or_default();
    for spec in host.binds.iter().flatten() {
        mounts.push(driven_by(driver, bind::parse(spec)?));
    }
    for mount in host.mounts.iter().flatten() {
        mounts.push(typed::parse(mount)?);
    }
    for (path, options) in host.tmpfs.iter().flatten() {
        mounts.push(tmpfs::parse(path, options)?);
    }
    refuse_duplicates(&mounts)?;
    for path in config.volumes.iter().flatten() {
        add_volume(&mut mounts, driven_by(driver, bind::parse(path)?));
    }
    // An image names places alone: a whole `-v` text of its own choice would give it any folder of the host.
    for path in image.volumes.iter().flatten() {
        add_volume(&mut mounts, driven_by(driver, bind::anonymous(path)?));
    }
    mounts.sort_by(|a, b| {
        depth(a)
            .cmp(&depth(b))
            .then_with(|| a.target.cmp(&b.target))
    });
    Ok(mounts)
}

fn refuse_duplicates(mounts: &[MountSpec]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    match mounts.iter().find(|mount| !seen.insert(&mount.target)) {
        Some(mount) => Err(Error::DuplicateMount(mount.target.clone())),
        None => Ok(()),
    }
}

/// `Volumes` holds places, and from old clients whole `-v` texts.
fn add_volume(mounts: &mut Vec<MountSpec>, mount: MountSpec) {
    if !mounts.iter().any(|other| other.target == mount.target) {
        mounts.push(mount);
    }
}

/// `--volume-driver` is for volumes that cannot name one themselves.
fn driven_by(driver: &str, mut mount: MountSpec) -> MountSpec {
    if let MountSource::Volume(volume) = &mut mount.source {
        driver.clone_into(&mut volume.driver);
    }
    mount
}

fn depth(mount: &MountSpec) -> usize {
    mount.target.matches('/').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn host(binds: &[&str]) -> HostConfig {
        let binds = binds.iter().map(|bind| (*bind).to_owned()).collect();
        HostConfig {
            binds: Some(binds),
            ..Default::default()
        }
    }

    fn image(volume: &str) -> ImageConfig {
        ImageConfig {
            volumes: Some(vec![volume.into()]),
            ..Default::default()
        }
    }

    #[test]
    fn a_place_is_mounted_once() {
        let mut twice = host(&["/a:/x/"]);
        twice.tmpfs = Some(HashMap::from([("/x".into(), String::new())]));
        let error =
            collect(&ContainerConfig::default(), &twice, &ImageConfig::default()).unwrap_err();
        assert_eq!(error.to_string(), "Duplicate mount point: /x");
    }

    #[test]
    fn a_mount_of_the_request_takes_the_place_of_the_images_volume() {
        let mounts = collect(
            &ContainerConfig::default(),
            &host(&["/a:/data"]),
            &image("/data"),
        )
        .unwrap();
        assert_eq!(mounts.len(), 1);
    }

    #[test]
    fn an_image_names_no_folder_of_the_host() {
        let (config, host) = (ContainerConfig::default(), HostConfig::default());
        let mounts = collect(&config, &host, &image("/etc:/host")).unwrap();
        let source = |mount: &MountSpec| matches!(mount.source, MountSource::Volume(_));
        assert!(mounts.iter().all(source), "{mounts:?}");
    }

    #[test]
    fn parents_come_before_children() {
        let mounts = collect(
            &ContainerConfig::default(),
            &host(&["/a:/x/y/z", "/a:/w"]),
            &image("/x/y"),
        )
        .unwrap();
        let targets: Vec<_> = mounts.iter().map(|mount| mount.target.as_str()).collect();
        assert_eq!(targets, ["/w", "/x/y", "/x/y/z"]);
    }
}
