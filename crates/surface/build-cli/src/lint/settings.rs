//! The flags of `hakone lint`, and where its settings file is looked for.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use clap::Args;
use hakone_client::Error;
use hakone_lint::{Format, Settings, Severity, Threshold};

/// What the user wants to hear.
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
#[derive(Args, Clone, Debug)]
pub struct Wishes {
    /// File with settings (default .hadolint.yaml, here or in the user's configuration folder)
    #[arg(short = 'c', long, value_name = "file")]
    config: Option<PathBuf>,
    /// Format of the findings: tty, json, sarif, checkstyle, codeclimate, gitlab_codeclimate, gnu
    #[arg(short = 'f', long, value_name = "format", env = "HADOLINT_FORMAT")]
    format: Option<Format>,
    /// End with 1 only from this severity on: error, warning, info, style, ignore, none (default info)
    #[arg(
        short = 't',
        long,
        value_name = "severity",
        env = "HADOLINT_FAILURE_THRESHOLD"
    )]
    failure_threshold: Option<Threshold>,
    /// Rules not to speak of; then those of the file are not silent
    #[arg(
        long,
        value_name = "rule",
        env = "HADOLINT_IGNORE",
        value_delimiter = ','
    )]
    ignore: Vec<String>,
    /// Rules whose findings are errors
    #[arg(
        long,
        value_name = "rule",
        env = "HADOLINT_OVERRIDE_ERROR",
        value_delimiter = ','
    )]
    error: Vec<String>,
    /// Rules whose findings are warnings
    #[arg(
        long,
        value_name = "rule",
        env = "HADOLINT_OVERRIDE_WARNING",
        value_delimiter = ','
    )]
    warning: Vec<String>,
    /// Rules whose findings are for information
    #[arg(
        long,
        value_name = "rule",
        env = "HADOLINT_OVERRIDE_INFO",
        value_delimiter = ','
    )]
    info: Vec<String>,
    /// Rules whose findings are a matter of style
    #[arg(
        long,
        value_name = "rule",
        env = "HADOLINT_OVERRIDE_STYLE",
        value_delimiter = ','
    )]
    style: Vec<String>,
    /// Registries that images may come from, such as docker.io or *.example.com
    #[arg(
        long,
        value_name = "registry",
        env = "HADOLINT_TRUSTED_REGISTRIES",
        value_delimiter = ','
    )]
    trusted_registry: Vec<String>,
    /// Labels that an image must have: name:text, rfc3339, semver, url, hash, spdx or email
    #[arg(
        long,
        value_name = "name:kind",
        env = "HADOLINT_REQUIRE_LABELS",
        value_delimiter = ','
    )]
    require_label: Vec<String>,
    /// Allow no other labels
    #[arg(long)]
    strict_labels: bool,
    /// Let no comment silence a rule
    #[arg(long)]
    disable_ignore_pragma: bool,
    /// End with 0 whatever was found
    #[arg(long)]
    no_fail: bool,
    /// Print without colors
    #[arg(long)]
    no_color: bool,
    /// Name of the file in reports
    #[arg(long, value_name = "path")]
    file_path_in_report: Option<String>,
}

impl Wishes {
    /// Gives the name of a file for the report.
    pub(super) fn name(&self, path: &Path) -> String {
        self.file_path_in_report
            .clone()
            .unwrap_or_else(|| path.display().to_string())
    }

    /// Joins the file, the variables and the flags.
    pub(super) fn settings(&self) -> Result<Settings, Error> {
        let mut settings = match self.config.clone().or_else(found) {
            Some(path) => load(&path)?,
            None => Settings::default(),
        };
        if !self.ignore.is_empty() {
            settings.ignored.clone_from(&self.ignore);
        }
        let levels = [
            (&self.style, Severity::Style),
            (&self.info, Severity::Info),
            (&self.warning, Severity::Warning),
            (&self.error, Severity::Error),
        ];
        for (codes, severity) in levels {
            settings
                .severities
                .extend(codes.iter().map(|code| (code.clone(), severity)));
        }
        settings
            .trusted_registries
            .extend(self.trusted_registry.iter().cloned());
        for label in &self.require_label {
            settings
                .require_label(label)
                .map_err(|error| Error::usage(error.to_string()))?;
        }
        settings.format = self.format.or(settings.format);
        settings.threshold = self.failure_threshold.or(settings.threshold);
        if self.no_fail || is_set("HADOLINT_NOFAIL") {
            settings.threshold = Some(Threshold::Never);
        }
        settings.strict_labels |= self.strict_labels || is_set("HADOLINT_STRICT_LABELS");
        settings.no_pragmas |=
            self.disable_ignore_pragma || is_set("HADOLINT_DISABLE_IGNORE_PRAGMA");
        settings.no_color |= self.no_color || env::var_os("NO_COLOR").is_some();
        Ok(settings)
    }
}

fn is_set(variable: &str) -> bool {
    let value = env::var(variable).unwrap_or_default().to_ascii_lowercase();
    matches!(value.as_str(), "1" | "true" | "yes" | "on" | "y")
}

fn load(path: &Path) -> Result<Settings, Error> {
    let wrong =
        |error: &dyn std::fmt::Display| Error::usage(format!("{}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
    Settings::parse(&text).map_err(|error| wrong(&error))
}

/// Looks for a settings file, in the order in which hadolint does.
fn found() -> Option<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let configured = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let at_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let bases = [
        Some(PathBuf::from(".hadolint")),
        configured.map(|folder| folder.join("hadolint")),
        at_home(".config/hadolint"),
        at_home(".hadolint/hadolint"),
        at_home("hadolint/config"),
        at_home(".hadolint"),
    ];
    bases
        .into_iter()
        .flatten()
        .flat_map(|base| {
            ["yaml", "yml"].map(|end| PathBuf::from(format!("{}.{end}", base.display())))
        })
        .find(|path| path.is_file())
}
