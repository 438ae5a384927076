//! Judges volumes: a volume may be a folder of the engine's or memory. One with a device, a bind or another driver is a way to the
//! host, whoever made it.

use serde_json::Value;

use crate::{
    Denial, Facts, Grant, VolumeFacts,
    value::{labels, says_nothing},
};

impl Grant {
    /// Judges the creation of a volume, and gives it the scope's label.
    ///
    /// # Errors
    /// When its driver or options reach the host, or it claims another scope.
    pub fn create_volume(&self, body: &mut Value) -> Result<(), Denial> {
        let name = body.get("Driver").and_then(Value::as_str);
        driver(
            self,
            name.unwrap_or_default(),
            body.get("DriverOpts").unwrap_or(&Value::Null),
        )?;
        if !says_nothing(body.get("ClusterVolumeSpec")) {
            return Err(Denial::option("ClusterVolumeSpec"));
        }
        labels(self, body, &[])
    }

    /// Judges a volume that is inspected: its label alone.
    ///
    /// # Errors
    /// When it is out of scope.
    pub fn see_volume(&self, name: &str, facts: &Facts) -> Result<(), Denial> {
        match (self.scope(), facts.volumes.get(name)) {
            (Some(scope), Some(volume)) if !scope.holds(&volume.labels) => Err(Denial::Scope {
                kind: "volume",
                name: name.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Judges a volume that a container is to use, or that is to be removed. One that does not exist will be made by us.
    ///
    /// # Errors
    /// When it is out of scope, or a way to the host.
    pub fn use_volume(&self, name: &str, facts: &Facts) -> Result<(), Denial> {
        self.see_volume(name, facts)?;
        self.touch_volume(name, facts)
    }

    /// Judges a volume that a container in scope has already.
    pub(crate) fn touch_volume(&self, name: &str, facts: &Facts) -> Result<(), Denial> {
        match facts.volumes.get(name) {
            None => Ok(()),
            Some(volume) => existing(self, volume).map_err(|cause| Denial::Beyond {
                kind: "volume",
                name: name.to_owned(),
                cause: Box::new(cause),
            }),
        }
    }
}

fn existing(grant: &Grant, volume: &VolumeFacts) -> Result<(), Denial> {
    let options = volume.options.iter();
    let options = options.map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    driver(grant, &volume.driver, &Value::Object(options.collect()))
}

/// Judges a driver and its options.
pub(crate) fn driver(grant: &Grant, name: &str, options: &Value) -> Result<(), Denial> {
    if !matches!(name, "" | "local") {
        return Err(Denial::because("the volume driver", name));
    }
    let get = |key: &str| options.get(key).and_then(Value::as_str).unwrap_or_default();
    let memory = get("type") == "tmpfs" && memory_words(get("o"));
    let keys = options.as_object().into_iter().flatten();
    for (key, _) in keys {
        let harmless = match key.as_str() {
            "size" => true,
            "type" | "device" | "o" => memory,
            _ => false,
        };
        if !harmless && !grant.lifts("Volume.DriverOpts", Some(key.as_str())) {
            return Err(Denial::because("the volume option", key.as_str()));
        }
    }
    Ok(())
}

/// Reports whether mount options are of a memory file system alone: a `bind` among them would make it a bind.
fn memory_words(words: &str) -> bool {
    const KNOWN: [&str; 12] = [
        "size",
        "mode",
        "uid",
        "gid",
        "nr_inodes",
        "nr_blocks",
        "ro",
        "rw",
        "nosuid",
        "nodev",
        "noexec",
        "noatime",
    ];
    words
        .split(',')
        .filter(|word| !word.is_empty())
        .all(|word| KNOWN.contains(&word.split('=').next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_volume_is_a_folder_of_ours_or_memory() {
        let grant = Grant::role("operator").unwrap();
        let verdict = |body: Value| grant.create_volume(&mut body.clone()).is_ok();
        assert!(verdict(json!({"Name": "v"})));
        assert!(verdict(
            json!({"Driver": "local", "DriverOpts": {"size": "1g"}})
        ));
        assert!(verdict(
            json!({"DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=5"}})
        ));
        for options in [
            json!({"type": "none", "o": "bind", "device": "/"}),
            json!({"type": "tmpfs", "o": "bind", "device": "/"}),
            json!({"type": "ext4", "device": "/dev/sda1"}),
            json!({"type": "nfs", "o": "addr=10.0.0.1", "device": ":/x"}),
            json!({"type": "overlay", "device": "x", "o": "lowerdir=/"}),
            json!({"encrypt": "fscrypt", "key-file": "/etc/shadow"}),
        ] {
            assert!(
                !verdict(json!({"DriverOpts": options.clone()})),
                "{options}"
            );
        }
        assert!(!verdict(json!({"Driver": "sshfs"})));
    }
}
