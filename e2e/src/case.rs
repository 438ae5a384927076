//! Scripts of docker command lines, run on both engines and compared step by step.
//!
//! A file of `cases/` holds one script, each line one step:
//! `$ LINE` compares exit code, stdout and stderr by their shape; `~ LINE` compares the exit code and whether each stream
//! is empty; `! LINE` compares exit code and stderr; `? LINE` prepares and is not compared; `# TEXT` explains. A line runs
//! in `sh` with the engine's socket set, so pipes and quotes mean what they mean at a terminal.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

/// How a step's outputs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Exit code and both streams' shapes.
    All,
    /// Exit code, and whether the streams are empty.
    Code,
    /// Exit code and stderr's shape.
    Message,
    /// Nothing.
    Nothing,
}

/// One command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is compared.
    pub compare: Compare,
    /// The line.
    pub line: String,
}

/// One file of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The file's name without its ending.
    pub name: String,
    /// Its steps in order.
    pub steps: Vec<Step>,
}

/// Reads all scripts of a folder, in the order of their names.
///
/// # Errors
/// When a file cannot be read or a line has no mark.
pub fn scripts(folder: &Path) -> Result<Vec<Script>> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.sort();
    paths.iter().map(|path| script(path)).collect()
}

fn script(path: &Path) -> Result<Script> {
    let text = fs::read_to_string(path)?;
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let steps = lines
        .map(step)
        .collect::<Result<_>>()
        .with_context(|| path.display().to_string())?;
    Ok(Script { name, steps })
}

fn step(line: &str) -> Result<Step> {
    let (compare, line) = match line.split_at_checked(2) {
        Some(("$ ", line)) => (Compare::All, line),
        Some(("~ ", line)) => (Compare::Code, line),
        Some(("! ", line)) => (Compare::Message, line),
        Some(("? ", line)) => (Compare::Nothing, line),
        _ => bail!("no mark before {line:?}"),
    };
    Ok(Step {
        compare,
        line: line.to_owned(),
    })
}
