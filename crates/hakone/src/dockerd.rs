//! Reads dockerd's `daemon.json`: keys with a meaning here are taken, all others are said.
//!
//! People who switch bring this file along; silence about a key that does nothing would be a trap.

use serde_json::{Map, Value};

use crate::settings::Settings;

/// What a key of `daemon.json` means to us.
#[derive(Clone, Copy)]
enum Meaning {
    /// The same as our setting of this name.
    Same(&'static str),
    /// A map of `KEY: VALUE` that we keep as a list of `KEY=VALUE`.
    Pairs(&'static str),
    /// A structured value that we keep in the text form of our flag.
    Converted,
    /// A map of settings of ours.
    Spread,
    /// Understood, and already so.
    Holds(&'static str),
    /// Understood, and not to be had yet.
    Later(&'static str),
}

use Meaning::{Converted, Holds, Later, Pairs, Same, Spread};

/// Every key that dockerd 28 knows.
const KEYS: &[(&str, Meaning)] = &[
    ("hosts", Same("hosts")),
    ("group", Same("group")),
    ("authorization-plugins", Same("authorization-plugins")),
    // Ours: dockerd has none.
    ("sockets", Same("sockets")),
    ("data-root", Same("data-root")),
    ("graph", Same("data-root")),
    ("exec-root", Same("exec-root")),
    ("pidfile", Same("pidfile")),
    ("metrics-addr", Same("metrics-addr")),
    ("tlsverify", Same("tlsverify")),
    ("tlscacert", Same("tlscacert")),
    ("tlscert", Same("tlscert")),
    ("tlskey", Same("tlskey")),
    ("debug", Same("debug")),
    ("log-level", Same("log-level")),
    ("log-format", Same("log-format")),
    ("labels", Same("labels")),
    ("live-restore", Same("live-restore")),
    ("log-driver", Same("log-driver")),
    ("log-opts", Pairs("log-opts")),
    ("default-shm-size", Same("default-shm-size")),
    ("default-runtime", Same("default-runtime")),
    ("cgroup-parent", Same("cgroup-parent")),
    ("userns-remap", Same("userns-remap")),
    ("seccomp-profile", Same("seccomp-profile")),
    ("no-new-privileges", Same("no-new-privileges")),
    ("init", Same("init")),
    ("shutdown-timeout", Same("shutdown-timeout")),
    ("bridge", Same("bridge")),
    ("bip", Same("bip")),
    ("fixed-cidr", Same("fixed-cidr")),
    ("ipv6", Same("ipv6")),
    ("fixed-cidr-v6", Same("fixed-cidr-v6")),
    ("mtu", Same("mtu")),
    ("icc", Same("icc")),
    ("ip-forward", Same("ip-forward")),
    ("ip-masq", Same("ip-masq")),
    ("iptables", Same("iptables")),
    ("firewall-backend", Same("firewall-backend")),
    ("ip-forward-no-drop", Same("ip-forward-no-drop")),
    ("allow-direct-routing", Same("allow-direct-routing")),
    ("default-network-opts", Converted),
    ("host-gateway-ip", Converted),
    ("host-gateway-ips", Same("host-gateway-ips")),
    ("ip", Same("ip")),
    ("dns", Same("dns")),
    ("dns-search", Same("dns-search")),
    ("dns-opts", Same("dns-opts")),
    ("default-address-pools", Converted),
    ("runtimes", Converted),
    ("default-ulimits", Converted),
    ("ip6tables", Same("ip6tables")),
    (
        "userland-proxy",
        Holds("loopback is served inside the daemon, no proxy process exists"),
    ),
    (
        "userland-proxy-path",
        Holds("no such helper program exists here"),
    ),
    ("containerd", Holds("no such helper program exists here")),
    (
        "containerd-namespace",
        Holds("no such helper program exists here"),
    ),
    ("init-path", Holds("no such helper program exists here")),
    (
        "storage-driver",
        Holds("overlay is the only storage driver"),
    ),
    ("tls", Holds("TCP is served with mutual TLS only")),
    ("selinux-enabled", Later("has no effect")),
    ("exec-opts", Later("has no effect")),
    ("storage-opts", Same("storage-opts")),
    ("features", Later("has no effect")),
    ("experimental", Later("has no effect")),
    ("registry-mirrors", Same("registry-mirrors")),
    ("insecure-registries", Same("insecure-registries")),
    ("max-concurrent-downloads", Same("max-concurrent-downloads")),
    ("max-concurrent-uploads", Same("max-concurrent-uploads")),
    ("max-download-attempts", Same("max-download-attempts")),
    ("proxies", Spread),
    (
        "builder",
        Later("has no effect before builds are supported"),
    ),
    (
        "swarm-default-advertise-addr",
        Later("has no effect before swarm mode is supported"),
    ),
    (
        "node-generic-resources",
        Later("has no effect before swarm mode is supported"),
    ),
    (
        "network-control-plane-mtu",
        Later("has no effect before swarm mode is supported"),
    ),
];

fn meaning(key: &str) -> Option<Meaning> {
    KEYS.iter()
        .find(|(known, _)| *known == key)
        .map(|(_, meaning)| *meaning)
}

/// Parses the file's text.
///
/// # Errors
/// What is wrong, in words, when it is not JSON or a value has another type than dockerd gives it.
pub(crate) fn parse(text: &str) -> Result<(Settings, Vec<String>), String> {
    let found: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut taken = Map::new();
    let mut remarks = Vec::new();
    for (key, value) in found {
        match meaning(&key) {
            Some(Converted) => {
                let (name, list) = convert(&key, &value)?;
                taken.insert(name.into(), list);
            }
            Some(Spread) => {
                let map = value
                    .as_object()
                    .ok_or_else(|| format!("{key}: a map is expected"))?;
                taken.extend(map.clone());
            }
            Some(Same(name)) => {
                taken.insert(name.into(), value);
            }
            Some(Pairs(name)) => {
                taken.insert(name.into(), pairs(&key, &value)?);
            }
            Some(Holds(why) | Later(why)) => remarks.push(format!("{key}: {why}")),
            None => return Err(format!("unknown key {key:?}")),
        }
    }
    let settings =
        serde_json::from_value(Value::Object(taken)).map_err(|error| error.to_string())?;
    Ok((settings, remarks))
}

fn pairs(key: &str, value: &Value) -> Result<Value, String> {
    let map = value
        .as_object()
        .ok_or_else(|| format!("{key}: a map is expected"))?;
    Ok(map
        .iter()
        .map(|(name, value)| format!("{name}={}", plain(value)))
        .collect())
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Turns dockerd's structured values into the text form of our flags.
fn convert(key: &str, value: &Value) -> Result<(&'static str, Value), String> {
    let wrong = || format!("{key}: unexpected value {value}");
    let field = |entry: &Value, name: &str| entry.get(name).map(plain);
    match key {
        "default-address-pools" => {
            let pool = |entry: &Value| {
                Some(format!(
                    "base={},size={}",
                    field(entry, "base")?,
                    field(entry, "size")?
                ))
            };
            let list: Option<Value> = value
                .as_array()
                .ok_or_else(wrong)?
                .iter()
                .map(pool)
                .collect();
            Ok(("default-address-pools", list.ok_or_else(wrong)?))
        }
        "default-network-opts" => {
            let of_driver = |(driver, options): (&String, &Value)| {
                let options = options.as_object()?.iter();
                let line = |(key, value)| format!("{driver}={key}={}", plain(value));
                Some(options.map(line).collect::<Vec<_>>())
            };
            let drivers = value.as_object().ok_or_else(wrong)?.iter();
            let lists: Option<Vec<_>> = drivers.map(of_driver).collect();
            Ok((
                "default-network-opts",
                lists.ok_or_else(wrong)?.concat().into(),
            ))
        }
        "host-gateway-ip" => Ok(("host-gateway-ips", Value::Array(vec![value.clone()]))),
        "runtimes" => {
            let one = |(name, entry): (&String, &Value)| {
                Some(format!("{name}={}", field(entry, "path")?))
            };
            let list: Option<Value> = value
                .as_object()
                .ok_or_else(wrong)?
                .iter()
                .map(one)
                .collect();
            Ok(("runtimes", list.ok_or_else(wrong)?))
        }
        _ => {
            let one = |(name, entry): (&String, &Value)| {
                let (soft, hard) = (field(entry, "Soft")?, field(entry, "Hard")?);
                Some(format!("{name}={soft}:{hard}"))
            };
            let list: Option<Value> = value
                .as_object()
                .ok_or_else(wrong)?
                .iter()
                .map(one)
                .collect();
            Ok(("default-ulimits", list.ok_or_else(wrong)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_dockerd_keep_their_meaning() {
        let text = r#"{"icc":false,"log-opts":{"max-size":"10m"},"data-root":"/srv/d",
            "default-address-pools":[{"base":"10.10.0.0/16","size":24}],
            "default-network-opts":{"bridge":{"com.docker.network.driver.mtu":"1400"}},
            "host-gateway-ip":"192.0.2.7",
            "runtimes":{"crun":{"path":"/usr/bin/crun"}},
            "default-ulimits":{"nofile":{"Name":"nofile","Hard":64000,"Soft":32000}}}"#;
        let (settings, remarks) = parse(text).unwrap();
        assert_eq!(settings.icc, Some(false));
        assert_eq!(settings.log_opts.unwrap(), ["max-size=10m"]);
        assert_eq!(
            settings.default_address_pools.unwrap(),
            ["base=10.10.0.0/16,size=24"]
        );
        assert_eq!(
            settings.default_network_opts.unwrap(),
            ["bridge=com.docker.network.driver.mtu=1400"]
        );
        assert_eq!(settings.host_gateway_ips.unwrap().len(), 1);
        assert_eq!(settings.runtimes.unwrap(), ["crun=/usr/bin/crun"]);
        assert_eq!(settings.default_ulimits.unwrap(), ["nofile=32000:64000"]);
        assert!(remarks.is_empty());
    }

    #[test]
    fn registries_are_set_up_as_in_docker() {
        let text = r#"{"registry-mirrors":["https://m.example"],"insecure-registries":["10.0.0.0/8"],
            "max-concurrent-downloads":7,"proxies":{"https-proxy":"http://p:3128","no-proxy":"*.lan"}}"#;
        let (settings, remarks) = parse(text).unwrap();
        assert_eq!(settings.registry_mirrors.unwrap(), ["https://m.example"]);
        assert_eq!(settings.max_concurrent_downloads, Some(7));
        assert_eq!(settings.https_proxy.as_deref(), Some("http://p:3128"));
        assert!(remarks.is_empty());
        assert!(parse(r#"{"proxies":{"ftp-proxy":"x"}}"#).is_err());
    }

    #[test]
    fn what_has_no_effect_is_said_and_what_is_unknown_refused() {
        let (_, remarks) = parse(r#"{"storage-driver":"overlay2","builder":{}}"#).unwrap();
        assert_eq!(remarks.len(), 2);
        assert!(
            parse(r#"{"no-such-key":1}"#)
                .unwrap_err()
                .contains("no-such-key")
        );
    }
}
