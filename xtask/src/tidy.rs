//! `tidy`: what the compiler does not check: the arrows between layers, the size of crates, the head of each file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::run::say;

/// The layers, lowest first; a crate uses crates of its own layer's rank or lower ones.
const LAYERS: &[&str] = &["base", "model", "host", "service", "surface", "hakone"];
/// Lines of Rust that a crate may have.
const CRATE_LINES: usize = 8_000;

/// One crate of ours.
struct Crate {
    name: String,
    folder: PathBuf,
    rank: usize,
    uses: Vec<String>,
}

/// Runs all of it and reports every finding.
pub(crate) fn run() -> Result<()> {
    let crates = crates()?;
    let mut findings = arrows(&crates);
    for one in &crates {
        findings.extend(size(one)?);
        findings.extend(heads(one)?);
    }
    for finding in &findings {
        say(finding);
    }
    ensure!(findings.is_empty(), "tidy: {} findings", findings.len());
    say(&format!("tidy: {} crates in order", crates.len()));
    Ok(())
}

fn crates() -> Result<Vec<Crate>> {
    let mut found = Vec::new();
    for (rank, layer) in LAYERS.iter().enumerate() {
        let folder = Path::new("crates").join(layer);
        let single = folder.join("Cargo.toml").exists();
        let folders = if single {
            vec![folder]
        } else {
            subfolders(&folder)?
        };
        for folder in folders {
            found.push(read(folder, rank)?);
        }
    }
    Ok(found)
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    folders.retain(|path| path.join("Cargo.toml").exists());
    folders.sort();
    Ok(folders)
}

fn read(folder: PathBuf, rank: usize) -> Result<Crate> {
    let text = fs::read_to_string(folder.join("Cargo.toml"))?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .with_context(|| format!("{} has no name", folder.display()))?;
    // Tests may reach up: only what the crate itself is built from makes an arrow.
    let built = text.split("[dev-dependencies]").next().unwrap_or_default();
    let uses = built
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|word| word.starts_with("hakone-") && *word != name)
        .map(str::to_owned)
        .collect();
    Ok(Crate {
        name: name.to_owned(),
        folder,
        rank,
        uses,
    })
}

fn arrows(crates: &[Crate]) -> Vec<String> {
    let rank = |name: &str| {
        crates
            .iter()
            .find(|one| one.name == name)
            .map(|one| one.rank)
    };
    let mut findings = Vec::new();
    for one in crates {
        for used in &one.uses {
            if rank(used).is_some_and(|rank| rank > one.rank) {
                findings.push(format!("{} uses {used}, which stands above it", one.name));
            }
        }
    }
    findings
}

fn size(one: &Crate) -> Result<Option<String>> {
    let mut lines = 0;
    for file in sources(&one.folder.join("src"))? {
        lines += fs::read_to_string(&file)?.lines().count();
    }
    let large = lines > CRATE_LINES;
    Ok(large.then(|| format!("{} has {lines} lines: split it", one.name)))
}

fn heads(one: &Crate) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in sources(&one.folder.join("src"))? {
        if !fs::read_to_string(&file)?.starts_with("//!") {
            findings.push(format!(
                "{} does not say what it is (//! at its head)",
                file.display()
            ));
        }
    }
    Ok(findings)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
