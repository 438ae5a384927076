//! Versions of the Engine API.

use std::{fmt, str::FromStr};

/// An Engine API version, `1.45`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiVersion {
    major: u16,
    minor: u16,
}

/// Why a text is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid API version {0:?}")]
pub struct ApiVersionError(String);

impl ApiVersion {
    /// The oldest version that we speak.
    pub const OLDEST: Self = Self::new(1, 24);
    /// The newest version that we speak.
    pub const NEWEST: Self = Self::new(1, 51);

    /// Makes a version.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl FromStr for ApiVersion {
    type Err = ApiVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ApiVersionError(text.to_owned());
        let (major, minor) = text.split_once('.').ok_or_else(refuse)?;
        let number = |part: &str| part.parse::<u16>().ok().ok_or_else(refuse);
        Ok(Self::new(number(major)?, number(minor)?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_not_by_text() {
        assert!("1.9".parse::<ApiVersion>().unwrap() < "1.24".parse().unwrap());
        assert_eq!(ApiVersion::NEWEST.to_string(), "1.51");
    }
}
