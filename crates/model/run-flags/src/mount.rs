//! `--mount`: fields separated by commas, quoted as in CSV.

use std::collections::HashMap;

use hakone_engine_api::wire::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum as Propagation, MountImageOptions,
    MountTmpfsOptions, MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig,
};

use crate::{quantity::parse_bytes, value};

/// Parses one mount.
pub(crate) fn parse(text: &str) -> Result<Mount, String> {
    let mut mount = Mount {
        typ: Some(MountType::VOLUME),
        ..Mount::default()
    };
    for field in csv(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value.to_owned())),
            None => (field.to_lowercase(), None),
        };
        apply(&mut mount, &key, value.as_deref(), &field)?;
    }
    check(mount)
}

fn apply(mount: &mut Mount, key: &str, value: Option<&str>, field: &str) -> Result<(), String> {
    if key == "readonly" || key == "ro" {
        mount.read_only = Some(switch(key, value)?);
        return Ok(());
    }
    if key == "volume-nocopy" {
        volume(mount).no_copy = Some(switch(key, value)?);
        return Ok(());
    }
    if key == "bind-create-src" {
        bind(mount).create_mountpoint = Some(switch(key, value)?);
        return Ok(());
    }
    let value = value.ok_or_else(|| format!("invalid field '{field}' must be a key=value pair"))?;
    match key {
        "type" => mount.typ = Some(kind(value)?),
        "source" | "src" => mount.source = Some(value.to_owned()),
        "target" | "dst" | "destination" => mount.target = Some(value.to_owned()),
        "consistency" => mount.consistency = Some(value.to_lowercase()),
        "bind-propagation" => bind(mount).propagation = Some(propagation(value)?),
        "bind-nonrecursive" => bind(mount).non_recursive = Some(switch(key, Some(value))?),
        "bind-recursive" => recursive(mount, value)?,
        "volume-subpath" => volume(mount).subpath = Some(value.to_owned()),
        "volume-label" => insert(&mut volume(mount).labels, value),
        "volume-driver" => driver(mount).name = Some(value.to_owned()),
        "volume-opt" => insert(&mut driver(mount).options, value),
        "image-subpath" => {
            mount.image_options = Some(MountImageOptions {
                subpath: Some(value.to_owned()),
            });
        }
        "tmpfs-size" => {
            tmpfs(mount).size_bytes =
                Some(parse_bytes(value).ok().ok_or_else(|| invalid(key, value))?);
        }
        "tmpfs-mode" => {
            tmpfs(mount).mode = Some(
                i64::from_str_radix(value, 8)
                    .ok()
                    .ok_or_else(|| invalid(key, value))?,
            );
        }
        _ => return Err(format!("unexpected key '{key}' in '{field}'")),
    }
    Ok(())
}

fn switch(key: &str, value: Option<&str>) -> Result<bool, String> {
    value.map_or(Ok(true), |value| {
        value::truth(value).ok().ok_or_else(|| invalid(key, value))
    })
}

fn invalid(key: &str, value: &str) -> String {
    format!("invalid value for {key}: {value}")
}

fn kind(value: &str) -> Result<MountType, String> {
    match value.to_lowercase().as_str() {
        "bind" => Ok(MountType::BIND),
        "volume" => Ok(MountType::VOLUME),
        "tmpfs" => Ok(MountType::TMPFS),
        "image" => Ok(MountType::IMAGE),
        "cluster" => Ok(MountType::CLUSTER),
        "npipe" => Ok(MountType::NPIPE),
        other => Err(format!("invalid mount type: {other}")),
    }
}

fn propagation(value: &str) -> Result<Propagation, String> {
    match value.to_lowercase().as_str() {
        "private" => Ok(Propagation::PRIVATE),
        "rprivate" => Ok(Propagation::RPRIVATE),
        "shared" => Ok(Propagation::SHARED),
        "rshared" => Ok(Propagation::RSHARED),
        "slave" => Ok(Propagation::SLAVE),
        "rslave" => Ok(Propagation::RSLAVE),
        other => Err(format!("invalid value for bind-propagation: {other}")),
    }
}

