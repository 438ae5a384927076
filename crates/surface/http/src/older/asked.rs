//! What an older client cannot have meant when it asks for a container: fields that its version did not have count for nothing,
//! or are refused where nothing would be another container than it thinks.
//!
//! A client of 1.43 that names two networks would get one of them from the daemon it was written for.

use hakone_base::ApiVersion;
use hakone_engine_api::wire::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum as Cgroupns, Mount, MountType,
};

use crate::error::Error;

/// Fits a request to its version.
pub(crate) fn asked(
    version: ApiVersion,
    cgroup_version: &str,
    body: &mut ContainerCreateBody,
) -> Result<(), Error> {
    let before = |minor| version < ApiVersion::new(1, minor);
    let mounts = body
        .host_config
        .iter_mut()
        .flat_map(|host| &mut host.mounts);
    for mount in mounts.flatten() {
        mount_asked(version, mount)?;
    }
    if before(44) {
        if let Some(health) = &mut body.healthcheck {
            health.start_interval = None;
        }
        networks(body)?;
    }
    if let Some(host) = &mut body.host_config {
        host_asked(version, cgroup_version, host);
    }
    Ok(())
}

fn host_asked(version: ApiVersion, cgroup_version: &str, host: &mut HostConfig) {
    let before = |minor| version < ApiVersion::new(1, minor);
    let empty = |mode: Option<&String>| mode.is_none_or(String::is_empty);
    if before(43) {
        host.annotations = None;
    }
    if before(42) {
        host.console_size = None;
    }
    let no_mode = matches!(host.cgroupns_mode, None | Some(Cgroupns::EMPTY));
    if before(41) && no_mode && cgroup_version == "1" {
        host.cgroupns_mode = Some(Cgroupns::HOST);
    }
    if before(40) && empty(host.ipc_mode.as_ref()) {
        host.ipc_mode = Some("shareable".to_owned());
    }
    if before(25) {
        host.auto_remove = None;
    }
}

fn mount_asked(version: ApiVersion, mount: &mut Mount) -> Result<(), Error> {
    let before = |minor| version < ApiVersion::new(1, minor);
    let needs = |what: &str, since| {
        Err(Error::parameter(format!(
            "{what} needs API v1.{since} or newer"
        )))
    };
    if before(48) && mount.typ == Some(MountType::IMAGE) {
        return needs("Mount type \"Image\"", 48);
    }
    let options = mount.volume_options.as_ref();
    let subpath = options.and_then(|options| options.subpath.as_deref());
    if before(45) && subpath.is_some_and(|path| !path.is_empty()) {
        return needs("VolumeOptions.Subpath", 45);
    }
    if !before(42) {
        own_options(mount)?;
    }
    if let Some(bind) = &mut mount.bind_options {
        if before(44) {
            bind.read_only_non_recursive = None;
            bind.read_only_force_recursive = None;
        }
        if before(42) {
            bind.create_mountpoint = None;
        }
        if before(40) {
            bind.non_recursive = None;
        }
    }
    Ok(())
}

/// Which options a mount has that are another kind's.
fn foreign(mount: &Mount) -> [(&'static str, bool); 3] {
    let other = |kind| mount.typ != Some(kind);
    [
        (
            "VolumeOptions",
            mount.volume_options.is_some() && other(MountType::VOLUME),
        ),
        (
            "BindOptions",
            mount.bind_options.is_some() && other(MountType::BIND),
        ),
        (
            "TmpfsOptions",
            mount.tmpfs_options.is_some() && other(MountType::TMPFS),
        ),
    ]
}

fn own_options(mount: &Mount) -> Result<(), Error> {
    match foreign(mount).into_iter().find(|(_, is)| *is) {
        None => Ok(()),
        Some((options, _)) => {
            let kind = mount.typ.as_ref().map(ToString::to_string);
            Err(Error::parameter(format!(
                "{options} must not be specified on mount type {:?}",
                kind.unwrap_or_default()
            )))
        }
    }
}

fn networks(body: &ContainerCreateBody) -> Result<(), Error> {
    let config = body.networking_config.as_ref();
    let endpoints = config.and_then(|config| config.endpoints_config.as_ref());
    let mut names: Vec<&str> = endpoints
        .into_iter()
        .flat_map(|endpoints| endpoints.keys().map(String::as_str))
        .collect();
    names.sort_unstable();
    match names.len() > 1 {
        true => Err(Error::parameter(format!(
            "Container cannot be created with multiple network endpoints: {}",
            names.join(", ")
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn fitted(minor: u16, body: Value) -> Result<ContainerCreateBody, String> {
        let mut body = serde_json::from_value(body).unwrap();
        asked(ApiVersion::new(1, minor), "1", &mut body).map_err(|error| error.to_string())?;
        Ok(body)
    }

    #[test]
    fn what_a_version_did_not_have_counts_for_nothing() {
        let body = json!({
            "Healthcheck": {"StartInterval": 5},
            "HostConfig": {"Annotations": {"a": "b"}, "ConsoleSize": [1, 2], "AutoRemove": true},
        });
        let old = fitted(24, body.clone()).unwrap();
        assert_eq!(old.healthcheck.unwrap().start_interval, None);
        let host = old.host_config.unwrap();
        assert_eq!(
            (host.annotations, host.console_size, host.auto_remove),
            (None, None, None)
        );
        assert_eq!(host.ipc_mode.as_deref(), Some("shareable"));
        assert_eq!(host.cgroupns_mode, Some(Cgroupns::HOST));
        let new = fitted(51, body.clone()).unwrap();
        assert_eq!(
            new,
            serde_json::from_value(body).unwrap(),
            "and stays later"
        );
    }

    #[test]
    fn what_would_be_another_container_is_refused() {
        let mount = |mount| json!({"HostConfig": {"Mounts": [mount]}});
        let part = mount(json!({"Type": "volume", "VolumeOptions": {"Subpath": "a"}}));
        assert_eq!(
            fitted(44, part.clone()).unwrap_err(),
            "VolumeOptions.Subpath needs API v1.45 or newer"
        );
        assert!(fitted(45, part).is_ok());
        let image = mount(json!({"Type": "image"}));
        assert_eq!(
            fitted(47, image).unwrap_err(),
            "Mount type \"Image\" needs API v1.48 or newer"
        );
        let two = json!({"NetworkingConfig": {"EndpointsConfig": {"b": {}, "a": {}}}});
        assert!(
            fitted(43, two.clone())
                .unwrap_err()
                .ends_with("endpoints: a, b")
        );
        assert!(fitted(44, two).is_ok());
    }

    #[test]
    fn options_of_another_kind_are_refused_as_the_version_has_it() {
        let odd = json!({"HostConfig": {"Mounts": [{"Type": "tmpfs", "BindOptions": {}}]}});
        assert_eq!(
            fitted(42, odd.clone()).unwrap_err(),
            "BindOptions must not be specified on mount type \"tmpfs\""
        );
        assert!(fitted(41, odd).is_ok(), "left to the reader of mounts");
    }
}
