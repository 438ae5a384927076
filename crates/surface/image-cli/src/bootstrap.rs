//! `hakone image bootstrap debian:bookworm`: a base image from a distribution's packages, without any registry.
//!
//! The client runs debootstrap, as root, into a folder of its own and imports the result; the daemon needs nothing of it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use clap::Args;
use hakone_client::{Error, Request, Session, output::progress};

use super::{archive, import};

/// Make a base image from Debian's packages with debootstrap
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Where packages come from
    #[arg(long, value_name = "url")]
    mirror: Option<String>,
    /// Packages to add, separated by commas
    #[arg(long, value_name = "list")]
    include: Option<String>,
    /// Name the image otherwise than the suite
    #[arg(short, long, value_name = "REPOSITORY[:TAG]")]
    tag: Option<String>,
    /// What to install: bookworm, debian:bookworm, ubuntu:noble
    #[arg(value_name = "[DISTRIBUTION:]SUITE")]
    suite: String,
}

/// Where each distribution keeps its packages.
const MIRRORS: [(&str, &str); 2] = [
    ("debian", "http://deb.debian.org/debian"),
    ("ubuntu", "http://archive.ubuntu.com/ubuntu"),
];

/// Makes the image and prints its id.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let (distribution, suite) = arguments
        .suite
        .split_once(':')
        .unwrap_or(("debian", &arguments.suite));
    let mirror = arguments
        .mirror
        .as_deref()
        .or_else(|| mirror(distribution))
        .ok_or_else(|| {
            Error::usage(format!(
                "no packages known for {distribution}: name them with --mirror"
            ))
        })?;
    if !plain(suite) {
        return Err(Error::usage(format!("invalid suite {suite:?}")));
    }
    let program = find("debootstrap").ok_or(Error::Program {
        program: "debootstrap",
        package: "debootstrap",
    })?;
    // Before an hour of work: is there a daemon to give the result to?
    let client = session.client().await?;
    let folder = tempfile::Builder::new()
        .prefix("hakone-bootstrap-")
        .tempdir_in("/var/tmp")
        .map_err(Error::io("make a folder"))?;
    let root = folder.path().join("root");
    install(session, &program, &words(arguments, suite, mirror, &root)).await?;
    trim(&root)?;
    let name = arguments
        .tag
        .clone()
        .unwrap_or_else(|| format!("{distribution}:{suite}"));
    let request = import::named(Request::post("/images/create").query("fromSrc", "-"), &name)
        .query("changes", "CMD [\"bash\"]")
        .query("message", format!("debootstrap {suite} {mirror}"))
        .archive(archive::pack(&root));
    let wheel = progress::wheel(&session.console, "importing");
    let stream = client.stream(request).await?;
    let shown = progress::show(&session.console, stream, false, progress::To::Stdout).await;
    drop(wheel);
    folder.close().map_err(Error::io("remove the folder"))?;
    shown
}

fn mirror(distribution: &str) -> Option<&'static str> {
    MIRRORS
        .iter()
        .find(|(name, _)| *name == distribution)
        .map(|(_, mirror)| *mirror)
}

/// A suite is a word: it becomes an argument and part of a name.
fn plain(suite: &str) -> bool {
    !suite.is_empty()
        && !suite.starts_with('-')
        && suite
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

fn words(arguments: &Arguments, suite: &str, mirror: &str, root: &Path) -> Vec<String> {
    let mut words = vec!["--variant=minbase".to_owned()];
    words.extend(
        arguments
            .include
            .iter()
            .map(|packages| format!("--include={packages}")),
    );
    words.extend([
        suite.to_owned(),
        root.display().to_string(),
        mirror.to_owned(),
    ]);
    words
}

/// Looks where administrators' programs live; the user's PATH often lacks those.
fn find(program: &str) -> Option<PathBuf> {
    [
        "/usr/sbin",
        "/usr/bin",
        "/usr/local/sbin",
        "/usr/local/bin",
        "/sbin",
    ]
    .iter()
    .map(|folder| Path::new(folder).join(program))
    .find(|path| path.is_file())
}

/// Runs debootstrap with nothing of our environment but proxies; its last words are the reason when it fails.
async fn install(session: &Session, program: &Path, words: &[String]) -> Result<(), Error> {
    let wheel = progress::wheel(&session.console, "installing packages");
    let mut command = tokio::process::Command::new(program);
    command
        .args(words)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C");
    for name in ["http_proxy", "https_proxy", "no_proxy"] {
        if let Ok(value) = std::env::var(name) {
            command.env(name, value);
        }
    }
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Error::io("run debootstrap"))?;
    drop(wheel);
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(Error::Progress(format!(
        "debootstrap failed: {}",
        last.join("; ")
    )))
}

/// Drops what only the installation needed, and device nodes, which no image may bring.
fn trim(root: &Path) -> Result<(), Error> {
    for folder in ["var/cache/apt/archives", "var/lib/apt/lists", "dev"] {
        let path = root.join(folder);
        if path.is_dir() {
            std::fs::remove_dir_all(&path)
                .and_then(|()| std::fs::create_dir(&path))
                .map_err(Error::io("clean up"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_a_word() {
        assert!(plain("bookworm") && plain("bookworm-backports"));
        assert!(!plain("--foreign") && !plain("a/b") && !plain(""));
    }
}