fn recursive(mount: &mut Mount, value: &str) -> Result<(), String> {
    let options = bind(mount);
    match value {
        "enabled" => {}
        "disabled" => options.non_recursive = Some(true),
        "writable" => options.read_only_non_recursive = Some(true),
        "readonly" => options.read_only_force_recursive = Some(true),
        other => {
            return Err(format!(
                "invalid value for bind-recursive: {other} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
            ));
        }
    }
    Ok(())
}

fn bind(mount: &mut Mount) -> &mut MountBindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut MountVolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn driver(mount: &mut Mount) -> &mut MountVolumeOptionsDriverConfig {
    volume(mount).driver_config.get_or_insert_default()
}

fn tmpfs(mount: &mut Mount) -> &mut MountTmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

fn insert(map: &mut Option<HashMap<String, String>>, text: &str) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    map.get_or_insert_default()
        .insert(key.to_owned(), value.to_owned());
}

/// Options of one kind on a mount of another, and combinations that mean nothing.
fn check(mount: Mount) -> Result<Mount, String> {
    let kind = mount.typ.unwrap_or(MountType::VOLUME);
    if mount.target.as_deref().unwrap_or_default().is_empty() {
        return Err("target is required".into());
    }
    let mixed = |name: &str| {
        Err(format!(
            "cannot mix '{name}-*' options with mount type '{kind}'"
        ))
    };
    if mount.volume_options.is_some() && kind != MountType::VOLUME {
        return mixed("volume");
    }
    if mount.bind_options.is_some() && kind != MountType::BIND {
        return mixed("bind");
    }
    if mount.tmpfs_options.is_some() && kind != MountType::TMPFS {
        return mixed("tmpfs");
    }
    if mount.image_options.is_some() && kind != MountType::IMAGE {
        return mixed("image");
    }
    if let Some(options) = &mount.bind_options {
        let readonly = mount.read_only == Some(true);
        if options.read_only_non_recursive == Some(true) && !readonly {
            return Err("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction".into());
        }
        if options.read_only_force_recursive == Some(true)
            && !(readonly && options.propagation == Some(Propagation::RPRIVATE))
        {
            return Err("option 'bind-recursive=readonly' requires 'readonly' and 'bind-propagation=rprivate' to be specified in conjunction".into());
        }
    }
    Ok(mount)
}

/// Splits at commas outside double quotes; two quotes inside stand for one.
pub(crate) fn csv(text: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else {
            break;
        };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    match quoted {
        true => Err("parse error on line 1: extraneous or missing \" in quoted-field".into()),
        false => Ok(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_dockers() {
        let message = |text: &str| parse(text).unwrap_err();
        assert_eq!(
            message("foo"),
            "invalid field 'foo' must be a key=value pair"
        );
        assert_eq!(message("type=bind"), "target is required");
        assert_eq!(
            message("type=bind,target=/x,volume-nocopy"),
            "cannot mix 'volume-*' options with mount type 'bind'"
        );
        assert_eq!(
            message("target=/x,bogus=1"),
            "unexpected key 'bogus' in 'bogus=1'"
        );
        assert_eq!(message("target=/x,ro=maybe"), "invalid value for ro: maybe");
    }

    #[test]
    fn a_quoted_field_may_hold_commas() {
        let mount = parse("type=volume,target=/x,\"volume-opt=o=a,b\"").unwrap();
        let options = mount
            .volume_options
            .unwrap()
            .driver_config
            .unwrap()
            .options
            .unwrap();
        assert_eq!(options.get("o").unwrap(), "a,b");
    }

    #[test]
    fn writable_submounts_need_a_readonly_mount() {
        assert!(parse("type=bind,src=/a,dst=/b,bind-recursive=writable").is_err());
        assert!(parse("type=bind,src=/a,dst=/b,ro,bind-recursive=writable").is_ok());
    }
}
