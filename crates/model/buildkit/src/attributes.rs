//! What a client wants built: the attributes of the Dockerfile front end, parsed.
//!
//! Clients of ten years send them as a map of strings, and newer ones add what older engines skip; so what is unknown and harmless
//! is skipped here too. What would change the result or its safety and is not done is refused by name.

use std::collections::BTreeMap;

use crate::{Error, list};

/// Attributes in one request.
const MOST: usize = 4096;

/// A build, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The Dockerfile's name in its folder.
    pub filename: String,
    /// The folder of the client that holds it.
    pub dockerfile_folder: String,
    /// The main context.
    pub context: MainContext,
    /// The folder inside a context from elsewhere.
    pub subfolder: String,
    /// The stage wanted.
    pub target: Option<String>,
    /// Build arguments.
    pub arguments: BTreeMap<String, String>,
    /// Labels for the image.
    pub labels: BTreeMap<String, String>,
    /// The platform wanted.
    pub platform: Option<String>,
    /// Contexts by name.
    pub contexts: BTreeMap<String, String>,
    /// What is not taken from the cache.
    pub fresh: Fresh,
    /// When images are looked up in their registry.
    pub pull: Pull,
    /// Images whose steps may be taken over.
    pub cache_from: Vec<String>,
    /// The network of RUN.
    pub network: Network,
    /// Names and addresses for `/etc/hosts`.
    pub hosts: Vec<(String, String)>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Limits of processes.
    pub ulimits: Vec<Ulimit>,
    /// The host name in RUN.
    pub hostname: Option<String>,
    /// The parent control group.
    pub cgroup_parent: Option<String>,
    /// What is asked instead of a build.
    pub question: Option<Question>,
}

/// Where the main context is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MainContext {
    /// A folder of the client.
    #[default]
    Folder,
    /// As `Folder`, under another name.
    Named(String),
    /// A stream of the client, by its id: an archive.
    Upload(String),
    /// A git repository or an archive at an address.
    Remote(String),
}

/// What is not taken from the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fresh {
    /// All may be.
    #[default]
    Nothing,
    /// Nothing may be.
    All,
    /// These stages.
    Stages(Vec<String>),
}

/// When images are looked up in their registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// When they are missing here.
    #[default]
    Missing,
    /// Always.
    Always,
}

/// The network of RUN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// As each instruction says.
    #[default]
    Default,
    /// None.
    None,
    /// The host's own.
    Host,
}

/// A limit of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// `nofile` and the like.
    pub name: String,
    /// The limit that a process may raise.
    pub soft: i64,
    /// Up to this one.
    pub hard: i64,
}

/// What can be asked about a Dockerfile without building it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which questions there are.
    Describe,
    /// Arguments, secrets and sockets of a target.
    Outline,
    /// The stages.
    Targets,
    /// What the checks find.
    Lint,
}

impl Order {
    /// Reads the attributes of a request to front end `dockerfile.v0`.
    ///
    /// # Errors
    /// When one has an impossible value, or asks for what this engine does not do.
    pub fn parse(attributes: &BTreeMap<String, String>) -> Result<Self, Error> {
        if attributes.len() > MOST {
            return Err(Error::Unsupported(format!("more than {MOST} attributes")));
        }
        let text = |key: &str| attributes.get(key).filter(|value| !value.is_empty());
        let or = |key: &str, default: &str| text(key).map_or(default, String::as_str).to_owned();
        refuse(attributes)?;
        Ok(Self {
            filename: filename(&or("filename", "Dockerfile"))?,
            dockerfile_folder: or("dockerfilekey", "dockerfile"),
            context: context(attributes),
            subfolder: or("contextsubdir", ""),
            target: text("target").cloned(),
            arguments: prefixed(attributes, "build-arg:"),
            labels: prefixed(attributes, "label:"),
            platform: platform(attributes)?,
            contexts: prefixed(attributes, "context:"),
            fresh: fresh(attributes),
            pull: pull(&or("image-resolve-mode", "default"))?,
            cache_from: cache_from(attributes)?,
            network: network(&or("force-network-mode", "sandbox"))?,
            hosts: hosts(&or("add-hosts", ""))?,
            shm_size: text("shm-size").map(|text| shm_size(text)).transpose()?,
            ulimits: ulimits(&or("ulimit", ""))?,
            hostname: text("hostname")
                .or(text("build-arg:BUILDKIT_SANDBOX_HOSTNAME"))
                .cloned(),
            cgroup_parent: text("cgroup-parent").cloned(),
            question: text("requestid").map(|text| question(text)).transpose()?,
        })
    }
}

