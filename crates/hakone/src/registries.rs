//! Turns the settings of registries into values: mirrors, who may be spoken to in the clear, certificates, proxies.

use std::path::PathBuf;

use hakone_registry::{Bypass, Options, Patience, Proxies, Proxy, Rule, Url};
use serde_json::{Map, Value, json};

use crate::{
    resolve::refuse,
    settings::{Error, Settings},
};

/// Where certificates of registries lie; Docker's folder is read where ours has nothing.
const CERTIFICATES: [&str; 2] = ["/etc/hakone/certs.d", "/etc/docker/certs.d"];

/// Parses and completes the settings of registries.
pub(crate) fn options(settings: &Settings) -> Result<Options, Error> {
    let usual = hakone_registry::Settings::default();
    let certificates = match &settings.registry_certs {
        Some(folder) => vec![folder.clone()],
        None => CERTIFICATES.map(PathBuf::from).to_vec(),
    };
    Ok(Options {
        settings: hakone_registry::Settings {
            mirrors: parsed(
                "registry-mirror",
                settings.registry_mirrors.as_deref(),
                mirror,
            )?,
            insecure: parsed(
                "insecure-registry",
                settings.insecure_registries.as_deref(),
                rule,
            )?,
            allowed: parsed("registry-allow", settings.registry_allow.as_deref(), rule)?,
            proxies: proxies(settings)?,
            downloads: settings.max_concurrent_downloads.unwrap_or(usual.downloads),
            uploads: settings.max_concurrent_uploads.unwrap_or(usual.uploads),
            attempts: settings.max_download_attempts.unwrap_or(usual.attempts),
        },
        certificates,
        patience: Patience::default(),
        agent: concat!("hakone/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}

/// Tells the proxies: for what goes in the clear, for what goes over TLS, and who needs none.
pub(crate) fn proxies_told(proxies: &Proxies) -> [String; 3] {
    let shown = |proxy: &Option<Proxy>| proxy.as_ref().map(Proxy::shown).unwrap_or_default();
    let none: Vec<String> = proxies.bypass.iter().map(ToString::to_string).collect();
    [shown(&proxies.http), shown(&proxies.https), none.join(",")]
}

/// Tells how registries are spoken to, as `docker info` shows it.
pub(crate) fn told(settings: &hakone_registry::Settings) -> Value {
    let mirrors: Vec<String> = settings.mirrors.iter().map(ToString::to_string).collect();
    let mut nets = vec!["::1/128".to_owned(), "127.0.0.0/8".to_owned()];
    let hub = json!({"Name": "docker.io", "Mirrors": mirrors, "Secure": true, "Official": true});
    let mut indexes = Map::from_iter([("docker.io".to_owned(), hub)]);
    for rule in &settings.insecure {
        match rule {
            Rule::Net(net) => nets.push(net.to_string()),
            Rule::Host(host, port) => {
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                let name = format!("{host}{port}");
                let index =
                    json!({"Name": name, "Mirrors": [], "Secure": false, "Official": false});
                indexes.insert(name, index);
            }
        }
    }
    json!({"InsecureRegistryCIDRs": nets, "IndexConfigs": indexes, "Mirrors": mirrors})
}

fn parsed<T>(
    key: &'static str,
    texts: Option<&[String]>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Error> {
    let one = |text: &String| parse(text).map_err(|reason| refuse(key, text, reason));
    texts.unwrap_or_default().iter().map(one).collect()
}

/// As Docker: a host alone, without a path.
fn mirror(text: &str) -> Result<Url, String> {
    let url: Url = text
        .parse()
        .map_err(|error: hakone_registry::UrlError| error.to_string())?;
    match url.path() {
        "/" => Ok(url),
        _ => Err("a mirror has no path".to_owned()),
    }
}

fn rule(text: &str) -> Result<Rule, String> {
    text.parse()
        .map_err(|error: hakone_registry::RuleError| error.to_string())
}

fn proxies(settings: &Settings) -> Result<Proxies, Error> {
    let none = settings.no_proxy.clone().or_else(|| variable("NO_PROXY"));
    Ok(Proxies {
        http: proxy(
            "http-proxy",
            settings
                .http_proxy
                .clone()
                .or_else(|| variable("HTTP_PROXY")),
        )?,
        https: proxy(
            "https-proxy",
            settings
                .https_proxy
                .clone()
                .or_else(|| variable("HTTPS_PROXY")),
        )?,
        bypass: Bypass::list(none.as_deref().unwrap_or_default()),
    })
}

fn proxy(key: &'static str, text: Option<String>) -> Result<Option<Proxy>, Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    // Not shown: a password may stand in it.
    let parsed = text
        .parse()
        .ok()
        .ok_or_else(|| refuse(key, "…", "http://[USER:PASSWORD@]HOST[:PORT] is expected"));
    parsed.map(Some)
}

/// Reads a variable under its name in capitals or in small letters, as everybody does.
fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_lowercase()));
    value.ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(settings: &Settings) -> String {
        options(settings).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_registry_is_refused_at_start() {
        let list = |text: &str| Some(vec![text.to_owned()]);
        let mirror = Settings {
            registry_mirrors: list("https://m.example/path"),
            ..Settings::default()
        };
        assert!(refused(&mirror).contains("no path"));
        let insecure = Settings {
            insecure_registries: list("a b"),
            ..Settings::default()
        };
        assert!(refused(&insecure).contains("CIDR"));
    }

    #[test]
    fn what_is_set_up_is_told() {
        let list = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        let settings = Settings {
            registry_mirrors: list(&["https://m.example"]),
            insecure_registries: list(&["old.lan:5000", "10.0.0.0/8"]),
            ..Settings::default()
        };
        let told = told(&options(&settings).unwrap().settings);
        assert_eq!(told["Mirrors"], json!(["https://m.example/"]));
        assert_eq!(told["IndexConfigs"]["old.lan:5000"]["Secure"], json!(false));
        assert_eq!(told["InsecureRegistryCIDRs"][2], json!("10.0.0.0/8"));
    }

    #[test]
    fn a_wrong_proxy_is_refused_without_its_password() {
        let settings = Settings {
            https_proxy: Some("ftp://bob:hunter2@p".into()),
            ..Settings::default()
        };
        assert!(!refused(&settings).contains("hunter2"));
    }
}
