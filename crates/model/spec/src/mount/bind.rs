//! `-v source:target[:mode]`, where the source is a path of the host or a volume's name.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    BindSource, Copy, MountSource, MountSpec, MountType, Propagation, ReadOnly, VolumeSource,
    clean, target,
};
use crate::Error;

/// The mode's words, sorted out.
#[derive(Default)]
struct Mode {
    access: Option<bool>,
    label: Option<bool>,
    propagation: Option<Propagation>,
    copy: Option<Copy>,
}

/// Parses one entry of `Binds`.
pub(super) fn parse(spec: &str) -> Result<MountSpec, Error> {
    let within = |error: Error| Error::VolumeSpec {
        spec: spec.to_owned(),
        source: Some(Box::new(error)),
    };
    let refuse = || Error::VolumeSpec {
        spec: spec.to_owned(),
        source: None,
    };
    let mut parts = spec.split(':');
    let (first, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if parts.next().is_some() || first.is_empty() {
        return Err(refuse());
    }
    match (second, third) {
        (None, _) => anonymous(first).map_err(|error| within(error.in_mount("volume"))),
        (Some(""), _) => Err(refuse()),
        (Some(place), mode) => {
            let kind = if first.starts_with('/') {
                "bind"
            } else {
                "volume"
            };
            let words = mode.unwrap_or_default();
            let parsed = Mode::parse(words)?;
            joined(first, place, words, &parsed).map_err(|error| match error {
                Error::InvalidMode(_) | Error::Volume(_) => error,
                error => within(error.in_mount(kind)),
            })
        }
    }
}

/// A path alone asks for an anonymous volume there.
pub(super) fn anonymous(path: &str) -> Result<MountSpec, Error> {
    Ok(MountSpec {
        target: target(path)?,
        source: MountSource::Volume(VolumeSource {
            name: None,
            driver: String::new(),
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            copy: Copy::FromImage,
            subpath: None,
            propagation: Propagation::RPrivate,
        }),
        read_only: ReadOnly::No,
        origin: MountType::Anonymous,
        mode: String::new(),
    })
}

fn joined(source: &str, place: &str, words: &str, mode: &Mode) -> Result<MountSpec, Error> {
    Ok(MountSpec {
        target: target(place)?,
        source: match source.starts_with('/') {
            true => host_path(source, words, mode)?,
            false => volume(source, words, mode)?,
        },
        read_only: match mode.access {
            Some(true) => ReadOnly::Recursive,
            None | Some(false) => ReadOnly::No,
        },
        origin: MountType::Bind,
        mode: words.to_owned(),
    })
}

fn host_path(path: &str, words: &str, mode: &Mode) -> Result<MountSource, Error> {
    match mode.copy {
        Some(_) => Err(Error::InvalidMode(words.to_owned())),
        None => Ok(MountSource::Bind(BindSource {
            path: PathBuf::from(clean(path)),
            propagation: mode.propagation.unwrap_or_default(),
            recursive: true,
            create: true,
        })),
    }
}

fn volume(name: &str, words: &str, mode: &Mode) -> Result<MountSource, Error> {
    if mode.propagation.is_some() {
        return Err(Error::InvalidMode(words.to_owned()));
    }
    Ok(MountSource::Volume(VolumeSource {
        name: Some(name.parse().map_err(Error::Volume)?),
        driver: String::new(),
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        copy: mode.copy.unwrap_or(Copy::FromImage),
        subpath: None,
        propagation: Propagation::RPrivate,
    }))
}

impl Mode {
    /// Sorts the words; each sort of word may stand once.
    fn parse(words: &str) -> Result<Self, Error> {
        let refuse = || Error::InvalidMode(words.to_owned());
        let mut mode = Self::default();
        for word in words.split(',').filter(|_| !words.is_empty()) {
            let again = match word {
                "ro" | "rw" => mode.access.replace(word == "ro").is_some(),
                // SELinux: sharing labels mean nothing without it, as in Docker.
                "z" | "Z" => mode.label.replace(word == "Z").is_some(),
                "nocopy" => mode.copy.replace(Copy::Nothing).is_some(),
                // File sharing of the desktop products.
                "consistent" | "cached" | "delegated" => false,
                word => {
                    let propagation = Propagation::parse(word).ok_or_else(refuse)?;
                    mode.propagation.replace(propagation).is_some()
                }
            };
            if again {
                return Err(refuse());
            }
        }
        Ok(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(spec: &str) -> String {
        parse(spec).unwrap_err().to_string()
    }

    #[test]
    fn a_path_is_bound_and_a_name_is_a_volume() {
        let bound = parse("/data/:/srv/data:ro,rshared").unwrap();
        let MountSource::Bind(source) = &bound.source else {
            panic!()
        };
        assert_eq!((source.path.to_str(), source.create), (Some("/data"), true));
        assert_eq!(source.propagation, Propagation::RShared);
        assert_eq!(bound.read_only, ReadOnly::Recursive);
        let named = parse("store:/srv:nocopy").unwrap();
        let MountSource::Volume(volume) = named.source else {
            panic!()
        };
        assert_eq!(
            (volume.name.unwrap().as_str(), volume.copy),
            ("store", Copy::Nothing)
        );
    }

    #[test]
    fn a_path_alone_is_an_anonymous_volume() {
        let mount = parse("/cache").unwrap();
        assert!(matches!(
            mount.source,
            MountSource::Volume(VolumeSource { name: None, .. })
        ));
    }

    #[test]
    fn odd_forms_are_refused_in_dockers_words() {
        assert_eq!(refusal("/a:/b:foo"), "invalid mode: foo");
        assert_eq!(refusal("/a:/b:ro,rw"), "invalid mode: ro,rw");
        assert_eq!(
            refusal("a:b:c:d"),
            "invalid volume specification: 'a:b:c:d'"
        );
        assert_eq!(
            refusal("/a:b"),
            r#"invalid volume specification: '/a:b': invalid mount config for type "bind": invalid mount path: 'b' mount path must be absolute"#
        );
        assert_eq!(
            refusal("/a:/"),
            r#"invalid volume specification: '/a:/': invalid mount config for type "bind": invalid specification: destination can't be '/'"#
        );
        assert!(refusal("a/b:/c").contains("includes invalid characters for a local volume name"));
        assert_eq!(refusal("vol:/c:rshared"), "invalid mode: rshared");
    }
}