/// Refuses what would be left out silently.
fn refuse(attributes: &BTreeMap<String, String>) -> Result<(), Error> {
    let set = |key: &str| attributes.get(key).is_some_and(|value| !value.is_empty());
    for (key, subject) in [
        ("attest:sbom", "an SBOM attestation"),
        ("attest:provenance", "a provenance attestation"),
        ("device", "a CDI device"),
    ] {
        let off = attributes
            .get(key)
            .is_some_and(|value| value.contains("disabled=true"));
        if set(key) && !off {
            return Err(Error::Unsupported(subject.to_owned()));
        }
    }
    let flag = |key: &str| matches!(attributes.get(key).map(String::as_str), Some("1" | "true"));
    if flag("multi-platform") || flag("build-arg:BUILDKIT_MULTI_PLATFORM") {
        return Err(Error::Unsupported("an image of several platforms".into()));
    }
    Ok(())
}

fn prefixed(attributes: &BTreeMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    let strip = |(key, value): (&String, &String)| {
        Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))
    };
    attributes.iter().filter_map(strip).collect()
}

fn filename(text: &str) -> Result<String, Error> {
    let refuse = |reason| Err(Error::attribute("filename", text, reason));
    let clean = text.strip_prefix("./").unwrap_or(text);
    match hakone_image_model::LayerPath::parse(clean.as_bytes()) {
        Err(_) => refuse("it leaves the folder"),
        Ok(path) if path.is_root() => refuse("it names no file"),
        Ok(path) => Ok(String::from_utf8_lossy(path.as_bytes()).into_owned()),
    }
}

/// An address that leads to the client's own session is an upload.
fn context(attributes: &BTreeMap<String, String>) -> MainContext {
    let named = attributes
        .get("contextkey")
        .filter(|name| *name != "context");
    match attributes.get("context").filter(|text| !text.is_empty()) {
        None => named.map_or(MainContext::Folder, |name| MainContext::Named(name.clone())),
        Some(text) => match text.strip_prefix("http://buildkit-session/") {
            Some(id) => MainContext::Upload(id.to_owned()),
            None => MainContext::Remote(text.clone()),
        },
    }
}

fn platform(attributes: &BTreeMap<String, String>) -> Result<Option<String>, Error> {
    match attributes.get("platform").filter(|text| !text.is_empty()) {
        Some(text) if text.contains(',') => {
            Err(Error::Unsupported("an image of several platforms".into()))
        }
        other => Ok(other.cloned()),
    }
}

fn fresh(attributes: &BTreeMap<String, String>) -> Fresh {
    match attributes.get("no-cache").map(String::as_str) {
        None => Fresh::Nothing,
        Some("") => Fresh::All,
        Some(names) => Fresh::Stages(names.split(',').map(str::to_owned).collect()),
    }
}

fn pull(text: &str) -> Result<Pull, Error> {
    match text {
        "default" | "local" => Ok(Pull::Missing),
        "pull" => Ok(Pull::Always),
        _ => Err(Error::attribute(
            "image-resolve-mode",
            text,
            "it is unknown",
        )),
    }
}

/// One entry of `cache-imports`, as clients print it.
fn cache_entry(entry: &serde_json::Value) -> Option<(&str, &str)> {
    let field = |key: &str| entry.get(key).or_else(|| entry.get(key.to_lowercase()));
    let kind = field("Type")
        .and_then(serde_json::Value::as_str)
        .unwrap_or("registry");
    Some((kind, field("Attrs")?.get("ref")?.as_str()?))
}

/// A cache of another kind is an attempt at speed: to go without is right, as BuildKit does when it cannot reach one.
fn cache_from(attributes: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
    let mut images: Vec<String> = match attributes.get("cache-from") {
        Some(text) => text
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        None => Vec::new(),
    };
    if let Some(text) = attributes
        .get("cache-imports")
        .filter(|text| !text.is_empty())
    {
        let list: Result<Vec<serde_json::Value>, _> = serde_json::from_str(text);
        let list = list
            .ok()
            .ok_or_else(|| Error::attribute("cache-imports", text, "it is no list"))?;
        let image = |entry| cache_entry(entry).filter(|(kind, _)| *kind == "registry");
        images.extend(
            list.iter()
                .filter_map(image)
                .map(|(_, name)| name.to_owned()),
        );
    }
    images.truncate(64);
    Ok(images)
}

fn network(text: &str) -> Result<Network, Error> {
    match text {
        "sandbox" | "default" | "" => Ok(Network::Default),
        "none" => Ok(Network::None),
        "host" => Ok(Network::Host),
        _ => Err(Error::attribute(
            "force-network-mode",
            text,
            "it is unknown",
        )),
    }
}

fn hosts(text: &str) -> Result<Vec<(String, String)>, Error> {
    let parse = |pair: String| {
        let (name, address) = pair.split_once('=').unwrap_or_default();
        let address = address.trim_start_matches('[').trim_end_matches(']');
        let fits = !name.is_empty() && address.parse::<std::net::IpAddr>().is_ok();
        fits.then(|| (name.to_owned(), address.to_owned()))
            .ok_or_else(|| Error::attribute("add-hosts", &pair, "it is no NAME=ADDRESS"))
    };
    list::split(text).into_iter().map(parse).collect()
}

