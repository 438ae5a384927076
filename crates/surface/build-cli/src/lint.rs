//! `hakone lint`: advice on Dockerfiles, without a daemon.
//!
//! Flags, the configuration file and the variables are those of hadolint, so that it can stand in its place; a flag says
//! more than a variable, and a variable more than the file.

mod settings;

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use hakone_client::{Error, Session};
use hakone_lint::{
    check,
    report::{self, Checked},
};

pub use settings::Wishes;

/// Bytes of a file that are read.
const LIMIT: u64 = 8 << 20;

/// Check Dockerfiles against rules of good practice; ends with 1 when there are findings
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    wishes: Wishes,
    /// Dockerfiles to check (- for standard input)
    #[arg(value_name = "DOCKERFILE", default_value = "Dockerfile")]
    files: Vec<PathBuf>,
}

/// Prints what was found.
///
/// # Errors
/// When a file or the settings cannot be read, or the findings are bad enough.
pub fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let settings = arguments.wishes.settings()?;
    let mut files = Vec::new();
    for path in &arguments.files {
        let findings = check(&read(path)?, &settings);
        let file = arguments.wishes.name(path);
        files.push(Checked { file, findings });
    }
    let console = &session.console;
    let color = console.terminal().stdout && !settings.no_color;
    let format = settings.format.unwrap_or_default();
    console.bytes(report::print(&files, format, color).as_bytes())?;
    let worst = files
        .iter()
        .flat_map(|file| &file.findings)
        .map(|one| one.severity)
        .max();
    match settings.fails(worst) {
        true => Err(Error::Exit(1)),
        false => Ok(()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let result = match path.as_os_str() == "-" {
        true => io::stdin().take(LIMIT).read_to_end(&mut bytes),
        false => fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)),
    };
    result.map_err(|error| Error::usage(format!("could not read {}: {error}", path.display())))?;
    Ok(bytes)
}
