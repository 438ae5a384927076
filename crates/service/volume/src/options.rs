//! Options of the driver `local`: `type`, `device`, `o`, as `mount(8)` takes them.

use std::collections::BTreeMap;

use crate::Error;

/// What is mounted on a volume's folder while it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum LocalOptions {
    /// Nothing: the folder itself is the volume.
    #[default]
    Folder,
    /// A file system.
    Mount {
        /// `tmpfs`, `ext4`, `nfs`; `none` for a bind.
        kind: String,
        /// The device, folder or export.
        device: String,
        /// Comma-separated options.
        data: String,
    },
}

impl LocalOptions {
    /// Parses the options of a volume.
    pub(crate) fn parse(name: &str, options: &BTreeMap<String, String>) -> Result<Self, Error> {
        const KNOWN: [&str; 4] = ["type", "device", "o", "size"];
        if let Some(option) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(Error::Option {
                name: name.to_owned(),
                option: option.clone(),
            });
        }
        let get = |key: &str| options.get(key).filter(|value| !value.is_empty()).cloned();
        if options.is_empty() {
            return Ok(Self::Folder);
        }
        let missing = |option| Error::MissingOption {
            name: name.to_owned(),
            option,
        };
        Ok(Self::Mount {
            kind: get("type").ok_or_else(|| missing("type"))?,
            device: get("device").ok_or_else(|| missing("device"))?,
            data: get("o").unwrap_or_default(),
        })
    }
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
            LocalOptions::Folder
        );
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
