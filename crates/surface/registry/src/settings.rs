//! The configuration of a registry: a TOML file. An unknown key is an error, and so is what would let in everybody by mistake.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use hakone_registry_service::api::{ACTIONS, Pattern, Rule};
use serde::{Deserialize, Deserializer, de::Error as _};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("could not read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The text is no such configuration.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// The words are right, and what they say is not.
    #[error("{0}")]
    Wrong(String),
}

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Where to answer.
    pub address: Vec<SocketAddr>,
    /// The folder of everything; a daemon's registry has the daemon's.
    pub data: Option<PathBuf>,
    /// How clients reach us, `https://registry.example`, when that is not what they say themselves.
    pub url: Option<String>,
    /// What this registry calls itself in notices.
    pub instance: String,
    /// Whether clients may delete.
    pub delete: bool,
    /// Certificates.
    pub tls: Option<Tls>,
    /// Who may come in.
    pub auth: Auth,
    /// What they may.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
    /// What holds for some repositories.
    #[serde(rename = "repository")]
    pub repositories: Vec<Repository>,
    /// Bounds.
    pub limits: Limits,
    /// When and what is collected.
    pub collect: Collect,
    /// The registry that this one stands in for.
    pub cache: Option<Cache>,
    /// Who is told what happens.
    #[serde(rename = "listener")]
    pub listeners: Vec<Listener>,
}

/// Certificates, PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tls {
    /// Our chain.
    pub certificate: PathBuf,
    /// Our key.
    pub key: PathBuf,
    /// Who signs the clients that may connect, if not everybody may.
    pub client_ca: Option<PathBuf>,
}

/// How people show who they are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Auth {
    /// How.
    pub mode: AuthMode,
    /// Users with bcrypt hashes.
    pub htpasswd: Option<PathBuf>,
    /// The name that tokens are for.
    pub service: Option<String>,
    /// The key that signs tokens; made when it is not there.
    pub key: Option<PathBuf>,
    /// How long a token lasts.
    #[serde(deserialize_with = "some_duration")]
    pub token_life: Option<Duration>,
    /// Passwords and tokens may come in the clear, because TLS ends in front of us.
    pub behind_tls: bool,
}

/// The ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Not at all.
    #[default]
    Open,
    /// By password.
    Basic,
    /// By tokens of our own service.
    Token,
}

/// What holds for some repositories.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Repository {
    /// Which.
    #[serde(rename = "match")]
    pub pattern: Pattern,
    /// Whether a tag means the same for ever.
    #[serde(default)]
    pub immutable: bool,
    /// Bytes that each may hold.
    #[serde(default, deserialize_with = "some_size")]
    pub quota: Option<u64>,
}

/// Bounds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of everything.
    #[serde(deserialize_with = "some_size")]
    pub quota: Option<u64>,
    /// Bytes of one blob.
    #[serde(deserialize_with = "size")]
    pub blob: u64,
    /// Uploads that may be open.
    pub uploads: usize,
    /// Requests that one user or address may make in a second, on average; 0 for no bound.
    pub rate: f64,
    /// And at once.
    pub burst: f64,
    /// Connections.
    pub connections: usize,
    /// Of one address.
    pub connections_per_address: usize,
    /// How long a client may take for the head of a request, or between two requests.
    #[serde(deserialize_with = "duration")]
    pub head: Duration,
    /// In so much waiting for a client 16 KiB must move.
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
}

/// When and what is collected.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Collect {
    /// How often.
    #[serde(deserialize_with = "duration")]
    pub every: Duration,
    /// How long what came without a manifest stays.
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
    /// How long an upload that nobody continues stays.
    #[serde(deserialize_with = "duration")]
    pub uploads: Duration,
    /// Whether manifests that no tag leads to go.
    pub untagged: bool,
}

/// The registry that this one stands in for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cache {
    /// Which, as references name it: `docker.io`, `registry.example:5000`.
    pub remote: String,
    /// Who we are there.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// Whether it may be spoken to without a trusted certificate.
    #[serde(default)]
    pub insecure: bool,
    /// Folder with its certificates, `HOST:PORT/ca.crt`.
    pub certificates: Option<PathBuf>,
    /// Others that may be asked for by `?ns=`.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// How long what nobody asks for stays; 0 for ever.
    #[serde(default, deserialize_with = "some_duration")]
    pub life: Option<Duration>,
}

/// Somebody who is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Listener {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Headers that it wants.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// How long it may take.
    #[serde(default, deserialize_with = "some_duration")]
    pub timeout: Option<Duration>,
    /// How often it is asked.
    #[serde(default)]
    pub attempts: Option<u32>,
    /// The first pause.
    #[serde(default, deserialize_with = "some_duration")]
    pub backoff: Option<Duration>,
    /// Actions that it does not want to hear of.
    #[serde(default)]
    pub ignore_actions: Vec<String>,
    /// Media types that it does not want to hear of.
    #[serde(default)]
    pub ignore_media_types: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: vec![SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 5000)],
            data: None,
            url: None,
            instance: "hakone".to_owned(),
            delete: true,
            tls: None,
            auth: Auth::default(),
            rules: Vec::new(),
            repositories: Vec::new(),
            limits: Limits::default(),
            collect: Collect::default(),
            cache: None,
            listeners: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quota: None,
            blob: 64 << 30,
            uploads: 256,
            rate: 0.0,
            burst: 100.0,
            connections: 1024,
            connections_per_address: 256,
            head: Duration::from_secs(30),
            window: Duration::from_secs(30),
        }
    }
}

