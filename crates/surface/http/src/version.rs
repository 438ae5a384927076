//! The version prefix of a path: `/v1.45/info`, or none for the newest.

use hakone_base::ApiVersion;

use crate::error::Error;

/// Splits a path into the version to answer in and the rest.
///
/// # Errors
/// When the version lies outside what we speak.
pub(crate) fn split(path: &str) -> Result<(ApiVersion, &str), Error> {
    let Some((prefix, rest)) = path
        .strip_prefix("/v")
        .and_then(|tail| tail.split_once('/'))
    else {
        return Ok((ApiVersion::NEWEST, path));
    };
    let Ok(version) = prefix.parse::<ApiVersion>() else {
        return Ok((ApiVersion::NEWEST, path));
    };
    if version > ApiVersion::NEWEST {
        return Err(Error::TooNew(version));
    }
    if version < ApiVersion::OLDEST {
        return Err(Error::TooOld(version));
    }
    let slash = path.len() - rest.len() - 1;
    Ok((version, path.get(slash..).unwrap_or("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_path_means_the_newest_version() {
        assert_eq!(split("/info").unwrap(), (ApiVersion::NEWEST, "/info"));
        assert_eq!(split("/volumes").unwrap(), (ApiVersion::NEWEST, "/volumes"));
        assert_eq!(
            split("/volumes/v1").unwrap(),
            (ApiVersion::NEWEST, "/volumes/v1")
        );
    }

    #[test]
    fn a_prefix_names_the_version() {
        assert_eq!(
            split("/v1.45/info").unwrap(),
            (ApiVersion::new(1, 45), "/info")
        );
    }

    #[test]
    fn versions_outside_the_range_are_refused_in_dockers_words() {
        assert_eq!(
            split("/v1.99/info").unwrap_err().to_string(),
            "client version 1.99 is too new. Maximum supported API version is 1.51"
        );
        assert_eq!(
            split("/v1.12/info").unwrap_err().to_string(),
            "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
        );
    }
}
