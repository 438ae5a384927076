//! Scoped sockets: parses `--socket path=…,role=…` into an address, its permissions and its gate.
//!
//! Everything is checked when the daemon starts; a socket with a word that is not understood is not opened, and neither is the
//! daemon.

use std::{path::PathBuf, sync::Arc};

use hakone_authorize::{Grant, Scope};
use hakone_http::{Gate, SocketAccess};

use crate::{
    resolve::{group, refuse},
    settings::Error,
};

const KEY: &str = "socket";

/// A socket with less power than root's.
#[derive(Clone, Debug)]
pub(crate) struct Scoped {
    pub(crate) path: PathBuf,
    pub(crate) access: SocketAccess,
    pub(crate) gate: Arc<Gate>,
}

/// The words of one `--socket`.
#[derive(Default)]
struct Words<'a> {
    path: Option<&'a str>,
    role: Option<&'a str>,
    rules: Option<&'a str>,
    label: Option<&'a str>,
    mode: Option<&'a str>,
    group: Option<&'a str>,
    users: Vec<u32>,
    groups: Vec<u32>,
}

/// Parses one `--socket`.
pub(crate) fn parse(text: &str) -> Result<Scoped, Error> {
    let words = Words::parse(text)?;
    let wrong = |reason: &str| refuse(KEY, text, reason);
    let path = words.path.filter(|path| path.starts_with('/'));
    let path = path.ok_or_else(|| wrong("path=/ABSOLUTE/PATH is needed"))?;
    let mut grant = granted(&words, text)?;
    if let Some(label) = words.label {
        let scope = Scope::parse(label).ok_or_else(|| wrong("label=KEY=VALUE is expected"))?;
        let bounded = grant.scoped(scope);
        grant = bounded.ok_or_else(|| wrong("no label can bound this role, or another does"))?;
    }
    let mode = u32::from_str_radix(words.mode.unwrap_or("660"), 8);
    let mode = mode.map_err(|error| refuse(KEY, text, error))?;
    let owner = words
        .group
        .map(|name| group(name).ok_or_else(|| wrong("no such group")));
    Ok(Scoped {
        path: path.into(),
        access: SocketAccess {
            mode: mode & 0o777,
            group: owner.transpose()?,
        },
        gate: Arc::new(Gate {
            name: path.to_owned(),
            grant,
            users: words.users,
            groups: words.groups,
        }),
    })
}

fn granted(words: &Words<'_>, text: &str) -> Result<Grant, Error> {
    match (words.role, words.rules) {
        (Some(role), None) => Grant::role(role)
            .ok_or_else(|| refuse(KEY, text, "role is one of read-only, operator, admin")),
        (None, Some(path)) => {
            let found = std::fs::read_to_string(path);
            let found = found.map_err(|error| refuse(KEY, path, error))?;
            Grant::rules(path, &found).map_err(|error| refuse(KEY, path, error))
        }
        _ => Err(refuse(
            KEY,
            text,
            "one of role=ROLE and rules=FILE is needed",
        )),
    }
}

impl<'a> Words<'a> {
    fn parse(text: &'a str) -> Result<Self, Error> {
        let mut words = Self::default();
        for word in text.split(',') {
            let wrong = || refuse(KEY, text, format!("{word:?} is not understood"));
            let (key, value) = word.split_once('=').ok_or_else(wrong)?;
            let number = || value.parse().map_err(|error| refuse(KEY, value, error));
            let slot = match key {
                "path" => &mut words.path,
                "role" => &mut words.role,
                "rules" => &mut words.rules,
                "label" => &mut words.label,
                "mode" => &mut words.mode,
                "group" => &mut words.group,
                "uid" => {
                    words.users.push(number()?);
                    continue;
                }
                "gid" => {
                    words.groups.push(number()?);
                    continue;
                }
                _ => return Err(wrong()),
            };
            if slot.replace(value).is_some() {
                return Err(refuse(KEY, text, format!("{key} stands twice")));
            }
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_a_path_a_role_and_its_conditions() {
        let text =
            "path=/run/ci.sock,role=operator,label=team=ci,uid=1000,uid=1001,gid=50,mode=600";
        let socket = parse(text).unwrap();
        assert_eq!(socket.access.mode, 0o600);
        assert_eq!(socket.gate.users, [1000, 1001]);
        assert_eq!(socket.gate.grant.scope().unwrap().value, "ci");
    }

    #[test]
    fn what_is_not_understood_opens_nothing() {
        for text in [
            "",
            "path=/x",
            "role=operator",
            "path=x,role=operator",
            "path=/x,role=root",
            "path=/x,role=operator,uid=me",
            "path=/x,role=operator,label=team",
            "path=/x,role=admin,label=team=ci",
            "path=/x,role=operator,role=admin",
            "path=/x,role=operator,colour=red",
            "path=/x,role=operator,rules=/y",
            "path=/x,rules=/no/such/file",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
