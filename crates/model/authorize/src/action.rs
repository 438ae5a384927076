//! The vocabulary of what can be asked: each endpoint belongs to one action, each action to the least role that has it.
//!
//! Rule files speak in these words (`container.exec`, `image.*`). The routing table maps every endpoint to one of them in a match
//! without a default, so that an endpoint without its action does not compile.

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Whether the daemon is there.
    Ping,
    /// Version and facts of the daemon.
    SystemRead,
    /// The stream of events.
    Events,
    /// What takes up the disk.
    DiskUsage,
    /// The daemon's own variables.
    Debug,
    /// Which plugins there are.
    PluginRead,
    /// Managed plugins.
    PluginManage,
    /// A password tried at a registry.
    Login,
    /// Containers listed.
    ContainerList,
    /// One container shown: its configuration, processes, figures, end.
    ContainerInspect,
    /// What a container wrote.
    ContainerLogs,
    /// A container made.
    ContainerCreate,
    /// A container started, stopped, signalled, frozen, renamed.
    ContainerControl,
    /// A container's limits changed.
    ContainerUpdate,
    /// A container removed.
    ContainerRemove,
    /// Stopped containers removed.
    ContainerPrune,
    /// A container's streams.
    ContainerAttach,
    /// A container's files, in and out.
    ContainerFiles,
    /// An image made of a container.
    ContainerCommit,
    /// A command run in a container.
    ContainerExec,
    /// Images listed.
    ImageList,
    /// One image shown.
    ImageInspect,
    /// An image fetched by its name.
    ImagePull,
    /// A registry asked for names or manifests.
    ImageSearch,
    /// An image made of a file tree.
    ImageImport,
    /// Images unpacked from an archive under the names in it.
    ImageLoad,
    /// Images packed.
    ImageSave,
    /// A name given to an image.
    ImageTag,
    /// An image removed.
    ImageRemove,
    /// An image sent to a registry.
    ImagePush,
    /// Unused images removed.
    ImagePrune,
    /// An image built.
    ImageBuild,
    /// Builds in BuildKit's protocol, into which no rule looks: whoever has this builds with everything and under any name.
    BuildSession,
    /// Networks listed.
    NetworkList,
    /// One network shown.
    NetworkInspect,
    /// A network made.
    NetworkCreate,
    /// A container plugged into a network, or out of it.
    NetworkConnect,
    /// A network removed.
    NetworkRemove,
    /// Unused networks removed.
    NetworkPrune,
    /// Volumes listed.
    VolumeList,
    /// One volume shown.
    VolumeInspect,
    /// A volume made.
    VolumeCreate,
    /// A volume's properties or keys changed.
    VolumeUpdate,
    /// A volume removed.
    VolumeRemove,
    /// Unused volumes removed.
    VolumePrune,
    /// Policies, flows and reach shown.
    SecurityRead,
    /// Policies changed, attacks run.
    SecurityWrite,
    /// Everything of a swarm.
    Swarm,
}

/// How much power an action takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// None: it tells that the daemon lives.
    Anyone,
    /// To look.
    Reader,
    /// To run containers that cannot reach the host.
    Operator,
    /// All: it is as good as root on the host.
    Admin,
}

