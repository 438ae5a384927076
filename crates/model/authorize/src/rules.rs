//! The rule file of a socket: TOML, every key known, every word checked when the daemon starts.
//!
//! ```toml
//! role = "operator"                     # where it starts: none, read-only or operator (none when absent)
//! label = "team=ci"                     # the scope
//! allow = ["image.tag", "image.push"]   # actions beyond the role
//! deny = ["container.exec"]             # actions of the role taken away; stronger than allow
//! images = ["registry.example/ci/*"]    # the only images that may be used or fetched
//! image-write = ["registry.example/ci/*"]
//! options = ["CapAdd=NET_ADMIN", "Sysctls"]
//! binds = ["/srv/ci"]                   # folders of the host, exactly as they stand here
//! ```

use serde::Deserialize;

use crate::{Action, Glob, Grant, Level, Scope, host_config};

/// The longest rule file.
const LONGEST: usize = 64 * 1024;
/// Options that stand elsewhere than in `HostConfig`.
pub(crate) const OTHER_OPTIONS: [&str; 5] = [
    "Exec.Privileged",
    "Volume.DriverOpts",
    "Network.Driver",
    "Network.Options",
    "Endpoint.DriverOpts",
];

/// Why a rule file is refused.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It is too long.
    #[error("longer than {LONGEST} bytes")]
    Long,
    /// It is no TOML, or has a key that nobody knows.
    #[error("{0}")]
    Syntax(String),
    /// A word that means nothing.
    #[error("{key}: {value:?} {reason}")]
    Word {
        /// The key.
        key: &'static str,
        /// The word.
        value: String,
        /// Why it is refused.
        reason: &'static str,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct File {
    role: Option<String>,
    label: Option<String>,
    allow: Vec<Glob>,
    deny: Vec<Glob>,
    images: Option<Vec<Glob>>,
    image_write: Vec<Glob>,
    options: Vec<String>,
    binds: Vec<String>,
}

/// Parses a rule file; `name` is how refusals call it.
pub(crate) fn parse(name: &str, text: &str) -> Result<Grant, RulesError> {
    if text.len() > LONGEST {
        return Err(RulesError::Long);
    }
    let file: File = toml::from_str(text).map_err(|error| RulesError::Syntax(error.to_string()))?;
    check(&file)?;
    let level = level(file.role.as_deref())?;
    let scope = file.label.as_deref().map(|text| {
        let refuse = || word("label", text, "is no KEY=VALUE");
        Scope::parse(text).ok_or_else(refuse)
    });
    let mut grant = Grant::of(name, level);
    grant.scope = scope.transpose()?;
    grant.allow = file.allow;
    grant.deny = file.deny;
    grant.images = file.images;
    grant.image_write = file.image_write;
    grant.options = file.options;
    grant.binds = file.binds;
    Ok(grant)
}

fn level(role: Option<&str>) -> Result<Level, RulesError> {
    match role {
        None | Some("none") => Ok(Level::Anyone),
        Some("read-only") => Ok(Level::Reader),
        Some("operator") => Ok(Level::Operator),
        Some(other) => Err(word("role", other, "is none of none, read-only, operator")),
    }
}

fn check(file: &File) -> Result<(), RulesError> {
    for (key, globs) in [("allow", &file.allow), ("deny", &file.deny)] {
        let idle = |glob: &&Glob| !Action::ALL.iter().any(|row| glob.matches(row.1));
        if let Some(glob) = globs.iter().find(idle) {
            return Err(word(key, glob.as_str(), "is no action"));
        }
    }
    let unknown = |option: &&String| {
        let key = option.split('=').next().unwrap_or_default();
        !host_config::KEYS.contains(&key) && !OTHER_OPTIONS.contains(&key)
    };
    if let Some(option) = file.options.iter().find(unknown) {
        return Err(word("options", option, "is no option"));
    }
    let odd = |path: &&String| !path.starts_with('/') || path.split('/').any(|part| part == "..");
    match file.binds.iter().find(odd) {
        Some(path) => Err(word("binds", path, "is no absolute path")),
        None => Ok(()),
    }
}

fn word(key: &'static str, value: &str, reason: &'static str) -> RulesError {
    RulesError::Word {
        key,
        value: value.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_means_nothing_refuses_the_file() {
        for text in [
            "rolle = 'operator'",
            "role = 'admin'",
            "allow = ['container.exce']",
            "options = ['Privilged']",
            "binds = ['srv']",
            "binds = ['/srv/../etc']",
            "label = 'team'",
        ] {
            assert!(parse("r", text).is_err(), "{text}");
        }
    }

    #[test]
    fn deny_is_stronger_than_allow_and_nothing_said_is_nothing_granted() {
        let grant = parse("r", "allow = ['container.*']\ndeny = ['container.exec']").unwrap();
        assert!(grant.action(Action::ContainerCreate).is_ok());
        assert!(grant.action(Action::ContainerExec).is_err());
        assert!(grant.action(Action::ImageList).is_err());
        assert!(grant.action(Action::Ping).is_ok());
    }
}
