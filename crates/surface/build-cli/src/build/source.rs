//! Where a build's context and Dockerfile are: a folder, a URL, standard input; told apart by the words and the first bytes.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use hakone_client::{Error, Session};
use hakone_image_model::Compression;
use hakone_run_flags::open_failure;

/// Bytes that a Dockerfile may have: what the daemon takes.
const LIMIT: u64 = 4 << 20;
/// Bytes of a tar header.
const BLOCK: usize = 512;

/// Where the context comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// A folder of ours.
    Folder { root: PathBuf, file: File },
    /// A Dockerfile, and nothing beside it.
    Alone(Vec<u8>),
    /// An archive on standard input, whose first bytes were read.
    Archive { head: Vec<u8>, dockerfile: String },
    /// Something that the daemon fetches.
    Remote { url: String, dockerfile: String },
}

/// The Dockerfile of a folder.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) text: Vec<u8>,
    /// Where it is; none for standard input.
    pub(super) path: Option<PathBuf>,
    /// Its path in the context; none when it lies elsewhere.
    pub(super) inside: Option<String>,
}

impl Source {
    /// Gives the text of the Dockerfile, when it is known here.
    pub(super) fn dockerfile(&self) -> Option<&[u8]> {
        match self {
            Self::Folder { file, .. } => Some(&file.text),
            Self::Alone(text) => Some(text),
            Self::Archive { .. } | Self::Remote { .. } => None,
        }
    }
}

/// Finds context and Dockerfile.
pub(super) async fn find(
    session: &Session,
    context: &str,
    file: Option<&str>,
) -> Result<Source, Error> {
    let name = || file.unwrap_or("Dockerfile").to_owned();
    match context {
        "-" if file == Some("-") => Err(Error::usage(
            "invalid argument: can't use stdin for both build context and dockerfile",
        )),
        "-" => standard_input(session, name()).await,
        url if is_remote(url) => Ok(Source::Remote {
            url: url.to_owned(),
            dockerfile: name(),
        }),
        path => folder(session, path, file).await,
    }
}

/// Reports whether the daemon has to fetch a context: the words that docker takes for that.
fn is_remote(text: &str) -> bool {
    let prefixes = [
        "http://",
        "https://",
        "git://",
        "ssh://",
        "git@",
        "github.com/",
    ];
    prefixes.iter().any(|prefix| text.starts_with(prefix))
}

async fn standard_input(session: &Session, dockerfile: String) -> Result<Source, Error> {
    if session.console.terminal().stdin {
        return Err(
            Error::usage("the context is read from standard input, which is a terminal").advised(
                Some(
                    "Redirect an archive or a Dockerfile to it: hakone build - < Dockerfile"
                        .to_owned(),
                ),
            ),
        );
    }
    let head = input(BLOCK as u64).await?;
    if is_archive(&head) {
        return Ok(Source::Archive { head, dockerfile });
    }
    let rest = input(LIMIT + 1).await?;
    Ok(Source::Alone(bounded([head, rest].concat(), "-")?))
}

/// Reads at most so many bytes of standard input, nothing beyond them.
async fn input(most: u64) -> Result<Vec<u8>, Error> {
    let read = tokio::task::spawn_blocking(move || {
        use std::os::fd::AsFd as _;
        // Without std's buffer, which would keep what follows.
        let own = std::io::stdin().as_fd().try_clone_to_owned()?;
        let mut bytes = Vec::new();
        fs::File::from(own).take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let read = read.await.map_err(|_panic| Error::Closed)?;
    read.map_err(Error::io("read standard input"))
}

/// Reports whether bytes begin a packed file or a tar.
fn is_archive(head: &[u8]) -> bool {
    Compression::sniff(head) != Compression::None || head.get(257..262) == Some(b"ustar")
}

fn bounded(text: Vec<u8>, name: &str) -> Result<Vec<u8>, Error> {
    match text.len() as u64 {
        0 => Err(Error::usage(format!(
            "the Dockerfile ({name}) cannot be empty"
        ))),
        length if length > LIMIT => Err(Error::usage(format!(
            "the Dockerfile ({name}) is too large"
        ))),
        _ => Ok(text),
    }
}

async fn folder(session: &Session, path: &str, file: Option<&str>) -> Result<Source, Error> {
    let base = session.around().folder();
    let root = real(&base.join(path), "context")?;
    if !root.is_dir() {
        return Err(Error::usage(format!(
            "context must be a directory: {}",
            root.display()
        )));
    }
    let file = match file {
        Some("-") => File {
            text: bounded(input(LIMIT + 1).await?, "-")?,
            path: None,
            inside: None,
        },
        Some(name) => read(&root, &base.join(name))?,
        None => read(&root, &usual(&root))?,
    };
    Ok(Source::Folder { root, file })
}

/// `Dockerfile`, or its name in small letters where that is there.
fn usual(root: &Path) -> PathBuf {
    let large = root.join("Dockerfile");
    match (large.exists(), root.join("dockerfile")) {
        (false, small) if small.exists() => small,
        (true | false, _) => large,
    }
}

fn read(root: &Path, path: &Path) -> Result<File, Error> {
    let missing = || {
        "Name another with -f/--file, or run `hakone build` in the folder of the Dockerfile."
            .to_owned()
    };
    let path = real(path, "Dockerfile").map_err(|error| error.advised(Some(missing())))?;
    let failed = |error: std::io::Error| {
        Error::usage(format!(
            "unable to read the Dockerfile: {}",
            open_failure(&path, &error)
        ))
    };
    let mut text = Vec::new();
    let file = fs::File::open(&path).map_err(failed)?;
    file.take(LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let inside = path.strip_prefix(root).ok();
    let inside = inside.map(|path| path.to_string_lossy().into_owned());
    Ok(File {
        text: bounded(text, &path.display().to_string())?,
        path: Some(path),
        inside,
    })
}

fn real(path: &Path, what: &str) -> Result<PathBuf, Error> {
    let found = fs::canonicalize(path);
    found.map_err(|error| {
        Error::usage(format!(
            "unable to prepare context: unable to find the {what}: {}",
            open_failure(path, &error)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::put;

    #[test]
    fn what_the_daemon_fetches_is_told_by_its_words() {
        for url in [
            "https://x/y.git#main:sub",
            "git@x:y",
            "github.com/a/b",
            "http://x/y.tar",
        ] {
            assert!(is_remote(url), "{url}");
        }
        for path in [".", "/srv/https", "git", "../x.git"] {
            assert!(!is_remote(path), "{path}");
        }
    }

    #[test]
    fn an_archive_is_told_by_its_first_bytes() {
        let mut header = tar::Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_cksum();
        assert!(is_archive(header.as_bytes()));
        assert!(is_archive(&[0x1f, 0x8b, 8, 0]));
        assert!(!is_archive(b"FROM busybox\n"));
    }

    #[test]
    fn a_dockerfile_elsewhere_has_no_place_in_the_context() {
        let lab = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(lab.path()).unwrap().join("context");
        fs::create_dir(&root).unwrap();
        for path in [root.join("a"), root.with_file_name("b")] {
            put(&path, "FROM scratch").unwrap();
        }
        std::os::unix::fs::symlink(root.with_file_name("b"), root.join("link")).unwrap();
        let inside = |path: PathBuf| read(&root, &path).unwrap().inside;
        assert_eq!(inside(root.join("../context/a")).as_deref(), Some("a"));
        assert_eq!(inside(root.with_file_name("b")), None);
        assert_eq!(inside(root.join("link")), None);
    }
}
