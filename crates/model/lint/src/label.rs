//! What a label may hold, and whether it does.

use std::str::FromStr;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What the value of a label must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LabelKind {
    /// Anything.
    Text,
    /// A time of RFC 3339.
    Rfc3339,
    /// A semantic version.
    Semver,
    /// A URL.
    Url,
    /// A git hash, short or long.
    Hash,
    /// A licence of SPDX.
    Spdx,
    /// A mail address.
    Email,
}

impl FromStr for LabelKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" | "string" | "" => Ok(Self::Text),
            "rfc3339" => Ok(Self::Rfc3339),
            "semver" => Ok(Self::Semver),
            "url" => Ok(Self::Url),
            "hash" => Ok(Self::Hash),
            "spdx" => Ok(Self::Spdx),
            "email" => Ok(Self::Email),
            _ => Err(format!("unknown kind of label {text:?}")),
        }
    }
}

impl LabelKind {
    /// Gives the rule that a wrong value breaks, and what it should have been.
    pub(crate) const fn rule(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Text => None,
            Self::Url => Some(("DL3052", "a URL")),
            Self::Rfc3339 => Some(("DL3053", "a time as RFC 3339 writes it")),
            Self::Spdx => Some(("DL3054", "a licence identifier of SPDX")),
            Self::Hash => Some(("DL3055", "a git hash")),
            Self::Semver => Some(("DL3056", "a semantic version")),
            Self::Email => Some(("DL3058", "a mail address")),
        }
    }

    /// Reports whether the value is of this kind.
    pub(crate) fn accepts(self, value: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Rfc3339 => OffsetDateTime::parse(value, &Rfc3339).is_ok(),
            Self::Semver => semver::Version::parse(value).is_ok(),
            Self::Url => url(value),
            Self::Hash => hash(value),
            Self::Spdx => spdx::Expression::parse(value).is_ok(),
            Self::Email => email(value),
        }
    }
}

fn url(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once(':') else {
        return false;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(plain)
        && rest
            .chars()
            .all(|c| c.is_ascii_graphic() && !"<>\"{}|\\^`".contains(c))
}

/// Seven digits, as git shortens them, or all forty.
fn hash(value: &str) -> bool {
    matches!(value.len(), 7 | 40)
        && value
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn email(value: &str) -> bool {
    let Some((local, domain)) = value.split_once('@') else {
        return false;
    };
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let host = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    let dots = |text: &str| !text.starts_with('.') && !text.ends_with('.') && !text.contains("..");
    let filled = !local.is_empty() && !domain.is_empty();
    filled && local.chars().all(atom) && domain.chars().all(host) && dots(local) && dots(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_judged_by_their_kind() {
        let table: [(LabelKind, &[&str], &[&str]); 6] = [
            (
                LabelKind::Url,
                &["https://a.b/c", "mailto:q"],
                &["a.b", "http://a b", ":x", "1a:b"],
            ),
            (
                LabelKind::Rfc3339,
                &["2020-01-01T00:00:00Z", "2020-01-01T00:00:00.5+01:00"],
                &["2020-01-01", "2020-13-01T00:00:00Z"],
            ),
            (LabelKind::Spdx, &["MIT", "Apache-2.0"], &["BSD", "foo", ""]),
            (
                LabelKind::Hash,
                &["abcdef0", "0123456789012345678901234567890123456789"],
                &["abc", "ABCDEF0", "01234567"],
            ),
            (
                LabelKind::Semver,
                &["1.2.3", "1.2.3-a+b"],
                &["1", "1.2", "v1.2.3", "1.2.3-a_b"],
            ),
            (
                LabelKind::Email,
                &["a@b", "a.b@c.d"],
                &["a", "a b@c.d", "a@b@c", "A <a@b.c>", "@b", "a@"],
            ),
        ];
        for (kind, good, bad) in table {
            assert!(good.iter().all(|value| kind.accepts(value)), "{kind:?}");
            assert!(!bad.iter().any(|value| kind.accepts(value)), "{kind:?}");
        }
    }
}
