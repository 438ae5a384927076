//! All checks over one file.

use std::collections::BTreeMap;

use hakone_dockerfile::{BuildArgs, Dockerfile, Platforms, ignore::Ignore};

use crate::{Warning, file, instructions, stages, variables, warning::Warnings};

/// What the build knows beside the file.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Its arguments.
    pub arguments: BuildArgs,
    /// Its platforms.
    pub platforms: Platforms,
    /// What the context leaves out.
    pub ignore: Ignore,
    /// The environments of base images: names by reference. Of an image that is not here nothing is said to be unset.
    pub environments: BTreeMap<String, Vec<String>>,
}

/// Checks a file; warnings come in the order of lines.
#[must_use]
pub fn check(file: &Dockerfile, facts: &Facts) -> Vec<Warning> {
    let mut warnings = Warnings::default();
    file::check(file, &mut warnings);
    stages::check(file, facts, &mut warnings);
    instructions::check(file, facts, &mut warnings);
    variables::check(file, facts, &mut warnings);
    let skips = |warning: &Warning| {
        let check = file.directives.check.as_ref();
        check.is_some_and(|check| check.skips(warning.rule.name()))
    };
    let mut all = warnings.0;
    all.retain(|warning| !skips(warning));
    all.sort_by_key(|warning| (warning.span, warning.rule));
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
