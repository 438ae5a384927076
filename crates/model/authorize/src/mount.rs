//! Judges what is mounted: volumes of the socket's scope and memory are fine; a folder of the host only if a rule names it exactly.
//!
//! Exactly, because a folder below one that the container can write may be a link to anywhere by the time it is bound.

use serde_json::Value;

use crate::{Denial, Facts, Grant, reference::strings, volume};

/// Words of a bind that let mounts made inside appear on the host.
const SHARING: [&str; 2] = ["shared", "rshared"];

/// Judges `-v` texts.
pub(crate) fn binds(grant: &Grant, value: &Value, facts: &Facts) -> Result<(), Denial> {
    let Value::Array(list) = value else {
        return Err(Denial::Unclear("HostConfig.Binds is no list".to_owned()));
    };
    if list.iter().any(|entry| !entry.is_string()) {
        return Err(Denial::Unclear(
            "HostConfig.Binds holds no texts".to_owned(),
        ));
    }
    strings(Some(value)).try_for_each(|text| bind(grant, text, facts))
}

fn bind(grant: &Grant, text: &str, facts: &Facts) -> Result<(), Denial> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [path] if path.starts_with('/') => Ok(()),
        [source, _, modes @ ..] if source.starts_with('/') => {
            let shares = modes
                .iter()
                .flat_map(|words| words.split(','))
                .any(|word| SHARING.contains(&word));
            folder(grant, source, shares)
        }
        [name, _, ..] if is_name(name) => grant.use_volume(name, facts),
        _ => Err(Denial::because("HostConfig.Binds", text)),
    }
}

/// Judges the places of anonymous volumes; old clients put whole `-v` texts there.
pub(crate) fn places(value: &Value) -> Result<(), Denial> {
    let names = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name);
    match names.into_iter().find(|name| name.contains(':')) {
        Some(name) => Err(Denial::because("Volumes", name.as_str())),
        None if value.is_object() || value.is_null() => Ok(()),
        None => Err(Denial::Unclear("Volumes is no map".to_owned())),
    }
}

/// Judges `--mount` entries.
pub(crate) fn mounts(grant: &Grant, value: &Value, facts: &Facts) -> Result<(), Denial> {
    let Value::Array(list) = value else {
        return Err(Denial::Unclear("HostConfig.Mounts is no list".to_owned()));
    };
    list.iter().try_for_each(|mount| one(grant, mount, facts))
}

fn one(grant: &Grant, mount: &Value, facts: &Facts) -> Result<(), Denial> {
    let text = |key: &str| mount.get(key).and_then(Value::as_str).unwrap_or_default();
    let source = text("Source");
    match text("Type") {
        "tmpfs" => Ok(()),
        // Shown or run: it is read all the same.
        "image" => grant.use_image(source),
        "bind" => {
            let propagation = mount.pointer("/BindOptions/Propagation");
            let word = propagation.and_then(Value::as_str).unwrap_or_default();
            folder(grant, source, SHARING.contains(&word))
        }
        "volume" => {
            driver(grant, mount)?;
            match source {
                "" => Ok(()),
                name if is_name(name) => grant.use_volume(name, facts),
                odd => Err(Denial::because("HostConfig.Mounts", odd)),
            }
        }
        odd => Err(Denial::because(
            "HostConfig.Mounts",
            format!("type {odd:?}"),
        )),
    }
}

/// A volume that is made on the way is judged like one that is made by itself.
fn driver(grant: &Grant, mount: &Value) -> Result<(), Denial> {
    let Some(config) = mount.pointer("/VolumeOptions/DriverConfig") else {
        return Ok(());
    };
    let name = config
        .get("Name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let options = config.get("Options").unwrap_or(&Value::Null);
    volume::driver(grant, name, options)
}

/// Judges a folder of the host.
pub(crate) fn folder(grant: &Grant, source: &str, shares: bool) -> Result<(), Denial> {
    let refuse = |detail: String| Err(Denial::because("a folder of the host", detail));
    let plain = |path: &str| path.trim_end_matches('/').to_owned();
    let named = grant.binds.iter().any(|own| plain(own) == plain(source));
    match (named, shares) {
        (true, false) => Ok(()),
        (true, true) => refuse(format!("{source} with shared propagation")),
        (false, _) => refuse(source.to_owned()),
    }
}

/// Judges the mounts that an existing container has, whatever asked for them (an image, another container).
pub(crate) fn existing(
    grant: &Grant,
    mounts: &[(String, String)],
    facts: &Facts,
) -> Result<(), Denial> {
    for (kind, source) in mounts {
        match kind.as_str() {
            "tmpfs" | "image" => (),
            "volume" => grant.touch_volume(source, facts)?,
            "bind" => folder(grant, source, false)?,
            odd => return Err(Denial::because("a mount", odd)),
        }
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_folder_passes_only_as_the_rule_spells_it() {
        let grant = Grant::rules("r", "role = 'operator'\nbinds = ['/srv/ci']").unwrap();
        let verdict = |text: &str| bind(&grant, text, &Facts::default()).is_ok();
        assert!(verdict("/srv/ci:/x") && verdict("/srv/ci/:/x:ro,rslave"));
        for text in [
            "/srv/ci/link:/x",
            "/srv/ci/../../etc:/x",
            "/srv:/x",
            "/srv/ci:/x:rshared",
            "//srv/ci:/x",
            "../srv/ci:/x",
            "./v:/x",
        ] {
            assert!(!verdict(text), "{text}");
        }
    }

    #[test]
    fn a_bind_in_the_clothes_of_a_volume_is_seen() {
        assert!(places(&json!({"/data": {}})).is_ok());
        assert!(places(&json!({"/etc:/x": {}})).is_err());
        let grant = Grant::role("operator").unwrap();
        let mount = json!([{"Type": "volume", "Source": "v", "Target": "/x", "VolumeOptions": {
            "DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}}]);
        assert!(mounts(&grant, &mount, &Facts::default()).is_err());
        let path = json!([{"Type": "volume", "Source": "/etc", "Target": "/x"}]);
        assert!(mounts(&grant, &path, &Facts::default()).is_err());
    }
}
