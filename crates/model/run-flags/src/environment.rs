//! Environment variables and labels, from flags and from files.

use std::path::{Path, PathBuf};

use crate::{Error, Surroundings, open_failure};

/// Gathers the environment: files first, then flags, where a later flag of the same name replaces the earlier.
///
/// # Errors
/// In docker's words.
pub fn variables(
    files: &[PathBuf],
    flags: &[String],
    around: &dyn Surroundings,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for file in files {
        for line in lines(file, around)? {
            found.extend(from_file(&line, file, around)?);
        }
    }
    let mut own: Vec<String> = Vec::new();
    for flag in flags {
        let text = match (flag.contains('='), around.variable(flag)) {
            (false, Some(value)) => format!("{flag}={value}"),
            _ => flag.clone(),
        };
        own.retain(|known| name(known) != name(&text));
        own.push(text);
    }
    found.extend(own);
    Ok(found)
}

/// Gathers labels: files first, then flags.
///
/// # Errors
/// In docker's words.
pub fn labels(
    files: &[PathBuf],
    flags: &[String],
    around: &dyn Surroundings,
) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    for file in files {
        for line in lines(file, around)? {
            // A label file drops what has no value, unless the environment has one of that name.
            found.extend(from_file(&line, file, around)?);
        }
    }
    found.extend(flags.iter().cloned());
    Ok(found
        .iter()
        .map(|text| text.split_once('=').unwrap_or((text, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

fn name(text: &str) -> &str {
    text.split_once('=').map_or(text, |(name, _)| name)
}

fn lines(file: &Path, around: &dyn Surroundings) -> Result<Vec<String>, Error> {
    let text = around
        .read(file)
        .map_err(|error| Error::usage(open_failure(file, &error)))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(|line| line.trim_start().to_owned());
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect())
}

fn from_file(line: &str, file: &Path, around: &dyn Surroundings) -> Result<Option<String>, Error> {
    let refuse = |reason: &str| {
        Err(Error::usage(format!(
            "invalid env file ({}): {reason}",
            file.display()
        )))
    };
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (line, None),
    };
    match name {
        "" => refuse(&format!("no variable name on line '{line}'")),
        name if name.contains(char::is_whitespace) => {
            refuse(&format!("variable '{name}' contains whitespaces"))
        }
        name => Ok(match value {
            Some(value) => Some(format!("{name}={value}")),
            None => around.variable(name).map(|value| format!("{name}={value}")),
        }),
    }
}
