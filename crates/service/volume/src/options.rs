//! Options of the driver `local`: `type`, `device`, `o`, as `mount(8)` takes them; `size`; `encrypt` and `key-file`.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{Error, encrypt::key_file};

/// What a volume is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LocalOptions {
    /// The folder itself is the volume.
    Folder {
        /// How many bytes it may take.
        size: Option<u64>,
        /// The file whose key wraps its key.
        key_file: Option<PathBuf>,
    },
    /// A file system that is mounted on the folder while it is used.
    Mount {
        /// `tmpfs`, `ext4`, `nfs`; `none` for a bind.
        kind: String,
        /// The device, folder or export.
        device: String,
        /// Comma-separated options.
        data: String,
    },
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self::Folder {
            size: None,
            key_file: None,
        }
    }
}

const KNOWN: [&str; 6] = ["type", "device", "o", "size", "encrypt", "key-file"];

impl LocalOptions {
    /// Parses the options of a volume.
    pub(crate) fn parse(name: &str, options: &BTreeMap<String, String>) -> Result<Self, Error> {
        if let Some(option) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(Error::Option {
                name: name.to_owned(),
                option: option.clone(),
            });
        }
        let get = |key: &str| options.get(key).filter(|value| !value.is_empty());
        let missing = |option| Error::MissingOption {
            name: name.to_owned(),
            option,
        };
        let mounts = ["type", "device", "o"].iter().any(|key| get(key).is_some());
        if !mounts {
            return folder(name, options);
        }
        for option in ["encrypt", "key-file"] {
            if get(option).is_some() {
                return Err(wrong(
                    name,
                    option,
                    "only a folder of ours can be encrypted",
                ));
            }
        }
        Ok(Self::Mount {
            kind: get("type").cloned().ok_or_else(|| missing("type"))?,
            device: get("device").cloned().ok_or_else(|| missing("device"))?,
            data: get("o").cloned().unwrap_or_default(),
        })
    }
}

fn folder(name: &str, options: &BTreeMap<String, String>) -> Result<LocalOptions, Error> {
    let get = |key: &str| options.get(key).filter(|value| !value.is_empty());
    let size = get("size").map(|text| {
        let refuse = || wrong(name, "size", "a number with k, m, g or t is expected");
        bytes(text).ok_or_else(refuse)
    });
    let key_file = match (get("encrypt").map(String::as_str), get("key-file")) {
        (None, None) => None,
        (Some("fscrypt"), Some(path)) => {
            let relative = || wrong(name, "key-file", "an absolute path is expected");
            Some(key_file(path).ok_or_else(relative)?)
        }
        (Some("fscrypt"), None) => {
            return Err(Error::MissingOption {
                name: name.to_owned(),
                option: "key-file",
            });
        }
        (Some(_), _) => return Err(wrong(name, "encrypt", "fscrypt is the only way")),
        (None, Some(_)) => return Err(wrong(name, "key-file", "encrypt=fscrypt is needed too")),
    };
    Ok(LocalOptions::Folder {
        size: size.transpose()?,
        key_file,
    })
}

fn wrong(name: &str, option: &'static str, reason: &'static str) -> Error {
    Error::Value {
        name: name.to_owned(),
        option,
        reason,
    }
}

/// Reads `10g`, `512M`, `4096`.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let lower = lower.trim_end_matches("ib").trim_end_matches('b');
    let (digits, shift) = match lower.char_indices().next_back()? {
        (at, 'k') => (lower.get(..at)?, 10),
        (at, 'm') => (lower.get(..at)?, 20),
        (at, 'g') => (lower.get(..at)?, 30),
        (at, 't') => (lower.get(..at)?, 40),
        _ => (lower, 0),
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_volume_without_options_is_a_folder() {
        assert_eq!(
            LocalOptions::parse("v", &options(&[])).unwrap(),
            LocalOptions::default()
        );
    }

    #[test]
    fn an_encrypted_volume_has_a_key_file_and_is_a_folder() {
        let parse = |pairs| LocalOptions::parse("v", &options(pairs));
        assert!(parse(&[("encrypt", "fscrypt"), ("key-file", "/k"), ("size", "1g")]).is_ok());
        for pairs in [
            &[("encrypt", "fscrypt")][..],
            &[("key-file", "/k")],
            &[("encrypt", "fscrypt"), ("key-file", "k")],
            &[("encrypt", "rot13"), ("key-file", "/k")],
            &[
                ("encrypt", "fscrypt"),
                ("key-file", "/k"),
                ("type", "tmpfs"),
                ("device", "x"),
            ],
            &[("size", "much")],
            &[("size", "0")],
            &[("size", "99999999999t")],
        ] {
            assert!(parse(pairs).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn an_unknown_option_is_refused_by_name() {
        let error = LocalOptions::parse("v1", &options(&[("foo", "bar")])).unwrap_err();
        assert_eq!(error.to_string(), "create v1: invalid option: \"foo\"");
    }

    #[test]
    fn a_device_needs_a_type_and_a_type_a_device() {
        let error = LocalOptions::parse("v1", &options(&[("type", "tmpfs")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "create v1: missing required option: \"device\""
        );
        assert!(LocalOptions::parse("v1", &options(&[("device", "/x")])).is_err());
    }
}
