//! Findings as people and programs read them.

mod climate;
mod lines;
mod sarif;
mod xml;

use std::str::FromStr;

use crate::Finding;

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A line each, for people.
    #[default]
    Tty,
    /// A JSON list.
    Json,
    /// Checkstyle's XML.
    Checkstyle,
    /// Code Climate: JSON documents that end in zero bytes.
    Codeclimate,
    /// What GitLab reads of Code Climate.
    GitlabCodeclimate,
    /// The lines that editors know of compilers.
    Gnu,
    /// SARIF 2.1.0.
    Sarif,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "tty" => Ok(Self::Tty),
            "json" => Ok(Self::Json),
            "checkstyle" => Ok(Self::Checkstyle),
            "codeclimate" => Ok(Self::Codeclimate),
            "gitlab_codeclimate" => Ok(Self::GitlabCodeclimate),
            "gnu" => Ok(Self::Gnu),
            "sarif" => Ok(Self::Sarif),
            _ => Err(format!("unknown format {text:?}")),
        }
    }
}

/// The findings of one file.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The name of the file, as reports give it.
    pub file: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Prints the findings of all files.
#[must_use]
pub fn print(files: &[Checked], format: Format, color: bool) -> String {
    match format {
        Format::Tty => lines::tty(files, color),
        Format::Json => lines::json(files),
        Format::Checkstyle => xml::checkstyle(files),
        Format::Codeclimate => climate::codeclimate(files),
        Format::GitlabCodeclimate => climate::gitlab(files),
        Format::Gnu => lines::gnu(files),
        Format::Sarif => sarif::sarif(files),
    }
}

fn all(files: &[Checked]) -> impl Iterator<Item = (&str, &Finding)> {
    files.iter().flat_map(|one| {
        one.findings
            .iter()
            .map(|finding| (one.file.as_str(), finding))
    })
}

#[cfg(test)]
mod tests;