impl Default for Collect {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            every: Duration::from_secs(3600),
            grace: DAY,
            uploads: DAY,
            untagged: false,
        }
    }
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or used.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Parses a text.
    ///
    /// # Errors
    /// When it is no configuration; what it says is judged by [`Settings::check`].
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        Ok(toml::from_str(text)?)
    }

    /// Judges what it says as a whole.
    ///
    /// # Errors
    /// When that would serve everybody without being told to, or take passwords in the clear.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |text: String| Err(SettingsError::Wrong(text));
        let public = self
            .address
            .iter()
            .find(|address| !address.ip().is_loopback());
        let named = self.auth.mode != AuthMode::Open;
        match public {
            Some(address) if !named && self.rules.is_empty() => {
                return wrong(format!(
                    "refusing to let everybody on {address} do everything: set [auth] mode and rules, or a [[rule]] that says what anyone may"
                ));
            }
            Some(address) if named && self.tls.is_none() && !self.auth.behind_tls => {
                return wrong(format!(
                    "refusing passwords in the clear on {address}: set [tls], or auth.behind-tls when TLS ends in front of it"
                ));
            }
            _ => {}
        }
        if named && self.auth.htpasswd.is_none() {
            return wrong("auth.htpasswd is missing: users and their bcrypt hashes".to_owned());
        }
        if self.address.is_empty() {
            return wrong("address is missing".to_owned());
        }
        if self.limits.head.is_zero() || self.limits.window.is_zero() {
            return wrong("limits.head and limits.window are at least 1s".to_owned());
        }
        let unknown = |action: &&String| !ACTIONS.contains(&action.as_str());
        match self
            .listeners
            .iter()
            .flat_map(|one| &one.ignore_actions)
            .find(unknown)
        {
            Some(action) => wrong(format!(
                "{action:?} is no action: pull, push, mount or delete"
            )),
            None => Ok(()),
        }
    }
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = Text::deserialize(from)?.0;
    read(
        &text,
        &[
            ("k", 1 << 10),
            ("m", 1 << 20),
            ("g", 1 << 30),
            ("t", 1 << 40),
        ],
    )
    .ok_or_else(|| D::Error::custom(format!("{text:?} is no size: 512M, 10G")))
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = Text::deserialize(from)?.0;
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 24 * 3600)];
    let seconds = read(&text, &units);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| D::Error::custom(format!("{text:?} is no time: 30s, 5m, 24h, 7d")))
}

fn some_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    size(from).map(Some)
}

fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

/// A text, or a number written without quotes.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(from)? {
            toml::Value::String(text) => Ok(Self(text)),
            toml::Value::Integer(number) => Ok(Self(number.to_string())),
            _ => Err(D::Error::custom("a text or a number is expected")),
        }
    }
}

fn read(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let unit = units
        .iter()
        .find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((&lower, 1));
    digits.trim().parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
        address = ["0.0.0.0:5000"]
        [tls]
        certificate = "c.pem"
        key = "k.pem"
        [auth]
        mode = "token"
        htpasswd = "users"
        token-life = "5m"
        [[rule]]
        who = ["anyone"]
        repositories = ["public/**"]
        rights = ["pull"]
        [[repository]]
        match = "release/*"
        immutable = true
        quota = "10G"
        [limits]
        quota = "1T"
        rate = 50.0
        [collect]
        every = "30m"
        [cache]
        remote = "docker.io"
        [[listener]]
        name = "ci"
        url = "https://ci.example/hook"
        ignore-actions = ["pull"]
    "#;

    #[test]
    fn everything_can_be_said() {
        let settings = Settings::parse(FULL).unwrap();
        settings.check().unwrap();
        assert_eq!(settings.limits.quota, Some(1 << 40));
        assert_eq!(settings.collect.every, Duration::from_secs(1800));
        assert_eq!(settings.repositories[0].quota, Some(10 << 30));
        assert_eq!(settings.auth.token_life, Some(Duration::from_secs(300)));
    }

    #[test]
    fn what_is_unknown_or_wrong_is_refused() {
        for bad in [
            "adress = []",
            "[auth]\nmode = \"none\"",
            "[limits]\nblob = \"much\"",
            "[[rule]]\nwho=[\"a\"]\nrepositories=[\"../x\"]\nrights=[]",
            "[collect]\nevery = true",
        ] {
            assert!(Settings::parse(bad).is_err(), "{bad}");
        }
        let unknown = FULL.replace("ignore-actions = [\"pull\"]", "ignore-actions = [\"fly\"]");
        assert!(Settings::parse(&unknown).unwrap().check().is_err());
    }

    #[test]
    fn nobody_serves_everybody_by_mistake() {
        let said = |text: &str| {
            Settings::parse(text)
                .unwrap()
                .check()
                .unwrap_err()
                .to_string()
        };
        assert!(said("address = [\"0.0.0.0:5000\"]").contains("everybody"));
        let clear = "address = [\"0.0.0.0:5000\"]\n[auth]\nmode = \"basic\"\nhtpasswd = \"u\"";
        assert!(said(clear).contains("in the clear"));
        assert!(
            Settings::parse(&format!("{clear}\nbehind-tls = true"))
                .unwrap()
                .check()
                .is_ok()
        );
        assert!(Settings::default().check().is_ok());
        assert!(said("[auth]\nmode = \"basic\"").contains("htpasswd"));
    }
}
