//! Judges the volumes that a plugin says it has: they are shown to users, and their names become folders of ours.

use std::collections::BTreeMap;

use hakone_base::VolumeName;

use crate::{RemoteVolume, VolumesReply, judge_mountpoint};

/// How many volumes of one plugin are believed.
const MOST: usize = 4096;

/// The volumes of a plugin that can be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// By name, each once.
    pub volumes: BTreeMap<VolumeName, RemoteVolume>,
    /// How many were left out: their names are none, come again, or are too many.
    pub odd: usize,
}

/// Judges the reply to `List`.
#[must_use]
pub fn judge(reply: VolumesReply) -> Listed {
    let mut listed = Listed::default();
    for volume in reply.volumes {
        let name: Option<VolumeName> = volume.name.parse().ok();
        let name =
            name.filter(|name| listed.volumes.len() < MOST && !listed.volumes.contains_key(name));
        match name {
            Some(name) => drop(listed.volumes.insert(name, plain(volume))),
            None => listed.odd += 1,
        }
    }
    listed
}

/// Judges the reply to `Get` about a volume; one of another name is none.
#[must_use]
pub fn judge_found(name: &VolumeName, volume: RemoteVolume) -> Option<RemoteVolume> {
    let same = volume.name.is_empty() || volume.name == name.as_str();
    same.then(|| plain(volume))
}

/// Leaves out what is no path that anybody should be shown.
fn plain(volume: RemoteVolume) -> RemoteVolume {
    let mountpoint = match judge_mountpoint(&volume.mountpoint, &[]) {
        Ok(_) => volume.mountpoint,
        Err(_) => String::new(),
    };
    RemoteVolume {
        mountpoint,
        ..volume
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str, mountpoint: &str) -> RemoteVolume {
        RemoteVolume {
            name: name.into(),
            mountpoint: mountpoint.into(),
            ..RemoteVolume::default()
        }
    }

    #[test]
    fn names_that_are_none_or_come_again_are_left_out() {
        let volumes = ["aa", "../b", "", "aa", "c d", "ee"].map(|name| volume(name, "/x"));
        let listed = judge(VolumesReply {
            volumes: volumes.into(),
        });
        let names: Vec<_> = listed.volumes.keys().map(VolumeName::as_str).collect();
        assert_eq!((names, listed.odd), (vec!["aa", "ee"], 4));
    }

    #[test]
    fn too_many_are_left_out() {
        let volumes = (0..MOST + 5).map(|number| volume(&format!("v{number}"), ""));
        let listed = judge(VolumesReply {
            volumes: volumes.collect(),
        });
        assert_eq!((listed.volumes.len(), listed.odd), (MOST, 5));
    }

    #[test]
    fn a_volume_of_another_name_is_none_and_a_path_of_the_hosts_is_not_shown() {
        let name: VolumeName = "aa".parse().unwrap();
        assert_eq!(judge_found(&name, volume("bb", "/x")), None);
        let found = judge_found(&name, volume("", "/mnt/a")).unwrap();
        assert_eq!(found.mountpoint, "/mnt/a");
        let found = judge_found(&name, volume("aa", "/etc")).unwrap();
        assert_eq!(found.mountpoint, "");
    }
}
