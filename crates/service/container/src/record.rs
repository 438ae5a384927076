//! What is stored of a container: what the user asked for, what was made of it, where it stands.
//!
//! The request is kept as it came, merged with the image's defaults as inspect shows it; the specification is derived
//! from it at each start and never stored. Saved with [`Durability::Process`]: a power cut ends the container anyway
//! and what it wrote is not synced by us either, so an `fsync` on the start path would buy nothing.

use std::{collections::BTreeMap, path::Path};

use hakone_base::{ContainerId, ContainerName, Digest, Timestamp};
use hakone_engine_api::wire;
use hakone_store::Durability;
use serde::{Deserialize, Serialize};

use crate::{Error, Network, Replug, Sandbox, health::Health, run::Run, state::State};

/// The record's file in the container's folder.
pub(crate) const FILE: &str = "container.json";

/// A container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: ContainerId,
    pub(crate) name: ContainerName,
    pub(crate) created: Timestamp,
    /// The image's id.
    pub(crate) image: Digest,
    /// The image as the user typed it.
    pub(crate) image_reference: String,
    /// The request as it came: what the specification is derived from.
    pub(crate) asked: wire::ContainerConfig,
    /// The request filled up with the image's defaults: what inspect shows.
    pub(crate) config: wire::ContainerConfig,
    pub(crate) host: wire::HostConfig,
    /// Networks asked for, by name or id as typed; connect and disconnect change them.
    pub(crate) networks: BTreeMap<String, wire::EndpointSettings>,
    /// The program and its arguments after merging.
    pub(crate) command: Vec<String>,
    /// What is mounted where.
    pub(crate) mounts: Vec<Mount>,
    pub(crate) state: State,
    pub(crate) run: Run,
    pub(crate) restarts: u32,
    /// Whether the user stopped it, which a restart policy respects.
    pub(crate) stopped: bool,
    pub(crate) health: Option<Health>,
    /// Its network while it runs.
    pub(crate) sandbox: Option<Sandbox>,
    /// Whether a removal under way takes its anonymous volumes along.
    #[serde(default)]
    pub(crate) volumes_go: bool,
    /// A change of its networks under way, said before anything is touched.
    #[serde(default)]
    pub(crate) replugging: Option<Replugging>,
}

/// A change of a running container's networks that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replugging {
    pub(crate) change: Replug,
    pub(crate) network: Network,
}

/// A mount of a container, its source resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mount {
    pub(crate) kind: MountKind,
    /// The volume's name.
    pub(crate) name: Option<String>,
    /// The path on the host; empty for a tmpfs.
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) driver: Option<String>,
    /// The mode part of a bind as typed.
    pub(crate) mode: String,
    pub(crate) writable: bool,
    pub(crate) propagation: String,
    /// Whether the volume was made for this container alone and goes with it.
    pub(crate) anonymous: bool,
    /// Whether an empty volume is filled from the image.
    pub(crate) copy_up: bool,
}

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MountKind {
    /// A path of the host.
    Bind,
    /// A volume.
    Volume,
    /// Memory.
    Tmpfs,
}

impl MountKind {
    /// Gives the word of the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Tmpfs => "tmpfs",
        }
    }
}

impl hakone_store::Record for Record {
    const SCHEMA: u32 = 1;
}

impl Record {
    /// Writes the record into the container's folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), Error> {
        Ok(hakone_store::save(
            &folder.join(FILE),
            self,
            Durability::Process,
        )?)
    }

    /// Gives a label's value.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// Reports whether it is on a network, by whatever word the user named it.
    pub(crate) fn knows_network(&self, id: &str, name: &str) -> bool {
        let on = |known: &String| known == name || known == id;
        self.networks.keys().any(on)
    }

    /// Forgets that it is on a network, by whatever word the user named it.
    pub(crate) fn leave_network(&mut self, network: &Network) {
        let names = [network.name.as_str(), network.id.as_str()];
        self.networks
            .retain(|name, _| !names.contains(&name.as_str()));
    }

    /// Reports whether it goes when it ends.
    pub(crate) fn auto_remove(&self) -> bool {
        self.host.auto_remove.unwrap_or(false)
    }

    /// Reports whether it has a terminal.
    pub(crate) fn terminal(&self) -> bool {
        self.config.tty.unwrap_or(false)
    }

    /// Gives the log driver.
    pub(crate) fn log_driver(&self) -> &str {
        let config = self.host.log_config.as_ref();
        config
            .and_then(|log| log.typ.as_deref())
            .filter(|name| !name.is_empty())
            .unwrap_or("json-file")
    }
}
