//! `--mount`: the typed form, strict where `-v` guesses.

use std::path::{Component, Path, PathBuf};

use hakone_engine_api::wire::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum as Wire, MountType as Type,
};

use super::{
    BindSource, Copy, MountSource, MountSpec, MountType, Propagation, ReadOnly, VolumeSource,
    clean, image, target, tmpfs,
};
use crate::{Error, spec::text};

/// Parses one entry of `Mounts`.
pub(super) fn parse(mount: &Mount) -> Result<MountSpec, Error> {
    let kind = match mount.typ {
        Some(Type::BIND) => "bind",
        Some(Type::VOLUME) => "volume",
        Some(Type::TMPFS) => "tmpfs",
        Some(Type::IMAGE) => "image",
        Some(Type::NPIPE) => "npipe",
        Some(Type::CLUSTER) => "cluster",
        None => "",
    };
    typed(mount).map_err(|error| match error {
        Error::Volume(_) => error,
        error => error.in_mount(kind),
    })
}

fn typed(mount: &Mount) -> Result<MountSpec, Error> {
    let target = target(mount.target.as_deref().unwrap_or_default())?;
    let source = match mount.typ {
        Some(Type::BIND) => bind(mount)?,
        Some(Type::VOLUME) => volume(mount)?,
        Some(Type::TMPFS) => memory(mount)?,
        Some(Type::IMAGE) => image::parse(mount)?,
        Some(Type::NPIPE | Type::CLUSTER) | None => return Err(Error::MountKind),
    };
    Ok(MountSpec {
        target,
        read_only: match source {
            // Layers belong to every container of the image.
            MountSource::Image(_) => ReadOnly::Recursive,
            MountSource::Bind(_) | MountSource::Volume(_) | MountSource::Tmpfs { .. } => {
                read_only(mount)?
            }
        },
        source,
        origin: MountType::Typed,
        mode: String::new(),
    })
}

fn read_only(mount: &Mount) -> Result<ReadOnly, Error> {
    let bind = mount.bind_options.as_ref();
    let flag = |get: fn(&MountBindOptions) -> Option<bool>| bind.and_then(get).unwrap_or(false);
    let top = flag(|options| options.read_only_non_recursive);
    let force = flag(|options| options.read_only_force_recursive);
    match (mount.read_only.unwrap_or(false), top, force) {
        (false, true, _) => Err(Error::ReadOnlyNeeded("ReadOnlyNonRecursive")),
        (false, false, true) => Err(Error::ReadOnlyNeeded("ReadOnlyForceRecursive")),
        (true, true, true) => Err(Error::ReadOnlyContradiction),
        (false, false, false) => Ok(ReadOnly::No),
        (true, true, false) => Ok(ReadOnly::Top),
        (true, false, true) => Ok(ReadOnly::ForceRecursive),
        (true, false, false) => Ok(ReadOnly::Recursive),
    }
}

