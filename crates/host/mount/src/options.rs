//! Reads the options of a mount as an OCI spec lists them.

use rustix::mount::{MountAttrFlags, MountPropagationFlags};

/// How mounts made later spread between copies of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    pub(crate) kind: MountPropagationFlags,
    pub(crate) recursive: bool,
}

impl Propagation {
    /// Nothing spreads, in the whole tree.
    pub const PRIVATE_ALL: Self = Self {
        kind: MountPropagationFlags::PRIVATE,
        recursive: true,
    };
    /// The host's later mounts arrive, ours do not leave, in the whole tree.
    pub const SLAVE_ALL: Self = Self {
        kind: MountPropagationFlags::DOWNSTREAM,
        recursive: true,
    };

    /// Reads `rprivate`, `slave`, …
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, recursive) = match text.strip_prefix('r') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let kind = match name {
            "private" => MountPropagationFlags::PRIVATE,
            "slave" => MountPropagationFlags::DOWNSTREAM,
            "shared" => MountPropagationFlags::SHARED,
            "unbindable" => MountPropagationFlags::UNBINDABLE,
            _other => return None,
        };
        Some(Self { kind, recursive })
    }

    /// Reports whether mounts made inside reach the host.
    #[must_use]
    pub fn is_shared(self) -> bool {
        self.kind == MountPropagationFlags::SHARED
    }
}

/// The options of one mount, sorted by what they act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Attributes of this mount.
    pub set: MountAttrFlags,
    /// Attributes to take away from it.
    pub clear: MountAttrFlags,
    /// Attributes of all mounts below as well, such as `rro`.
    pub set_all: MountAttrFlags,
    /// A bind of the source, with (`Some(true)`) or without what is mounted below it.
    pub bind: Option<bool>,
    /// How it spreads.
    pub propagation: Vec<Propagation>,
    /// What the file system itself reads: a flag or a key and value.
    pub data: Vec<(String, Option<String>)>,
    /// Fill a tmpfs with what the image has there.
    pub copy_up: bool,
    /// The source's path was followed before, and a link that stands on it since is an attack.
    pub plain: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            set: MountAttrFlags::empty(),
            clear: MountAttrFlags::empty(),
            set_all: MountAttrFlags::empty(),
            bind: None,
            propagation: Vec::new(),
            data: Vec::new(),
            copy_up: false,
            plain: false,
        }
    }
}

impl Options {
    /// Sorts the options of a list.
    pub fn parse<'a>(list: impl IntoIterator<Item = &'a str>) -> Self {
        let mut options = Self::default();
        for option in list {
            options.add(option);
        }
        options
    }

    fn add(&mut self, option: &str) {
        if let Some(propagation) = Propagation::parse(option) {
            self.propagation.push(propagation);
        } else if let Some((flag, on)) = attribute(option) {
            self.change(flag, on);
        } else if let Some((flag, _on)) = option.strip_prefix('r').and_then(recursive_attribute) {
            self.set_all |= flag;
        } else {
            self.add_other(option);
        }
    }

    fn change(&mut self, flag: MountAttrFlags, on: bool) {
        let (into, out_of) = if on {
            (&mut self.set, &mut self.clear)
        } else {
            (&mut self.clear, &mut self.set)
        };
        into.insert(flag);
        out_of.remove(flag);
    }

    fn add_other(&mut self, option: &str) {
        match option {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "tmpcopyup" => self.copy_up = true,
            "x-hakone-plain" => self.plain = true,
            // Defaults, and words for tools that mount by a table.
            "defaults" | "async" | "remount" | "nomand" | "norelatime" | "nostrictatime"
            | "loud" | "nolazytime" | "auto" | "noauto" | "user" | "nouser" => {}
            _data => {
                let (key, value) = match option.split_once('=') {
                    Some((key, value)) => (key, Some(value.to_owned())),
                    None => (option, None),
                };
                self.data.push((key.to_owned(), value));
            }
        }
    }
}

fn attribute(option: &str) -> Option<(MountAttrFlags, bool)> {
    Some(match option {
        "ro" => (MountAttrFlags::MOUNT_ATTR_RDONLY, true),
        "rw" => (MountAttrFlags::MOUNT_ATTR_RDONLY, false),
        "nosuid" => (MountAttrFlags::MOUNT_ATTR_NOSUID, true),
        "suid" => (MountAttrFlags::MOUNT_ATTR_NOSUID, false),
        "nodev" => (MountAttrFlags::MOUNT_ATTR_NODEV, true),
        "dev" => (MountAttrFlags::MOUNT_ATTR_NODEV, false),
        "noexec" => (MountAttrFlags::MOUNT_ATTR_NOEXEC, true),
        "exec" => (MountAttrFlags::MOUNT_ATTR_NOEXEC, false),
        "noatime" => (MountAttrFlags::MOUNT_ATTR_NOATIME, true),
        "nodiratime" => (MountAttrFlags::MOUNT_ATTR_NODIRATIME, true),
        "diratime" => (MountAttrFlags::MOUNT_ATTR_NODIRATIME, false),
        "strictatime" => (MountAttrFlags::MOUNT_ATTR_STRICTATIME, true),
        // The kernel's default.
        "relatime" | "atime" => (MountAttrFlags::empty(), true),
        "nosymfollow" => (MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, true),
        _other => return None,
    })
}

/// `rro`, `rnosuid`, … without their first letter; only the setting ones exist.
fn recursive_attribute(option: &str) -> Option<(MountAttrFlags, bool)> {
    attribute(option).filter(|(flag, on)| *on && !flag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_bind_is_recursive_private_and_read_only() {
        let options = Options::parse(["rbind", "ro", "rprivate"]);
        assert_eq!(options.bind, Some(true));
        assert_eq!(options.set, MountAttrFlags::MOUNT_ATTR_RDONLY);
        assert_eq!(options.propagation, [Propagation::PRIVATE_ALL]);
        assert!(options.data.is_empty());
    }

    #[test]
    fn the_last_of_two_opposites_wins() {
        let options = Options::parse(["ro", "rw"]);
        assert!(options.set.is_empty());
        assert_eq!(options.clear, MountAttrFlags::MOUNT_ATTR_RDONLY);
    }

    #[test]
    fn what_is_not_ours_is_the_file_systems() {
        let options = Options::parse(["nosuid", "size=65536k", "newinstance"]);
        let wanted = [
            ("size".to_owned(), Some("65536k".to_owned())),
            ("newinstance".to_owned(), None),
        ];
        assert_eq!(options.data, wanted);
    }

    #[test]
    fn recursive_read_only_is_for_the_whole_tree() {
        let options = Options::parse(["rbind", "rro"]);
        assert_eq!(options.set_all, MountAttrFlags::MOUNT_ATTR_RDONLY);
    }
}
