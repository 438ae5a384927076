//! Image references as people type them: `debian`, `localhost:5000/app:1`, `app@sha256:…`.
//!
//! The grammar is that of the distribution project; `debian` means `docker.io/library/debian`.

use std::{fmt, str::FromStr};

use crate::Digest;

/// A parsed reference to an image: domain and path, and a tag, a digest, or both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRef {
    domain: Box<str>,
    path: Box<str>,
    tag: Option<Box<str>>,
    digest: Option<Digest>,
}

/// Why a text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageRefError {
    /// The text does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository holds uppercase letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// The text is 64 hex digits, which name an image, not a repository.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
}

const DEFAULT_DOMAIN: &str = "docker.io";
const OFFICIAL: &str = "library/";
/// What the default domain was called once.
const LEGACY_DOMAIN: &str = "index.docker.io";

impl ImageRef {
    /// Gives the registry's host and port.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Gives the repository's path in its registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Gives the tag, if one was named.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Gives the digest, if one was named.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Fills in `latest` when neither tag nor digest was named.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".into());
        }
        self
    }

    /// Replaces tag and digest by this tag.
    ///
    /// # Errors
    /// When the tag does not follow the grammar.
    pub fn with_tag(mut self, tag: &str) -> Result<Self, ImageRefError> {
        self.tag = Some(parse_tag(tag)?.into());
        self.digest = None;
        Ok(self)
    }

    /// Replaces tag and digest by this digest.
    #[must_use]
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.tag = None;
        self.digest = Some(digest);
        self
    }

    /// Reports whether both name the same repository.
    #[must_use]
    pub fn same_repository(&self, other: &Self) -> bool {
        self.domain == other.domain && self.path == other.path
    }

    /// Gives the repository as people write it: without the default domain and `library/`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        match self.domain.as_ref() {
            DEFAULT_DOMAIN => match self.path.strip_prefix(OFFICIAL) {
                // Of `library/team/app` the beginning is part of the name: without it, another repository is meant.
                Some(name) if !name.contains('/') => name.to_owned(),
                _ => self.path.to_string(),
            },
            domain => format!("{domain}/{}", self.path),
        }
    }
}

impl FromStr for ImageRef {
    type Err = ImageRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ImageRefError::Identifier(text.to_owned()));
        }
        let (rest, digest) = split_digest(text)?;
        let (name, tag) = split_tag(rest)?;
        let (domain, path) = split_domain(name);
        check_domain(&domain)?;
        check_path(&path)?;
        Ok(Self {
            domain: domain.into(),
            path: path.into(),
            tag: tag.map(Into::into),
            digest,
        })
    }
}

impl fmt::Display for ImageRef {
    /// The familiar form, as Docker prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar_name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn split_digest(text: &str) -> Result<(&str, Option<Digest>), ImageRefError> {
    match text.split_once('@') {
        None => Ok((text, None)),
        Some((rest, digest)) => match digest.parse() {
            Ok(digest) => Ok((rest, Some(digest))),
            Err(_) => Err(ImageRefError::Format),
        },
    }
}

fn split_tag(text: &str) -> Result<(&str, Option<&str>), ImageRefError> {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => Ok((name, Some(parse_tag(tag)?))),
        _ => Ok((text, None)),
    }
}

fn parse_tag(tag: &str) -> Result<&str, ImageRefError> {
    let first = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let rest = tag
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    match first && rest && tag.len() <= 128 {
        true => Ok(tag),
        false => Err(ImageRefError::Format),
    }
}

fn split_domain(name: &str) -> (String, String) {
    let (host, path) = match name.split_once('/') {
        Some((LEGACY_DOMAIN, path)) => (DEFAULT_DOMAIN, path),
        Some((host, path)) if is_domain(host) => (host, path),
        _ => (DEFAULT_DOMAIN, name),
    };
    match host == DEFAULT_DOMAIN && !path.contains('/') {
        true => (host.to_owned(), format!("{OFFICIAL}{path}")),
        false => (host.to_owned(), path.to_owned()),
    }
}

fn is_domain(host: &str) -> bool {
    host == "localhost" || host.contains(['.', ':']) || host.to_lowercase() != host
}

fn check_domain(domain: &str) -> Result<(), ImageRefError> {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, port),
        _ => (domain, "0"),
    };
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let fits = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(label),
    };
    match fits && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(()),
        false => Err(ImageRefError::Format),
    }
}

fn check_path(path: &str) -> Result<(), ImageRefError> {
    if path.to_lowercase() != path {
        return Err(ImageRefError::Uppercase(
            path.trim_start_matches(OFFICIAL).to_owned(),
        ));
    }
    match path.len() <= 255 && path.split('/').all(is_component) {
        true => Ok(()),
        false => Err(ImageRefError::Format),
    }
}

/// Letters and digits, joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(part: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = |b: Option<&u8>| b.is_some_and(alphanumeric);
    let bytes = part.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && part
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ImageRef {
        text.parse().unwrap()
    }

    #[test]
    fn a_bare_name_is_an_official_image() {
        let debian = parse("debian:bookworm");
        assert_eq!(
            (debian.domain(), debian.path()),
            ("docker.io", "library/debian")
        );
        assert_eq!(debian.to_string(), "debian:bookworm");
        assert_eq!(parse("debian").with_default_tag().tag(), Some("latest"));
        for other in [
            "docker.io/debian",
            "index.docker.io/debian",
            "docker.io/library/debian",
        ] {
            assert_eq!(parse(other), parse("debian"), "{other}");
        }
    }

    #[test]
    fn a_first_part_with_dot_or_port_is_a_registry() {
        let app = parse("127.0.0.1:5000/team/app:1");
        assert_eq!(
            (app.domain(), app.path(), app.tag()),
            ("127.0.0.1:5000", "team/app", Some("1"))
        );
        assert_eq!(parse("hakone/hello").domain(), "docker.io");
        assert_eq!(app.to_string(), "127.0.0.1:5000/team/app:1");
    }

    #[test]
    fn what_is_printed_names_the_same_image() {
        for text in [
            "docker.io/library/team/app",
            "library/team/app",
            "docker.io/library/library/app",
            "library/library",
            "library/x.y/z",
        ] {
            let reference = parse(text);
            assert_eq!(parse(&reference.to_string()), reference, "{text}");
        }
        assert_eq!(parse("library/team/app").to_string(), "library/team/app");
    }

    #[test]
    fn a_digest_may_stand_beside_a_tag() {
        let text = format!("app:1@{}", Digest::of(b""));
        assert_eq!(parse(&text).to_string(), text);
    }

    #[test]
    fn bad_references_are_refused() {
        for bad in [
            "",
            "a//b",
            "../etc",
            "a/../b",
            "a:",
            "-a",
            "a@sha256:00",
            "a b",
            "a/-b",
            "a..b",
        ] {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "UP".parse::<ImageRef>(),
            Err(ImageRefError::Uppercase("UP".into()))
        );
        assert!("0".repeat(64).parse::<ImageRef>().is_err());
    }
}