impl Action {
    /// Every action with its word and the least role that has it.
    pub const ALL: [(Self, &'static str, Level); 48] = [
        (Self::Ping, "system.ping", Level::Anyone),
        (Self::SystemRead, "system.read", Level::Reader),
        (Self::Events, "system.events", Level::Reader),
        (Self::DiskUsage, "system.df", Level::Reader),
        (Self::Debug, "system.debug", Level::Admin),
        (Self::PluginRead, "plugin.read", Level::Reader),
        (Self::PluginManage, "plugin.manage", Level::Admin),
        (Self::Login, "system.login", Level::Operator),
        (Self::ContainerList, "container.list", Level::Reader),
        (Self::ContainerInspect, "container.inspect", Level::Reader),
        (Self::ContainerLogs, "container.logs", Level::Reader),
        (Self::ContainerCreate, "container.create", Level::Operator),
        (Self::ContainerControl, "container.control", Level::Operator),
        (Self::ContainerUpdate, "container.update", Level::Operator),
        (Self::ContainerRemove, "container.remove", Level::Operator),
        (Self::ContainerPrune, "container.prune", Level::Operator),
        (Self::ContainerAttach, "container.attach", Level::Operator),
        (Self::ContainerFiles, "container.files", Level::Operator),
        (Self::ContainerCommit, "container.commit", Level::Admin),
        (Self::ContainerExec, "container.exec", Level::Operator),
        (Self::ImageList, "image.list", Level::Reader),
        (Self::ImageInspect, "image.inspect", Level::Reader),
        (Self::ImagePull, "image.pull", Level::Operator),
        (Self::ImageSearch, "image.search", Level::Operator),
        (Self::ImageImport, "image.import", Level::Admin),
        (Self::ImageLoad, "image.load", Level::Admin),
        (Self::ImageSave, "image.save", Level::Admin),
        (Self::ImageTag, "image.tag", Level::Admin),
        (Self::ImageRemove, "image.remove", Level::Admin),
        (Self::ImagePush, "image.push", Level::Admin),
        (Self::ImagePrune, "image.prune", Level::Admin),
        (Self::ImageBuild, "image.build", Level::Admin),
        (Self::BuildSession, "build.session", Level::Admin),
        (Self::NetworkList, "network.list", Level::Reader),
        (Self::NetworkInspect, "network.inspect", Level::Reader),
        (Self::NetworkCreate, "network.create", Level::Operator),
        (Self::NetworkConnect, "network.connect", Level::Operator),
        (Self::NetworkRemove, "network.remove", Level::Operator),
        (Self::NetworkPrune, "network.prune", Level::Operator),
        (Self::VolumeList, "volume.list", Level::Reader),
        (Self::VolumeInspect, "volume.inspect", Level::Reader),
        (Self::VolumeCreate, "volume.create", Level::Operator),
        (Self::VolumeUpdate, "volume.update", Level::Admin),
        (Self::VolumeRemove, "volume.remove", Level::Operator),
        (Self::VolumePrune, "volume.prune", Level::Operator),
        (Self::SecurityRead, "security.read", Level::Admin),
        (Self::SecurityWrite, "security.write", Level::Admin),
        (Self::Swarm, "swarm", Level::Admin),
    ];

    fn row(self) -> Option<&'static (Self, &'static str, Level)> {
        Self::ALL.iter().find(|(action, _, _)| *action == self)
    }

    /// Gives the word of rule files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().map_or("unknown", |row| row.1)
    }

    /// Gives the least role that has it; what stands in no row is the administrator's.
    #[must_use]
    pub fn level(self) -> Level {
        self.row().map_or(Level::Admin, |row| row.2)
    }

    /// Reports whether it takes everything of a kind, so that only a label can bound it.
    #[must_use]
    pub const fn is_sweeping(self) -> bool {
        matches!(
            self,
            Self::ContainerPrune | Self::NetworkPrune | Self::VolumePrune
        )
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_has_an_action_and_a_word_of_its_own() {
        let actions: BTreeSet<Action> = Action::ALL.iter().map(|row| row.0).collect();
        let words: BTreeSet<&str> = Action::ALL.iter().map(|row| row.1).collect();
        assert_eq!((actions.len(), words.len()), (48, 48));
    }

    #[test]
    fn what_changes_images_is_the_administrators() {
        for (action, word, level) in Action::ALL {
            if word.starts_with("image.") && level < Level::Admin {
                assert!(
                    matches!(
                        action,
                        Action::ImageList
                            | Action::ImageInspect
                            | Action::ImagePull
                            | Action::ImageSearch
                    ),
                    "{word}"
                );
            }
        }
    }
}
