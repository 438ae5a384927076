//! What is stored of a container: what the user asked for, what was made of it, where it stands.
//!
//! The request is kept as it came, merged with the image's defaults as inspect shows it; the specification is derived
//! from it at each start and never stored. Saved with [`Durability::Process`]: a power cut ends the container anyway
//! and what it wrote is not synced by us either, so an `fsync` on the start path would buy nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use hakone_base::{ContainerId, ContainerName, Digest, Timestamp};
use hakone_container_model::{health::Health, run::Run, state::State};
use hakone_engine_api::wire;
use hakone_store::Durability;
use serde::{Deserialize, Serialize};

use crate::{Network, Replug, Sandbox};

/// The record's file in the container's folder.
pub const FILE: &str = "container.json";

/// A container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: ContainerId,
    /// Its name, without slash.
    pub name: ContainerName,
    /// When it was made.
    pub created: Timestamp,
    /// The image's id.
    pub image: Digest,
    /// The image as the user typed it.
    pub image_reference: String,
    /// The request as it came: what the specification is derived from.
    pub asked: wire::ContainerConfig,
    /// The request filled up with the image's defaults: what inspect shows.
    pub config: wire::ContainerConfig,
    /// How it is to be run.
    pub host: wire::HostConfig,
    /// Networks asked for, by name or id as typed; connect and disconnect change them.
    pub networks: BTreeMap<String, wire::EndpointSettings>,
    /// Whether the engine made it for itself.
    #[serde(default)]
    pub engine: bool,
    /// The program and its arguments after merging.
    pub command: Vec<String>,
    /// What is mounted where.
    pub mounts: Vec<Mount>,
    /// Where it stands.
    pub state: State,
    /// The present run, or the last one.
    pub run: Run,
    /// How often a policy started it again.
    pub restarts: u32,
    /// Whether the user stopped it, which a restart policy respects.
    pub stopped: bool,
    /// What its probes say.
    pub health: Option<Health>,
    /// Its network while it runs.
    pub sandbox: Option<Sandbox>,
    /// Whether a removal under way takes its anonymous volumes along.
    #[serde(default)]
    pub volumes_go: bool,
    /// A change of its networks under way, said before anything is touched.
    #[serde(default)]
    pub replugging: Option<Replugging>,
    /// The manifest of its image, when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<wire::OciDescriptor>,
}

/// A change of a running container's networks that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replugging {
    /// What is done.
    pub change: Replug,
    /// To which network.
    pub network: Network,
}

/// A mount of a container, its source resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// The volume's name.
    pub name: Option<String>,
    /// The path on the host; empty for a tmpfs.
    pub source: String,
    /// Where it is inside.
    pub destination: String,
    /// The volume's driver.
    pub driver: Option<String>,
    /// The mode part of a bind as typed.
    pub mode: String,
    /// Whether the container may write.
    pub writable: bool,
    /// How mounts spread between inside and outside.
    pub propagation: String,
    /// Whether the volume was made for this container alone and goes with it.
    pub anonymous: bool,
    /// Whether an empty volume is filled from the image.
    pub copy_up: bool,
    /// What an image mount shows, whose `source` is the image's id.
    #[serde(default)]
    pub image: Option<MountedImage>,
}

/// An image that a container shows besides its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountedImage {
    /// Its name as typed.
    pub reference: String,
    /// The part of it that is shown.
    pub subpath: Option<PathBuf>,
}

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A volume.
    Volume,
    /// Memory.
    Tmpfs,
    /// The root of an image.
    Image,
}

impl MountKind {
    /// Gives the word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Tmpfs => "tmpfs",
            Self::Image => "image",
        }
    }
}

impl hakone_store::Record for Record {
    const SCHEMA: u32 = 1;
}

impl Record {
    /// Writes the record into the container's folder.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn save(&self, folder: &Path) -> Result<(), hakone_store::Error> {
        hakone_store::save(&folder.join(FILE), self, Durability::Process)
    }

    /// Gives a label's value.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// Reports whether it is on a network, by whatever word the user named it.
    #[must_use]
    pub fn knows_network(&self, id: &str, name: &str) -> bool {
        let on = |known: &String| known == name || known == id;
        self.networks.keys().any(on)
    }

    /// Forgets that it is on a network, by whatever word the user named it.
    pub fn leave_network(&mut self, network: &Network) {
        let names = [network.name.as_str(), network.id.as_str()];
        self.networks
            .retain(|name, _| !names.contains(&name.as_str()));
    }

    /// Reports whether it goes when it ends.
    #[must_use]
    pub fn auto_remove(&self) -> bool {
        self.host.auto_remove.unwrap_or(false)
    }

    /// Reports whether it has a terminal.
    #[must_use]
    pub fn terminal(&self) -> bool {
        self.config.tty.unwrap_or(false)
    }

    /// Gives the log driver.
    #[must_use]
    pub fn log_driver(&self) -> &str {
        let config = self.host.log_config.as_ref();
        config
            .and_then(|log| log.typ.as_deref())
            .filter(|name| !name.is_empty())
            .unwrap_or("json-file")
    }
}
