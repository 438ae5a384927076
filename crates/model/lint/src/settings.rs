//! What the user wants to hear: the keys of `.hadolint.yaml`, and the flags that mean the same.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Format, LabelKind, Severity, catalog};

/// When a run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// At a finding this bad.
    At(Severity),
    /// Never.
    Never,
}

impl std::str::FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::Never),
            _ => text.parse().map(Self::At),
        }
    }
}

/// Settings that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

/// What the user wants to hear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Rules that are silent.
    pub ignored: Vec<String>,
    /// Rules with another severity.
    pub severities: BTreeMap<String, Severity>,
    /// Registries that images may come from; none is all.
    pub trusted_registries: Vec<String>,
    /// Labels that every image must have, and what they hold.
    pub labels: BTreeMap<String, LabelKind>,
    /// Whether other labels are too many.
    pub strict_labels: bool,
    /// Whether comments cannot silence rules.
    pub no_pragmas: bool,
    /// When a run fails; from `info` on, unless said.
    pub threshold: Option<Threshold>,
    /// How findings are printed.
    pub format: Option<Format>,
    /// Whether there is no color.
    pub no_color: bool,
}

/// The file as it is written.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the keys of a format that is not ours"
)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Written {
    ignored: Vec<String>,
    #[serde(rename = "override")]
    overrides: Overrides,
    #[serde(rename = "trustedRegistries")]
    trusted_registries: OneOrMany,
    label_schema: BTreeMap<String, String>,
    strict_labels: bool,
    disable_ignore_pragma: bool,
    failure_threshold: Option<String>,
    format: Option<String>,
    no_fail: bool,
    no_color: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Overrides {
    error: Vec<String>,
    warning: Vec<String>,
    info: Vec<String>,
    style: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// It is not YAML, or has a key or a value that is not known.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let bare = text
            .lines()
            .all(|line| line.trim().is_empty() || line.starts_with('#'));
        if bare {
            return Ok(Self::default());
        }
        let written: Written =
            serde_saphyr::from_str(text).map_err(|error| SettingsError(error.to_string()))?;
        written.settings()
    }

    /// Tells how bad a finding of that rule is.
    #[must_use]
    pub fn severity(&self, code: &str) -> Severity {
        if self.ignored.iter().any(|one| one == code) {
            return Severity::Ignore;
        }
        self.severities
            .get(code)
            .copied()
            .unwrap_or_else(|| catalog::severity(code))
    }

    /// Reports whether findings up to this bad fail the run.
    #[must_use]
    pub fn fails(&self, worst: Option<Severity>) -> bool {
        let threshold = self.threshold.unwrap_or(Threshold::At(Severity::Info));
        match (threshold, worst) {
            (Threshold::At(limit), Some(worst)) => worst >= limit,
            (Threshold::Never, _) | (_, None) => false,
        }
    }

    /// Takes a requirement `label:kind`.
    ///
    /// # Errors
    /// There is no colon, or no such kind.
    pub fn require_label(&mut self, text: &str) -> Result<(), SettingsError> {
        let (name, kind) = text.rsplit_once(':').ok_or_else(|| {
            SettingsError(format!("label requirement {text:?} is not label:kind"))
        })?;
        self.labels
            .insert(name.into(), kind.parse().map_err(SettingsError)?);
        Ok(())
    }
}

impl Written {
    fn settings(self) -> Result<Settings, SettingsError> {
        let mut settings = Settings {
            ignored: self.ignored,
            trusted_registries: match self.trusted_registries {
                OneOrMany::One(one) => vec![one],
                OneOrMany::Many(many) => many,
            },
            strict_labels: self.strict_labels,
            no_pragmas: self.disable_ignore_pragma,
            threshold: match self.no_fail {
                true => Some(Threshold::Never),
                false => parsed(self.failure_threshold)?,
            },
            format: parsed(self.format)?,
            no_color: self.no_color,
            ..Settings::default()
        };
        let levels = [
            (self.overrides.style, Severity::Style),
            (self.overrides.info, Severity::Info),
            (self.overrides.warning, Severity::Warning),
            (self.overrides.error, Severity::Error),
        ];
        for (codes, severity) in levels {
            settings
                .severities
                .extend(codes.into_iter().map(|code| (code, severity)));
        }
        for (name, kind) in self.label_schema {
            settings
                .labels
                .insert(name, kind.parse().map_err(SettingsError)?);
        }
        Ok(settings)
    }
}

fn parsed<T: std::str::FromStr<Err = String>>(
    text: Option<String>,
) -> Result<Option<T>, SettingsError> {
    text.map(|text| text.parse().map_err(SettingsError))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_all_that_flags_say() {
        let text = "ignored: [DL3006]\nfailure-threshold: error\nformat: json\noverride:\n  info: [DL3000]\n\
            trustedRegistries: docker.io\nlabel-schema:\n  author: text\nstrict-labels: true\n";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.severity("DL3006"), Severity::Ignore);
        assert_eq!(settings.severity("DL3000"), Severity::Info);
        assert_eq!(settings.severity("DL3020"), Severity::Error);
        assert_eq!(settings.trusted_registries, ["docker.io"]);
        assert_eq!(settings.labels.get("author"), Some(&LabelKind::Text));
        assert!(!settings.fails(Some(Severity::Warning)) && settings.fails(Some(Severity::Error)));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "ignord: []",
            "format: moon",
            "label-schema: {a: b}",
            "failure-threshold: x",
        ] {
            assert!(Settings::parse(text).is_err(), "{text}");
        }
        assert_eq!(Settings::parse("# nothing\n\n"), Ok(Settings::default()));
    }
}
