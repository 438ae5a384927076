//! What Docker says of a word in a create request that it does not know.
//!
//! The generated types refuse such a word while they parse, in words of their own. So a body that does not parse is
//! looked at once more: when an unknown word is the reason, the client reads what it would read from Docker.

use serde_json::Value;

const POLICIES: &[&str] = &["", "no", "always", "on-failure", "unless-stopped"];
const CGROUPS: &[&str] = &["", "private", "host"];
const ISOLATIONS: &[&str] = &["", "default", "process", "hyperv"];
const MOUNTS: &[&str] = &["bind", "cluster", "image", "npipe", "tmpfs", "volume"];
const PROPAGATIONS: &[&str] = &[
    "", "private", "rprivate", "shared", "rshared", "slave", "rslave",
];

/// Gives Docker's refusal of the first unknown word in a container's create or update request, if there is one.
#[must_use]
pub fn refusal(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    // An update is a piece of host configuration by itself.
    let host = body.get("HostConfig").unwrap_or(&body);
    isolation(host)
        .or_else(|| restart(host))
        .or_else(|| mounts(host))
        .or_else(|| cgroup(host))
}

fn isolation(host: &Value) -> Option<String> {
    let word = unknown(host.get("Isolation"), ISOLATIONS)?;
    Some(format!(
        "Invalid isolation: {word:?} - linux only supports 'default'"
    ))
}

fn restart(host: &Value) -> Option<String> {
    let word = unknown(host.pointer("/RestartPolicy/Name"), POLICIES)?;
    Some(format!(
        "invalid restart policy: unknown policy '{word}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
    ))
}

fn cgroup(host: &Value) -> Option<String> {
    let word = unknown(host.get("CgroupnsMode"), CGROUPS)?;
    Some(format!("invalid cgroup namespace mode: {word}"))
}

fn mounts(host: &Value) -> Option<String> {
    host.get("Mounts")?.as_array()?.iter().find_map(mount)
}

fn mount(mount: &Value) -> Option<String> {
    let kind = mount.get("Type");
    if let Some(word) = unknown(kind, MOUNTS) {
        return Some(format!(
            "invalid mount config for type {word:?}: mount type unknown"
        ));
    }
    let word = unknown(mount.pointer("/BindOptions/Propagation"), PROPAGATIONS)?;
    let kind = kind.and_then(Value::as_str).unwrap_or_default();
    Some(format!(
        "invalid mount config for type {kind:?}: invalid propagation mode: {word}"
    ))
}

fn unknown<'a>(word: Option<&'a Value>, known: &[&str]) -> Option<&'a str> {
    word?.as_str().filter(|word| !known.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_refused_in_dockers_words() {
        let say = |host: &str| refusal(format!("{{\"HostConfig\":{host}}}").as_bytes());
        assert_eq!(
            say(r#"{"Mounts":[{"Type":"bogus"}]}"#).unwrap(),
            "invalid mount config for type \"bogus\": mount type unknown"
        );
        assert_eq!(
            say(r#"{"Mounts":[{"Type":"bind","BindOptions":{"Propagation":"odd"}}]}"#).unwrap(),
            "invalid mount config for type \"bind\": invalid propagation mode: odd"
        );
        assert!(
            say(r#"{"RestartPolicy":{"Name":"bogus"}}"#)
                .unwrap()
                .starts_with("invalid restart policy: unknown policy 'bogus'")
        );
        assert_eq!(
            say(r#"{"CgroupnsMode":"x"}"#).unwrap(),
            "invalid cgroup namespace mode: x"
        );
    }

    #[test]
    fn known_words_and_other_bodies_are_left_to_the_parser() {
        assert_eq!(
            refusal(br#"{"HostConfig":{"RestartPolicy":{"Name":"no"}}}"#),
            None
        );
        assert_eq!(refusal(b"{"), None);
        assert_eq!(refusal(b"[]"), None);
    }
}
