//! `~/.docker/config.json`: who the user is at which registry, in the file itself or with a helper that keeps it.
//!
//! Shared with docker: keys that we do not know stay as they are.

use std::{collections::BTreeSet, io::Write as _, path::PathBuf};

use data_encoding::{BASE64, BASE64URL};
use hakone_client::Error;
use hakone_run_flags::Surroundings;
use serde_json::{Map, Value, json};

/// Docker Hub's key, which no host looks like.
const HUB: &str = "https://index.docker.io/v1/";

/// What the user has for one server.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Auth {
    pub(crate) user: String,
    pub(crate) password: String,
    /// What the server gave instead of the password.
    pub(crate) token: String,
    pub(crate) server: String,
}

/// Where a server's credentials are kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    File(Auth),
    /// By `docker-credential-NAME`.
    Helper(String),
}

/// The file and what it says.
#[derive(Clone)]
pub(crate) struct Config {
    path: PathBuf,
    value: Map<String, Value>,
}

/// Gives the key of a registry as docker writes it.
pub(crate) fn key(server: &str) -> String {
    match host(server) {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB.to_owned(),
        host => host.to_owned(),
    }
}

/// Takes scheme and path off.
fn host(server: &str) -> &str {
    let bare = server
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    bare.split('/').next().unwrap_or_default()
}

impl Auth {
    /// Gives the header that carries it to the daemon.
    pub(crate) fn header(&self) -> String {
        BASE64URL.encode(self.json().to_string().as_bytes())
    }

    /// Gives the JSON of the Engine API.
    pub(crate) fn json(&self) -> Value {
        let fields = [
            ("username", &self.user),
            ("password", &self.password),
            ("identitytoken", &self.token),
            ("serveraddress", &self.server),
        ];
        let told = fields.iter().filter(|(_, value)| !value.is_empty());
        told.map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect::<Map<_, _>>()
            .into()
    }

