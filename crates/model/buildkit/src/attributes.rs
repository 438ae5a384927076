//! What a client wants built: the attributes of the Dockerfile front end, parsed.
//!
//! Clients of ten years send them as a map of strings, and newer ones add what older engines skip; so what is unknown and harmless
//! is skipped here too. What would change the result or its safety and is not done is refused by name.

use std::collections::BTreeMap;

use crate::{Attest, CacheSource, Error, values};

/// Attributes in one request.
const MOST: usize = 4096;

/// A build, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The Dockerfile's name in its folder.
    pub filename: String,
    /// The folder of the client that holds it.
    pub dockerfile_folder: String,
    /// Whether that folder holds it wherever the context is.
    pub own_dockerfile: bool,
    /// The main context.
    pub context: MainContext,
    /// The stage wanted.
    pub target: Option<String>,
    /// Build arguments.
    pub arguments: BTreeMap<String, String>,
    /// Labels for the image.
    pub labels: BTreeMap<String, String>,
    /// The platforms wanted.
    pub platforms: Platforms,
    /// Contexts by name.
    pub contexts: BTreeMap<String, String>,
    /// What is not taken from the cache.
    pub fresh: Fresh,
    /// When images are looked up in their registry.
    pub pull: Pull,
    /// Caches whose steps may be taken over.
    pub cache_from: Vec<CacheSource>,
    /// Whether the image is to say which steps its layers stand after.
    pub inline_cache: bool,
    /// Whether a cache is left beside it.
    pub leaves_cache: bool,
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
    /// What is to be said of the result.
    pub attest: Attest,
}

/// For which platforms a build is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platforms {
    /// For one; none for the host's.
    One(Option<String>),
    /// For these, with an index of them though it be one; none for the host's.
    Several(Vec<String>),
}

impl Default for Platforms {
    fn default() -> Self {
        Self::One(None)
    }
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
            filename: values::filename(&or("filename", "Dockerfile"))?,
            dockerfile_folder: or("dockerfilekey", "dockerfile"),
            own_dockerfile: text("dockerfilekey").is_some(),
            context: values::context(attributes),
            target: text("target").cloned(),
            arguments: prefixed(attributes, "build-arg:"),
            labels: prefixed(attributes, "label:"),
            platforms: platforms(attributes)?,
            contexts: prefixed(attributes, "context:"),
            fresh: values::fresh(attributes),
            pull: values::pull(&or("image-resolve-mode", "default"))?,
            cache_from: values::cache_from(attributes)?,
            leaves_cache: false,
            inline_cache: flag(attributes, "build-arg:BUILDKIT_INLINE_CACHE"),
            network: values::network(&or("force-network-mode", "sandbox"))?,
            hosts: values::hosts(&or("add-hosts", ""))?,
            shm_size: text("shm-size")
                .map(|text| values::shm_size(text))
                .transpose()?,
            ulimits: values::ulimits(&or("ulimit", ""))?,
            hostname: text("hostname")
                .or(text("build-arg:BUILDKIT_SANDBOX_HOSTNAME"))
                .cloned(),
            cgroup_parent: text("cgroup-parent").cloned(),
            question: text("requestid")
                .map(|text| values::question(text))
                .transpose()?,
            attest: Attest::parse(attributes)?,
        })
    }
}

/// Refuses what would be left out silently.
fn refuse(attributes: &BTreeMap<String, String>) -> Result<(), Error> {
    if attributes
        .get("device")
        .is_some_and(|value| !value.is_empty())
    {
        return Err(Error::Unsupported("a CDI device".into()));
    }
    if attributes
        .get("contextsubdir")
        .is_some_and(|folder| !folder.is_empty())
    {
        return Err(Error::Unsupported(
            "a folder of a context (contextsubdir)".into(),
        ));
    }
    Ok(())
}

fn platforms(attributes: &BTreeMap<String, String>) -> Result<Platforms, Error> {
    let list = values::platforms(attributes)?;
    let listed = attributes.get("platform");
    let asked = ["multi-platform", "build-arg:BUILDKIT_MULTI_PLATFORM"];
    let several = listed.is_some_and(|list| list.contains(','))
        || asked.iter().any(|key| flag(attributes, key));
    Ok(match several {
        true => Platforms::Several(list),
        false => Platforms::One(list.into_iter().next()),
    })
}

fn flag(attributes: &BTreeMap<String, String>, key: &str) -> bool {
    matches!(attributes.get(key).map(String::as_str), Some("1" | "true"))
}

fn prefixed(attributes: &BTreeMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    let strip = |(key, value): (&String, &String)| {
        Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))
    };
    attributes.iter().filter_map(strip).collect()
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
    fn caches_are_named_in_two_ways_and_count_once() {
        let list = r#"[{"Type":"registry","Attrs":{"ref":"r/a"}},{"Type":"registry","Attrs":{"ref":"r/b"}}]"#;
        let order = parse(&[("cache-imports", list), ("cache-from", "r/b")]).unwrap();
        let image = |name: &str| CacheSource::Image(name.parse().unwrap());
        assert_eq!(order.cache_from, [image("r/b:latest"), image("r/a:latest")]);
        for list in ["{", "[3]", r#"[{"Type":"gha","Attrs":{}}]"#] {
            assert!(parse(&[("cache-imports", list)]).is_err(), "{list}");
        }
        let inline = parse(&[("build-arg:BUILDKIT_INLINE_CACHE", "1")]).unwrap();
        assert!(inline.inline_cache && !order.inline_cache);
    }

    #[test]
    fn devices_are_refused_by_name() {
        let refused = parse(&[("device", "vendor.com/gpu=0")]);
        assert!(matches!(refused, Err(Error::Unsupported(_))));
    }

    #[test]
    fn platforms_are_a_list_without_twins() {
        let read = |pairs: &[(&str, &str)]| parse(pairs).unwrap().platforms;
        let several =
            |list: &[&str]| Platforms::Several(list.iter().map(|one| (*one).to_owned()).collect());
        assert_eq!(
            read(&[("platform", "linux/amd64,arm64,linux/amd64")]),
            several(&["linux/amd64", "linux/arm64"])
        );
        assert_eq!(
            read(&[("platform", "linux/amd64"), ("multi-platform", "true")]),
            several(&["linux/amd64"])
        );
        assert_eq!(
            read(&[("platform", "linux/amd64")]),
            Platforms::One(Some("linux/amd64".into()))
        );
        assert!(parse(&[("platform", "linux/../x")]).is_err());
        let many: Vec<String> = (0..40).map(|n| format!("linux/a{n}")).collect();
        assert!(parse(&[("platform", &many.join(","))]).is_err());
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