fn bind(mount: &Mount) -> Result<MountSource, Error> {
    let source = text(mount.source.as_ref()).ok_or(Error::MountField("Source"))?;
    if mount.volume_options.is_some() {
        return Err(Error::MountExtraField("VolumeOptions"));
    }
    if !source.starts_with('/') {
        return Err(Error::MountPath(source.to_owned()));
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    Ok(MountSource::Bind(BindSource {
        path: PathBuf::from(clean(source)),
        propagation: options
            .propagation
            .map_or(Propagation::RPrivate, propagation),
        recursive: !options.non_recursive.unwrap_or(false),
        create: options.create_mountpoint.unwrap_or(false),
    }))
}

fn propagation(wire: Wire) -> Propagation {
    match wire {
        Wire::EMPTY | Wire::RPRIVATE => Propagation::RPrivate,
        Wire::PRIVATE => Propagation::Private,
        Wire::SHARED => Propagation::Shared,
        Wire::RSHARED => Propagation::RShared,
        Wire::SLAVE => Propagation::Slave,
        Wire::RSLAVE => Propagation::RSlave,
    }
}

fn volume(mount: &Mount) -> Result<MountSource, Error> {
    if mount.bind_options.is_some() {
        return Err(Error::MountExtraField("BindOptions"));
    }
    let options = mount.volume_options.clone().unwrap_or_default();
    let subpath = text(options.subpath.as_ref()).map(subpath).transpose()?;
    let name = text(mount.source.as_ref());
    match name {
        None if mount.read_only == Some(true) => return Err(Error::AnonymousReadOnly),
        None if subpath.is_some() => return Err(Error::AnonymousSubpath),
        None | Some(_) => {}
    }
    let driver = options.driver_config.unwrap_or_default();
    Ok(MountSource::Volume(VolumeSource {
        name: name.map(str::parse).transpose().map_err(Error::Volume)?,
        driver: driver.name.unwrap_or_default(),
        labels: options.labels.unwrap_or_default().into_iter().collect(),
        options: driver.options.unwrap_or_default().into_iter().collect(),
        copy: match options.no_copy {
            Some(true) => Copy::Nothing,
            None | Some(false) => Copy::FromImage,
        },
        subpath,
        propagation: Propagation::RPrivate,
    }))
}

/// A path in a volume or an image: never a way out of it.
pub(super) fn subpath(path: &str) -> Result<PathBuf, Error> {
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    match Path::new(path).components().all(plain) {
        true => Ok(PathBuf::from(path)),
        false => Err(Error::Subpath(path.to_owned())),
    }
}

fn memory(mount: &Mount) -> Result<MountSource, Error> {
    if mount.bind_options.is_some() {
        return Err(Error::MountExtraField("BindOptions"));
    }
    if mount.volume_options.is_some() {
        return Err(Error::MountExtraField("VolumeOptions"));
    }
    if text(mount.source.as_ref()).is_some() {
        return Err(Error::MountExtraField("Source"));
    }
    let wanted = mount.tmpfs_options.clone().unwrap_or_default();
    let mut options: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).into();
    if mount.read_only == Some(true) {
        options.push("ro".into());
    }
    if let Some(mode) = wanted.mode.filter(|mode| *mode != 0) {
        options.push(format!("mode={mode:o}"));
    }
    if let Some(bytes) = wanted.size_bytes.filter(|bytes| *bytes > 0) {
        options.push(format!("size={bytes}"));
    }
    for pair in wanted.options.iter().flatten() {
        tmpfs::push(&mut options, &pair.join("="))?;
    }
    Ok(MountSource::Tmpfs { options })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hakone_engine_api::wire::{MountTmpfsOptions, MountVolumeOptions};

    fn mount(kind: Type, source: &str) -> Mount {
        Mount {
            typ: Some(kind),
            source: Some(source.into()),
            target: Some("/t".into()),
            ..Default::default()
        }
    }

    fn refusal(mount: &Mount) -> String {
        parse(mount).unwrap_err().to_string()
    }

    #[test]
    fn a_bind_wants_its_source_made_by_somebody_else() {
        let MountSource::Bind(source) = parse(&mount(Type::BIND, "/data")).unwrap().source else {
            panic!()
        };
        assert!(!source.create && source.recursive);
    }

    #[test]
    fn fields_of_another_type_are_refused_in_dockers_words() {
        let mut odd = mount(Type::BIND, "/data");
        odd.volume_options = Some(MountVolumeOptions::default());
        assert_eq!(
            refusal(&odd),
            r#"invalid mount config for type "bind": field VolumeOptions must not be specified"#
        );
        let sourceless = mount(Type::BIND, "");
        assert_eq!(
            refusal(&sourceless),
            r#"invalid mount config for type "bind": field Source must not be empty"#
        );
        let tmpfs = mount(Type::TMPFS, "x");
        assert_eq!(
            refusal(&tmpfs),
            r#"invalid mount config for type "tmpfs": field Source must not be specified"#
        );
    }

    #[test]
    fn a_subpath_cannot_leave_its_volume() {
        let mut inside = mount(Type::VOLUME, "store");
        inside.volume_options = Some(MountVolumeOptions {
            subpath: Some("../x".into()),
            ..Default::default()
        });
        assert!(refusal(&inside).ends_with("subpath must be a relative path within the volume"));
    }

    #[test]
    fn a_tmpfs_has_size_and_mode() {
        let mut memory = mount(Type::TMPFS, "");
        memory.tmpfs_options = Some(MountTmpfsOptions {
            size_bytes: Some(4096),
            mode: Some(0o700),
            ..Default::default()
        });
        let MountSource::Tmpfs { options } = parse(&memory).unwrap().source else {
            panic!()
        };
        assert_eq!(
            options,
            ["noexec", "nosuid", "nodev", "mode=700", "size=4096"]
        );
    }

    #[test]
    fn read_only_variants_contradict_each_other() {
        let mut both = mount(Type::BIND, "/data");
        both.bind_options = Some(MountBindOptions {
            read_only_non_recursive: Some(true),
            ..Default::default()
        });
        assert!(parse(&both).is_err());
        both.read_only = Some(true);
        assert_eq!(parse(&both).unwrap().read_only, ReadOnly::Top);
    }
}
