//! Ids of 64 lowercase hex digits, one type per thing so that two of them never mix.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has another length than 64.
    #[error("an id has 64 hex digits, not {0}")]
    Length(usize),
    /// The text holds something else than a lowercase hex digit.
    #[error("{0:?} is not a lowercase hex digit")]
    Digit(char),
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Makes an id of 32 random bytes; entropy is the caller's.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(hex(&bytes).into())
            }

            /// Gives all 64 digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Gives the first 12 digits, as shown to people.
            #[must_use]
            pub fn short(&self) -> &str {
                self.0.get(..12).unwrap_or(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let odd = text.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f'));
                match (text.len(), odd) {
                    (64, None) => Ok(Self(text.into())),
                    (64, Some(c)) => Err(IdError::Digit(c)),
                    (n, _) => Err(IdError::Length(n)),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

hex_id!(
    /// The 64 lowercase hex digits that name a container for its whole life.
    ///
    /// ```compile_fail
    /// let network: hakone_base::NetworkId = hakone_base::ContainerId::from_bytes([0; 32]);
    /// ```
    ContainerId
);
hex_id!(
    /// The id of a network.
    NetworkId
);
hex_id!(
    /// The id of an endpoint: a container's place in a network.
    EndpointId
);
hex_id!(
    /// The id of a command executed in a running container.
    ExecId
);

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(digit)
        .collect()
}

fn digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_what_was_parsed() {
        let id = ContainerId::from_bytes([0xa5; 32]);
        assert_eq!(id.to_string().parse::<ContainerId>().unwrap(), id);
        assert_eq!(id.short(), "a5a5a5a5a5a5");
    }

    #[test]
    fn an_id_of_other_length_or_digits_is_refused() {
        assert_eq!("abc".parse::<NetworkId>(), Err(IdError::Length(3)));
        assert_eq!(
            "G".repeat(64).parse::<NetworkId>(),
            Err(IdError::Digit('G'))
        );
    }
}
