//! `-v`, `--mount`, `--tmpfs`, image volumes and `--volumes-from`: what the container sees besides its root.

use std::{collections::BTreeMap, path::PathBuf};

use hakone_base::VolumeName;

mod bind;
mod collect;
mod image;
mod tmpfs;
mod typed;

pub(crate) use collect::collect;

use crate::Error;

/// One mount of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// Where it appears, absolute and without `.`, `..` or doubled slashes.
    pub target: String,
    /// What appears there.
    pub source: MountSource,
    /// Whether the container may write.
    pub read_only: ReadOnly,
    /// Which option of the request it came from.
    pub origin: MountType,
    /// The mode as the user typed it in `-v`, echoed by inspect.
    pub mode: String,
}

/// Which option a mount came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountType {
    /// `-v`.
    Bind,
    /// `--mount`.
    Typed,
    /// `--tmpfs`.
    Tmpfs,
    /// A volume that the image or `-v /path` asks for.
    Anonymous,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A file or folder of the host.
    Bind(BindSource),
    /// A volume.
    Volume(VolumeSource),
    /// The root of an image, to be read.
    Image(ImageSource),
    /// Memory, with the options of tmpfs(5).
    Tmpfs {
        /// Options as the kernel takes them.
        options: Vec<String>,
    },
}

/// A file or folder of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindSource {
    /// Its absolute path.
    pub path: PathBuf,
    /// How later mounts travel.
    pub propagation: Propagation,
    /// Whether mounts below the source come along.
    pub recursive: bool,
    /// Whether a missing source is made as a folder (`-v`) or refused (`--mount`).
    pub create: bool,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSource {
    /// Its name; an anonymous one when absent.
    pub name: Option<VolumeName>,
    /// Labels for a volume made now.
    pub labels: BTreeMap<String, String>,
    /// The driver of a volume made now; empty means `local`.
    pub driver: String,
    /// Options of the driver for a volume made now.
    pub options: BTreeMap<String, String>,
    /// Whether an empty volume is filled from the image.
    pub copy: Copy,
    /// A folder in the volume, relative, without `..`.
    pub subpath: Option<PathBuf>,
    /// How later mounts travel.
    pub propagation: Propagation,
}

/// An image that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSource {
    /// Its name or id, as typed.
    pub reference: String,
    /// A file or folder in it, relative, without `..`.
    pub subpath: Option<PathBuf>,
}

/// Whether an empty volume is filled with what the image has at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// Docker's default.
    FromImage,
    /// `nocopy`.
    Nothing,
}

/// Whether a mount is read-only, and how far down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {
    /// Writable.
    No,
    /// The mounts below as well, where the kernel can (5.12 and later).
    Recursive,
    /// The mount itself only.
    Top,
    /// The mounts below as well, or the container does not start.
    ForceRecursive,
}

/// How mounts made later travel between host and container (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all, the mount itself.
    Private,
    /// Not at all, with the mounts below: the default.
    #[default]
    RPrivate,
    /// Both ways.
    Shared,
    /// Both ways, with the mounts below.
    RShared,
    /// Into the container.
    Slave,
    /// Into the container, with the mounts below.
    RSlave,
}

/// `--volumes-from container[:ro|rw]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumesFrom {
    /// The container's name or id.
    pub container: String,
    /// Whether its volumes become read-only here.
    pub read_only: bool,
}

impl Propagation {
    /// Gives the word of options and inspect.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::RPrivate => "rprivate",
            Self::Shared => "shared",
            Self::RShared => "rshared",
            Self::Slave => "slave",
            Self::RSlave => "rslave",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Private,
            Self::RPrivate,
            Self::Shared,
            Self::RShared,
            Self::Slave,
            Self::RSlave,
        ];
        all.into_iter()
            .find(|propagation| propagation.as_str() == word)
    }
}

impl VolumesFrom {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let (container, mode) = text.split_once(':').unwrap_or((text, "rw"));
        if container.is_empty() {
            return Err(Error::VolumesFromEmpty);
        }
        let modes = || mode.split(',');
        let known = |word: &str| matches!(word, "ro" | "rw" | "z" | "Z" | "nocopy");
        match modes().all(known) {
            true => Ok(Self {
                container: container.to_owned(),
                read_only: modes().any(|word| word == "ro"),
            }),
            false => Err(Error::VolumesFromMode(mode.to_owned())),
        }
    }
}

/// Cleans an absolute path by its text: no `.`, no `..`, no doubled or trailing slash.
pub(crate) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Checks where a mount appears and cleans the path.
fn target(path: &str) -> Result<String, Error> {
    match path {
        "" => Err(Error::MountField("Target")),
        path if !path.starts_with('/') => Err(Error::MountPath(path.to_owned())),
        path => match clean(path).as_str() {
            "/" => Err(Error::MountRoot),
            path => Ok(path.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cleaned_by_its_text() {
        assert_eq!(clean("/a//b/./c/../d/"), "/a/b/d");
        assert_eq!(clean("/../.."), "/");
        assert!(matches!(target("/x/.."), Err(Error::MountRoot)));
    }

    #[test]
    fn volumes_from_takes_a_mode() {
        let parsed = VolumesFrom::parse("db:ro").unwrap();
        assert!(parsed.read_only);
        assert!(VolumesFrom::parse("db:bogus").is_err());
        assert!(VolumesFrom::parse("").is_err());
    }
}