    /// Reads an entry of `auths`.
    fn of_entry(server: &str, entry: &Value) -> Self {
        let text = |key: &str| {
            entry
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let pair = BASE64.decode(text("auth").as_bytes()).unwrap_or_default();
        let pair = String::from_utf8(pair).unwrap_or_default();
        let (user, password) = pair.split_once(':').unwrap_or((&pair, ""));
        Self {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
            token: text("identitytoken"),
            server: server.to_owned(),
        }
    }

    fn entry(&self) -> Value {
        let pair = format!("{}:{}", self.user, self.password);
        let mut entry = json!({"auth": BASE64.encode(pair.as_bytes())});
        if let (Some(entry), false) = (entry.as_object_mut(), self.token.is_empty()) {
            entry.insert("identitytoken".to_owned(), json!(self.token));
        }
        entry
    }
}

impl Config {
    /// Reads the file; one that is not there says nothing.
    pub(crate) fn load(around: &dyn Surroundings) -> Result<Self, Error> {
        let variable = |name: &str| around.variable(name).filter(|value| !value.is_empty());
        let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".docker"));
        let Some(folder) = folder.or_else(home) else {
            return Ok(Self {
                path: PathBuf::new(),
                value: Map::new(),
            });
        };
        let path = folder.join("config.json");
        let text = match around.read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => return Err(Error::io(format!("read {}", path.display()))(error)),
        };
        let value = serde_json::from_str(&text);
        let value = value.map_err(|error| Error::usage(format!("{}: {error}", path.display())))?;
        Ok(Self { path, value })
    }

    /// Tells where the credentials of a server are.
    pub(crate) fn kept(&self, server: &str) -> Kept {
        if let Some(helper) = self.helper(server) {
            return Kept::Helper(helper);
        }
        let entries = self.value.get("auths").and_then(Value::as_object);
        let mut entries = entries.into_iter().flatten();
        let same = |name: &str| name == server || key(name) == server;
        match entries.find(|(name, _)| same(name)) {
            Some((_, entry)) => Kept::File(Auth::of_entry(server, entry)),
            None => Kept::File(Auth::default()),
        }
    }

    /// Lists the servers that the user has something for, in the file or with a helper of their own.
    pub(crate) fn servers(&self) -> BTreeSet<String> {
        let lists = ["auths", "credHelpers"].map(|list| self.value.get(list));
        let lists = lists.into_iter().flatten().filter_map(Value::as_object);
        lists.flat_map(Map::keys).map(|name| key(name)).collect()
    }

    /// Names the helper that a server's credentials are with.
    pub(crate) fn helper(&self, server: &str) -> Option<String> {
        let special = self
            .value
            .get("credHelpers")
            .and_then(|helpers| helpers.get(server));
        let name = special.or_else(|| self.value.get("credsStore"))?.as_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Keeps credentials in the file, or just the note that there are some.
    pub(crate) fn keep(&mut self, server: &str, auth: Option<&Auth>) -> Result<(), Error> {
        let entry = auth.map_or_else(|| json!({}), Auth::entry);
        let auths = self.value.entry("auths").or_insert_with(|| json!({}));
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(server.to_owned(), entry);
        }
        self.save()
    }

    /// Forgets what the file has; reports whether it had something.
    pub(crate) fn forget(&mut self, server: &str) -> Result<bool, Error> {
        let auths = self.value.get_mut("auths").and_then(Value::as_object_mut);
        let had = auths.is_some_and(|auths| auths.remove(server).is_some());
        if had {
            self.save()?;
        }
        Ok(had)
    }

    /// Names the file.
    pub(crate) fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// Replaces the file in one step; nobody but the user may read it.
    fn save(&self) -> Result<(), Error> {
        let failed = || Error::io(format!("write {}", self.path.display()));
        let folder = self.path.parent().unwrap_or(&self.path);
        std::fs::create_dir_all(folder).map_err(failed())?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
        let text = serde_json::to_string_pretty(&self.value).unwrap_or_default();
        file.write_all(text.as_bytes()).map_err(failed())?;
        file.persist(&self.path)
            .map_err(|error| failed()(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use super::*;

    struct Home(PathBuf);

    impl Surroundings for Home {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "DOCKER_CONFIG").then(|| self.0.display().to_string())
        }
        fn read(&self, path: &Path) -> io::Result<String> {
            std::fs::read_to_string(path)
        }
        fn folder(&self) -> PathBuf {
            self.0.clone()
        }
    }

    fn bob(server: &str) -> Auth {
        Auth {
            user: "bob".into(),
            password: "s3:cret".into(),
            token: String::new(),
            server: server.into(),
        }
    }

    #[test]
    fn servers_have_dockers_keys() {
        for hub in ["", "docker.io", "https://index.docker.io/v1/"] {
            assert_eq!(key(hub), HUB);
        }
        assert_eq!(key("https://r.example:5000/v2/"), "r.example:5000");
    }

    #[test]
    fn what_is_kept_is_found_again_and_other_keys_stay() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.json");
        let text = r#"{"psFormat":"x","auths":{"https://other.example/v1/":{"auth":"YTpi"}}}"#;
        std::fs::File::create(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .unwrap();
        let around = Home(home.path().to_owned());
        let mut config = Config::load(&around).unwrap();
        config.keep("r.example", Some(&bob("r.example"))).unwrap();
        let again = Config::load(&around).unwrap();
        assert!(again.kept("r.example") == Kept::File(bob("r.example")));
        // Written by an old docker, with scheme and path.
        assert!(matches!(again.kept("other.example"), Kept::File(auth) if auth.user == "a"));
        assert_eq!(again.value["psFormat"], "x");
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut config = again;
        assert!(config.forget("r.example").unwrap() && !config.forget("r.example").unwrap());
    }

    #[test]
    fn helpers_come_before_the_file() {
        let value = json!({"credsStore": "pass", "credHelpers": {"r.example": "ecr-login"}});
        let config = Config {
            path: PathBuf::new(),
            value: value.as_object().cloned().unwrap(),
        };
        assert_eq!(config.helper("r.example").as_deref(), Some("ecr-login"));
        assert_eq!(config.helper("x.example").as_deref(), Some("pass"));
    }

    #[test]
    fn nobody_is_an_empty_object() {
        assert_eq!(Auth::default().header(), "e30=");
    }
}
