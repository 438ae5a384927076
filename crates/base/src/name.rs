//! Names that people give to containers, networks and volumes.
//!
//! The pattern is Docker's; it keeps path characters out, so that a name can stand in a path (attack `name_traversal`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A container name with a character or length outside Docker's pattern.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    Container(String),
    /// A volume name with a character or length outside Docker's pattern.
    #[error(
        "create {0}: {0:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )]
    Volume(String),
    /// A volume name of one character.
    #[error(
        "create {0}: volume name is too short, names should be at least two alphanumeric characters"
    )]
    ShortVolume(String),
    /// An empty or untrimmed network name, or one with path characters.
    #[error("invalid name: {0}")]
    Network(String),
    /// A name longer than any client needs.
    #[error("a name has at most {} characters", MAX)]
    TooLong,
}

/// Longest name taken: it must fit into a path component and a DNS answer.
const MAX: usize = 253;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Gives the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text).map(|text| Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A container's name, without the leading slash of the wire format.
    ContainerName,
    container
);
name!(
    /// A network's name.
    NetworkName,
    network
);
name!(
    /// A volume's name.
    VolumeName,
    volume
);

fn container(text: &str) -> Result<&str, NameError> {
    let name = text.strip_prefix('/').unwrap_or(text);
    bounded(name)?;
    match name.len() >= 2 && restricted(name) {
        true => Ok(name),
        false => Err(NameError::Container(text.to_owned())),
    }
}

fn volume(text: &str) -> Result<&str, NameError> {
    bounded(text)?;
    match (text.len(), restricted(text)) {
        (1, _) => Err(NameError::ShortVolume(text.to_owned())),
        (_, true) => Ok(text),
        (_, false) => Err(NameError::Volume(text.to_owned())),
    }
}

fn network(text: &str) -> Result<&str, NameError> {
    bounded(text)?;
    match restricted(text) {
        true => Ok(text),
        false => Err(NameError::Network(text.to_owned())),
    }
}

fn bounded(text: &str) -> Result<(), NameError> {
    match text.len() > MAX {
        true => Err(NameError::TooLong),
        false => Ok(()),
    }
}

fn restricted(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_name_loses_its_slash() {
        assert_eq!("/web".parse::<ContainerName>().unwrap().as_str(), "web");
    }

    #[test]
    fn names_with_path_characters_are_refused() {
        for bad in ["../x", "a/b", "-a", "", "a\0b", ".."] {
            assert!(bad.parse::<ContainerName>().is_err(), "{bad:?}");
            assert!(bad.parse::<VolumeName>().is_err(), "{bad:?}");
            assert!(bad.parse::<NetworkName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_message_is_dockers() {
        let error = "-a!".parse::<ContainerName>().unwrap_err().to_string();
        assert_eq!(
            error,
            "Invalid container name (-a!), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        );
    }
}
