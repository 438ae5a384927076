//! `VolumeDriver.*`: what is asked of a volume plugin and what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::nullable;

/// `VolumeDriver.Create`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Created<'a> {
    /// The volume.
    pub name: &'a str,
    /// The driver's options.
    pub opts: &'a BTreeMap<String, String>,
}

/// `VolumeDriver.Remove`, `Path`, `Get`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Named<'a> {
    /// The volume.
    pub name: &'a str,
}

/// `VolumeDriver.Mount`, `Unmount`: with the id of the user, so that a plugin can count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mounting<'a> {
    /// The volume.
    pub name: &'a str,
    /// Whose mount it is.
    #[serde(rename = "ID")]
    pub id: &'a str,
}

/// The reply to `Mount` and `Path`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountReply {
    /// The folder on the host.
    #[serde(deserialize_with = "nullable")]
    pub mountpoint: String,
}

/// A volume as its plugin tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RemoteVolume {
    /// Its name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Where it is mounted, if it is.
    #[serde(deserialize_with = "nullable")]
    pub mountpoint: String,
    /// Whatever the plugin wants to tell.
    #[serde(deserialize_with = "nullable")]
    pub status: BTreeMap<String, Value>,
}

/// The reply to `Get`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeReply {
    /// The volume.
    pub volume: Option<RemoteVolume>,
}

/// The reply to `List`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumesReply {
    /// All of them.
    #[serde(deserialize_with = "nullable")]
    pub volumes: Vec<RemoteVolume>,
}

/// The reply to `Capabilities`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CapabilitiesReply {
    /// What it can do.
    pub capabilities: Capability,
}

/// How far a plugin's volumes reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Capability {
    /// `local` or `global`.
    #[serde(deserialize_with = "nullable")]
    pub scope: String,
}

impl Capability {
    /// Reports whether the volumes are the same on every host.
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.scope.eq_ignore_ascii_case("global")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_nulls_are_empty() {
        let reply: VolumesReply = serde_json::from_str(r#"{"Volumes":null,"Err":""}"#).unwrap();
        assert!(reply.volumes.is_empty());
        let text = r#"{"Volumes":[{"Name":"a","Mountpoint":"","Status":null}]}"#;
        let reply: VolumesReply = serde_json::from_str(text).unwrap();
        assert_eq!(reply.volumes.first().unwrap().name, "a");
    }

    #[test]
    fn questions_have_dockers_keys() {
        let mounting = Mounting { name: "v", id: "i" };
        assert_eq!(
            serde_json::to_string(&mounting).unwrap(),
            r#"{"Name":"v","ID":"i"}"#
        );
    }
}
