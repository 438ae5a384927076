//! What is stored of a volume: what the user asked for and when.

use std::collections::BTreeMap;

use hakone_base::{ContainerId, Timestamp, VolumeName};
use serde::{Deserialize, Serialize};

use crate::{
    mount,
    options::LocalOptions,
    remote::{LOCAL, is_remote},
};

/// The label of a volume that nobody named.
pub(crate) const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub name: VolumeName,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The driver's options as typed.
    pub options: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
    /// The container that an anonymous volume was made for, until that lets it go: with neither the container nor its
    /// word, it is the leaving of a crash.
    #[serde(default)]
    pub maker: Option<ContainerId>,
    /// The project that bounds its size.
    #[serde(default)]
    pub project: Option<u32>,
    /// Its driver: `local`, or a plugin.
    #[serde(default = "local")]
    pub driver: String,
    /// Whether the plugin's volumes are the same on every host.
    #[serde(default)]
    pub global: bool,
    /// By which id the plugin knows our mount.
    #[serde(default)]
    pub mount_id: Option<String>,
}

fn local() -> String {
    LOCAL.to_owned()
}

impl hakone_store::Record for Record {
    const SCHEMA: u32 = 1;
}

impl Record {
    /// Reports whether nobody named this volume.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS)
    }

    /// Reports whether it shows a folder of the host, which is there for others, too.
    pub(crate) fn is_of_host(&self) -> bool {
        matches!(self.local(), LocalOptions::Mount { data, .. } if mount::is_bind(&data))
    }

    /// Reads the options again; they were checked when the volume was made.
    pub(crate) fn local(&self) -> LocalOptions {
        match is_remote(&self.driver) {
            true => LocalOptions::default(),
            false => LocalOptions::parse(self.name.as_str(), &self.options).unwrap_or_default(),
        }
    }
}