fn shm_size(text: &str) -> Result<u64, Error> {
    let size = text.parse::<u64>().ok().filter(|size| *size > 0);
    size.ok_or_else(|| Error::attribute("shm-size", text, "it is no number of bytes"))
}

fn ulimits(text: &str) -> Result<Vec<Ulimit>, Error> {
    let parse = |one: String| {
        ulimit(&one).ok_or_else(|| Error::attribute("ulimit", &one, "it is no NAME=SOFT[:HARD]"))
    };
    list::split(text).into_iter().map(parse).collect()
}

fn ulimit(text: &str) -> Option<Ulimit> {
    let (name, values) = text.split_once('=')?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (soft.parse().ok()?, hard.parse().ok()?);
    let fits = !name.is_empty() && (hard == -1 || soft <= hard);
    fits.then(|| Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    })
}

fn question(text: &str) -> Result<Question, Error> {
    match text {
        "frontend.subrequests.describe" => Ok(Question::Describe),
        "frontend.outline" => Ok(Question::Outline),
        "frontend.targets" => Ok(Question::Targets),
        "frontend.lint" => Ok(Question::Lint),
        other => Err(Error::Unsupported(format!("request {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Order, Error> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Order::parse(&pairs.iter().map(own).collect())
    }

    #[test]
    fn a_plain_build_names_nothing() {
        let order = parse(&[]).unwrap();
        assert_eq!(
            (order.filename.as_str(), order.dockerfile_folder.as_str()),
            ("Dockerfile", "dockerfile")
        );
        assert_eq!(
            (order.context, order.fresh, order.pull),
            (MainContext::Folder, Fresh::Nothing, Pull::Missing)
        );
    }

    #[test]
    fn arguments_labels_and_contexts_lose_their_prefix() {
        let order = parse(&[
            ("build-arg:A", "1"),
            ("label:b", "2"),
            ("context:c", "local:c"),
        ])
        .unwrap();
        assert_eq!(order.arguments["A"], "1");
        assert_eq!(order.labels["b"], "2");
        assert_eq!(order.contexts["c"], "local:c");
    }

    #[test]
    fn an_empty_no_cache_means_all_stages() {
        assert_eq!(parse(&[("no-cache", "")]).unwrap().fresh, Fresh::All);
        let some = parse(&[("no-cache", "a,b")]).unwrap().fresh;
        assert_eq!(some, Fresh::Stages(vec!["a".into(), "b".into()]));
    }

    #[test]
    fn a_dockerfile_outside_of_its_folder_is_refused() {
        for name in ["../Dockerfile", "a/../../b", "."] {
            assert!(parse(&[("filename", name)]).is_err(), "{name}");
        }
        assert_eq!(parse(&[("filename", "./a/D")]).unwrap().filename, "a/D");
    }

    #[test]
    fn limits_and_hosts_are_lists() {
        let order = parse(&[
            ("ulimit", "nofile=10:20,nproc=5"),
            ("add-hosts", "a=10.0.0.1,b=[::1]"),
            ("shm-size", "65536"),
        ]);
        let order = order.unwrap();
        assert_eq!(order.ulimits.len(), 2);
        assert_eq!(order.hosts[1], ("b".to_owned(), "::1".to_owned()));
        assert_eq!(order.shm_size, Some(65536));
        for bad in [
            ("ulimit", "nofile=9:2"),
            ("add-hosts", "a=b"),
            ("shm-size", "-1"),
        ] {
            assert!(parse(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn caches_of_registries_count_and_others_are_done_without() {
        let list =
            r#"[{"Type":"registry","Attrs":{"ref":"r/a"}},{"Type":"local","Attrs":{"src":"x"}}]"#;
        let order = parse(&[("cache-imports", list), ("cache-from", "r/b")]).unwrap();
        assert_eq!(order.cache_from, ["r/b", "r/a"]);
    }

    #[test]
    fn several_platforms_and_attestations_are_refused_by_name() {
        for pair in [
            ("platform", "linux/amd64,linux/arm64"),
            ("multi-platform", "true"),
            ("attest:sbom", "generator=x"),
        ] {
            assert!(
                matches!(parse(&[pair]), Err(Error::Unsupported(_))),
                "{pair:?}"
            );
        }
    }

    #[test]
    fn a_stream_of_the_client_is_no_address() {
        let order = parse(&[("context", "http://buildkit-session/abc")]).unwrap();
        assert_eq!(order.context, MainContext::Upload("abc".into()));
        let order = parse(&[("context", "https://example.com/a.git")]).unwrap();
        assert_eq!(
            order.context,
            MainContext::Remote("https://example.com/a.git".into())
        );
    }
}
