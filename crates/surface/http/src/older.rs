//! What older clients look for in an image, the daemon's facts and a container, and newer descriptions have given up; and what
//! they cannot have meant when they ask for a container.
//!
//! Our services speak as 1.51 does; fields that went since are added on the way out, for versions that had them, with the
//! values that they had last: computed where they meant something, empty where they meant nothing any more.

mod asked;
mod container;
mod info;

use hakone_base::ApiVersion;
use serde_json::{Map, Value, json};

pub(crate) use asked::asked;
pub(crate) use container::{container, listed};
pub(crate) use info::info;

/// Gives a list of images the sizes that clients up to 1.43 show.
pub(crate) fn images(version: ApiVersion, mut list: Value) -> Value {
    if version < ApiVersion::new(1, 44) {
        let all = list.as_array_mut().into_iter().flatten();
        all.filter_map(Value::as_object_mut)
            .for_each(add_virtual_size);
    }
    list
}

/// Gives an image the fields that it had: all of a container's configuration up to 1.49, a container's of its own up to 1.44.
pub(crate) fn image(version: ApiVersion, mut image: Value) -> Value {
    let Some(fields) = image.as_object_mut() else {
        return image;
    };
    if version < ApiVersion::new(1, 48) {
        fields.remove("Descriptor");
    }
    if version < ApiVersion::new(1, 50) {
        fill(fields, json!({"Parent": "", "DockerVersion": ""}));
        let config = fields.entry("Config").or_insert_with(|| json!({}));
        if let Some(config) = config.as_object_mut() {
            fill(config, empty_config());
        }
    }
    if version < ApiVersion::new(1, 45) {
        fill(fields, json!({"ContainerConfig": empty_config()}));
    }
    if version < ApiVersion::new(1, 44) {
        add_virtual_size(fields);
    }
    image
}

fn empty_config() -> Value {
    json!({
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": false,
        "AttachStderr": false, "Tty": false, "OpenStdin": false, "StdinOnce": false, "Env": null,
        "Cmd": null, "Image": "", "Volumes": null, "WorkingDir": "", "Entrypoint": null,
        "OnBuild": null, "Labels": null,
    })
}

fn add_virtual_size(image: &mut Map<String, Value>) {
    let size = image.get("Size").cloned().unwrap_or_else(|| json!(0));
    image.entry("VirtualSize").or_insert(size);
}

/// Adds what is not there.
fn fill(fields: &mut Map<String, Value>, defaults: Value) {
    if let Value::Object(defaults) = defaults {
        for (key, value) in defaults {
            fields.entry(key).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_client_finds_what_it_looks_for_and_a_newer_one_nothing_more() {
        let shown = || json!({"Size": 5, "Config": {"Cmd": ["sh"]}, "Descriptor": {}});
        assert_eq!(image(ApiVersion::new(1, 51), shown()), shown());
        let old = image(ApiVersion::new(1, 40), shown());
        assert_eq!(old.get("Descriptor"), None);
        assert_eq!(old["VirtualSize"], 5);
        assert_eq!(old["Config"]["Cmd"], json!(["sh"]), "what is there stays");
        assert_eq!(old["Config"]["Labels"], Value::Null);
        assert_eq!(old["ContainerConfig"]["Tty"], false);
        let listed = images(ApiVersion::new(1, 43), json!([{"Size": 7}]));
        assert_eq!(listed[0]["VirtualSize"], 7);
    }
}
