//! Which attestations a client wants: statements beside a result that say how it was made and what is in it.
//!
//! They come as `attest:provenance` and `attest:sbom`, each a line of `key=value`. What would make a statement say something
//! else than its reader expects, and is not done here, is refused by name; a scanner of somebody else is a program of a stranger.

use std::collections::BTreeMap;

use crate::{Error, list, patterns};

/// The scanner for which this engine answers itself.
const SCANNER: &str = "docker/buildkit-syft-scanner";

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attest {
    /// How the result was made.
    pub provenance: Option<Provenance>,
    /// What is in it.
    pub bill: Option<Bill>,
}

/// A wish for a statement about how a result was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// How much it says.
    pub mode: Mode,
    /// In which form.
    pub form: Form,
    /// Who builds, as an address; empty for nobody.
    pub builder: String,
    /// Whether the client says that the build gives the same again.
    pub reproducible: bool,
    /// Where it is wanted.
    pub place: Place,
}

/// A wish for a bill of materials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Where it is wanted.
    pub place: Place,
}

/// How much a statement says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// No values that people pass secrets in.
    #[default]
    Min,
    /// Also build arguments, labels, steps and the text of the Dockerfile.
    Max,
}

/// The forms of SLSA's provenance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Version 0.2.
    #[default]
    Old,
    /// Version 1.
    New,
}

/// Where a statement is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// With every result.
    #[default]
    Everywhere,
    /// Only where it becomes part of the image and is in nobody's way: the wish of clients whose users did not ask.
    Inline,
}

impl Attest {
    /// Reads the attributes of a build.
    ///
    /// # Errors
    /// When one has a value that it cannot have, or names a scanner.
    pub fn parse(attributes: &BTreeMap<String, String>) -> Result<Self, Error> {
        let wish = |kind: &str| {
            let pairs = pairs(attributes.get(&format!("attest:{kind}"))?);
            let off = pairs.get("disabled").is_some_and(|value| value == "true");
            (!off).then_some(pairs)
        };
        let known = ["attest:provenance", "attest:sbom"];
        let mut keys = attributes.keys();
        if let Some(other) =
            keys.find(|key| key.starts_with("attest:") && !known.contains(&key.as_str()))
        {
            return Err(Error::Unsupported(other.chars().take(128).collect()));
        }
        Ok(Self {
            provenance: wish("provenance")
                .map(|pairs| provenance(&pairs))
                .transpose()?,
            bill: wish("sbom").map(|pairs| bill(&pairs)).transpose()?,
        })
    }

    /// Keeps what is wanted where a statement does not become part of an image.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self {
            provenance: self
                .provenance
                .clone()
                .filter(|one| one.place == Place::Everywhere),
            bill: self.bill.filter(|one| one.place == Place::Everywhere),
        }
    }

    /// Reports whether nothing is wanted.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.provenance.is_none() && self.bill.is_none()
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |one: String| {
        let (key, value) = one.split_once('=').unwrap_or((&one, "true"));
        (key.to_owned(), value.to_owned())
    };
    list::split(text).into_iter().map(pair).collect()
}

fn place(pairs: &BTreeMap<String, String>) -> Place {
    match pairs.get("inline-only").map(String::as_str) {
        Some("true" | "1") => Place::Inline,
        _ => Place::Everywhere,
    }
}

fn provenance(pairs: &BTreeMap<String, String>) -> Result<Provenance, Error> {
    let text = |key: &str| pairs.get(key).map_or("", String::as_str);
    let refuse = |value: &str, reason| Err(Error::attribute("attest:provenance", value, reason));
    Ok(Provenance {
        mode: match text("mode") {
            "" | "min" => Mode::Min,
            "max" => Mode::Max,
            other => return refuse(other, "the mode is min or max"),
        },
        form: match text("version") {
            "" | "v0.2" => Form::Old,
            "v1" => Form::New,
            other => return refuse(other, "the version is v0.2 or v1"),
        },
        builder: text("builder-id").chars().take(1024).collect(),
        reproducible: matches!(text("reproducible"), "true" | "1"),
        place: place(pairs),
    })
}

fn bill(pairs: &BTreeMap<String, String>) -> Result<Bill, Error> {
    match pairs.get("generator").filter(|name| !name.is_empty()) {
        Some(name) if patterns::repository(name) != SCANNER => {
            let name: String = name.chars().take(128).collect();
            Err(Error::Unsupported(format!("the SBOM generator {name:?}")))
        }
        _ => Ok(Bill {
            place: place(pairs),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, value: &str) -> Result<Attest, Error> {
        Attest::parse(&[(format!("attest:{kind}"), value.to_owned())].into())
    }

    #[test]
    fn clients_whose_users_did_not_ask_want_little() {
        let wish = parse("provenance", "mode=min,inline-only=true").unwrap();
        assert_eq!(wish.provenance.as_ref().unwrap().mode, Mode::Min);
        assert!(wish.beside().is_nothing());
    }

    #[test]
    fn users_choose_mode_and_form() {
        let wish = parse("provenance", "mode=max,version=v1,builder-id=https://x").unwrap();
        let provenance = wish.provenance.clone().unwrap();
        assert_eq!((provenance.mode, provenance.form), (Mode::Max, Form::New));
        assert_eq!(provenance.builder, "https://x");
        assert_eq!(wish.beside(), wish);
        assert!(parse("provenance", "mode=most").is_err());
        assert!(parse("provenance", "disabled=true").unwrap().is_nothing());
    }

    #[test]
    fn scanners_of_strangers_are_refused_by_name() {
        assert!(parse("sbom", "").unwrap().bill.is_some());
        assert!(parse("sbom", "generator=docker/buildkit-syft-scanner:stable-1").is_ok());
        let error = parse("sbom", "generator=evil/scan")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("the SBOM generator \"evil/scan\""),
            "{error}"
        );
        assert!(parse("mine", "").is_err());
    }
}
