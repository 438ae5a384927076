//! The context of a classic build: an archive that the client sends, or one that a URL gives, unpacked with limits.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use hakone_base::{Fault, Kind, Secret};
use hakone_build_model::{GitError, GitSource};
use hakone_dockerfile::ignore::Ignore;
use hakone_image_model::{Compression, Limits};
use hakone_mount::Root;
use hakone_tar::{Inflated, extract};
use tokio::io::AsyncRead;

use crate::{
    Agent, BoxFuture, Error, Folder, Named, Refusal, Service, Sources, Temporary, Wanted, archive,
    service::blocking,
};

/// Bytes that a Dockerfile may have.
const MOST_DOCKERFILE: u64 = 4 << 20;
/// Bytes that a context from a URL may have.
const MOST_REMOTE: u64 = 16 << 30;
const IGNORE: &str = ".dockerignore";

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The archive is refused.
    #[error("Error processing tar file: {0}")]
    Archive(String),
    /// There is no such file in it.
    #[error("Cannot locate specified Dockerfile: {0}")]
    NoDockerfile(String),
    /// It is empty.
    #[error("the Dockerfile ({0}) cannot be empty")]
    Empty(String),
    /// It is too large.
    #[error("the Dockerfile ({0}) is too large")]
    Large(String),
    /// The lines of what to leave out are wrong.
    #[error("error reading .dockerignore: {0}")]
    Ignore(String),
    /// A repository that is not fetched.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A place that no context is taken from.
    #[error("remote context {0:?} is neither http nor https")]
    Remote(String),
    /// It cannot be fetched.
    #[error("failed to GET {url}: {cause}")]
    Fetch {
        /// From where.
        url: String,
        /// Why.
        cause: Refusal,
    },
    /// The disk.
    #[error(transparent)]
    Host(#[from] Error),
}

impl Fault for ContextError {
    fn kind(&self) -> Kind {
        match self {
            Self::Archive(_)
            | Self::NoDockerfile(_)
            | Self::Empty(_)
            | Self::Large(_)
            | Self::Ignore(_)
            | Self::Git(_)
            | Self::Remote(_) => Kind::InvalidParameter,
            Self::Fetch { cause, .. } => cause.kind(),
            Self::Host(error) => error.kind(),
        }
    }
}

/// A context that was unpacked, and the credentials of the request that brought it.
pub struct Context {
    place: Arc<Temporary>,
    dockerfile: Vec<u8>,
    credentials: serde_json::Map<String, serde_json::Value>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Takes an archive in and finds the Dockerfile in it.
    ///
    /// # Errors
    /// When the archive is refused or the file is not there.
    pub async fn receive(
        service: &Service,
        archive: impl AsyncRead + Send + Unpin + 'static,
        dockerfile: &str,
    ) -> Result<Self, ContextError> {
        let place = service.scratch()?;
        let (reading, source) = hakone_tar::attended(archive);
        let name = dockerfile.to_owned();
        let work = read(move || {
            unpack(source, place.path())?;
            Self::opened(place, &name, false)
        });
        hakone_tar::beside(reading, work).await
    }

    /// Fetches a context, or a Dockerfile alone, from a URL.
    ///
    /// # Errors
    /// When the URL gives neither, or leads to where no build may look.
    pub async fn fetch(
        service: &Service,
        url: &str,
        dockerfile: &str,
    ) -> Result<Self, ContextError> {
        let (place, brought) = bring(service, url, "Dockerfile").await?;
        let name = match brought {
            Brought::Files => dockerfile.to_owned(),
            Brought::File => "Dockerfile".to_owned(),
        };
        read(move || Self::opened(place, &name, brought == Brought::Files)).await
    }

    /// Gives the folder that it is in; it vanishes with its last holder.
    #[must_use]
    pub fn folder(&self) -> Arc<Temporary> {
        Arc::clone(&self.place)
    }

    /// Gives credentials by the addresses of registries, as `X-Registry-Config` has them.
    #[must_use]
    pub fn with_credentials(
        mut self,
        credentials: serde_json::Map<String, serde_json::Value>,
    ) -> Self {
        self.credentials = credentials;
        self
    }

    /// Gives the text of the Dockerfile.
    #[must_use]
    pub fn dockerfile(&self) -> &[u8] {
        &self.dockerfile
    }

    fn opened(place: Temporary, name: &str, ignore: bool) -> Result<Self, ContextError> {
        let root = Root::open(place.path()).map_err(|error| Error::Tree(error.into()))?;
        let dockerfile = dockerfile(&root, name)?;
        leave_out(&root, &place, name, ignore)?;
        Ok(Self {
            place: Arc::new(place),
            dockerfile,
            credentials: serde_json::Map::new(),
        })
    }
}

/// Only what clients mean by a remote context, never a path of this host; gives the repository if it is one.
fn judge(url: &str) -> Result<Option<GitSource>, ContextError> {
    let git = GitSource::parse(url)?;
    let http = url.starts_with("http://") || url.starts_with("https://");
    match (git, http) {
        (Some(source), _) => Ok(Some(source)),
        (None, true) => Ok(None),
        (None, false) => Err(ContextError::Remote(url.to_owned())),
    }
}

/// What a URL gave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brought {
    /// A repository or an archive: its files.
    Files,
    /// A file alone.
    File,
}

/// Fetches the files that a URL gives into a folder: those of a repository or an archive, or the file itself.
///
/// # Errors
/// When the URL leads to where no build may look, or gives nothing.
pub async fn fetch_files(service: &Service, url: &str) -> Result<Temporary, ContextError> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = match name {
        "" | "." | ".." => "index",
        name => name,
    };
    Ok(bring(service, url, name).await?.0)
}

/// Fetches what a URL gives into a folder; a file alone gets the name `single`.
async fn bring(
    service: &Service,
    url: &str,
    single: &str,
) -> Result<(Temporary, Brought), ContextError> {
    let (place, download) = (service.scratch()?, service.scratch()?);
    if let Some(source) = judge(url)? {
        let archive = repository(service, &source, &download).await?;
        return read(move || {
            let _download = download;
            unpack(open(&archive)?, place.path())?;
            Ok((place, Brought::Files))
        })
        .await;
    }
    let path = download.path().join("context");
    let downloads = &service.inner().downloads;
    let fetched = downloads.fetch(url, path.clone(), MOST_REMOTE).await;
    fetched.map_err(|cause| ContextError::Fetch {
        url: url.to_owned(),
        cause,
    })?;
    let single = single.to_owned();
    read(move || {
        let _download = download;
        let brought = remote(&path, &place, &single)?;
        Ok((place, brought))
    })
    .await
}

/// Fetches a repository; gives the tar of its files.
async fn repository(
    service: &Service,
    source: &GitSource,
    download: &Temporary,
) -> Result<PathBuf, ContextError> {
    let downloads = &service.inner().downloads;
    let cloned = downloads
        .repository(source, download.path().join("repository"))
        .await;
    let cloned = cloned.map_err(|cause| ContextError::Fetch {
        url: source.url.clone(),
        cause,
    })?;
    Ok(cloned.archive)
}

fn open(path: &Path) -> Result<std::fs::File, ContextError> {
    Ok(std::fs::File::open(path).map_err(Error::disk("open", path))?)
}

async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ContextError> + Send + 'static,
) -> Result<T, ContextError> {
    blocking(move || Ok(work())).await?
}

/// Takes an archive in. What it names stays below the folder, devices are refused, sizes are bounded.
fn unpack(mut source: impl std::io::Read, place: &Path) -> Result<(), ContextError> {
    let refused = |error: String| ContextError::Archive(error);
    let mut head = [0; Compression::HEAD];
    let mut length = 0;
    while let Some(rest) = head.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match source
            .read(rest)
            .map_err(|error| refused(error.to_string()))?
        {
            0 => break,
            count => length += count,
        }
    }
    let head = head.get(..length).unwrap_or_default().to_vec();
    let packing = Compression::sniff(&head);
    let whole = std::io::Cursor::new(head).chain(source);
    let inflated = Inflated::new(whole, packing, &Limits::default());
    let inflated = inflated.map_err(|error| refused(error.to_string()))?;
    let root = Root::open(place).map_err(|error| Error::Tree(error.into()))?;
    let options = archive::options(archive::ROOT);
    extract(&root, Path::new("/"), inflated, &options).map_err(|error| refused(error.to_string()))
}

/// An archive is unpacked, a text is a file.
fn remote(path: &Path, place: &Temporary, name: &str) -> Result<Brought, ContextError> {
    let mut head = [0; 512];
    let count = open(path)?.read(&mut head).unwrap_or(0);
    let head = head.get(..count).unwrap_or_default();
    let text = !head.contains(&0)
        && Compression::sniff(head) == Compression::None
        && std::str::from_utf8(head).is_ok_and(|text| !text.is_empty());
    if !text {
        unpack(open(path)?, place.path())?;
        return Ok(Brought::Files);
    }
    let to = place.path().join(name);
    std::fs::copy(path, &to).map_err(Error::disk("write", &to))?;
    Ok(Brought::File)
}

fn dockerfile(root: &Root, name: &str) -> Result<Vec<u8>, ContextError> {
    let missing = || ContextError::NoDockerfile(name.to_owned());
    // A path that leaves the context is told as one that is not there: it is never looked up outside.
    if Path::new(name)
        .components()
        .any(|part| part == std::path::Component::ParentDir)
    {
        return Err(missing());
    }
    let file = match root.read_file(Path::new(name)) {
        Err(_) if name == "Dockerfile" => root.read_file(Path::new("dockerfile")),
        other => other,
    };
    let file = std::fs::File::from(file.map_err(|_error| missing())?);
    let size = file.metadata().map_or(0, |file| file.len());
    let size = usize::try_from(size.min(MOST_DOCKERFILE)).unwrap_or(0);
    let mut text = Vec::with_capacity(size + 1);
    let read = file.take(MOST_DOCKERFILE + 1).read_to_end(&mut text);
    read.map_err(|_error| missing())?;
    match text.len() as u64 {
        0 => Err(ContextError::Empty(name.to_owned())),
        length if length > MOST_DOCKERFILE => Err(ContextError::Large(name.to_owned())),
        _ => Ok(text),
    }
}

/// What the client left in only because the builder reads it goes; of a context that no client filtered, all that
/// `.dockerignore` says goes.
fn leave_out(root: &Root, place: &Temporary, name: &str, all: bool) -> Result<(), ContextError> {
    let Ok(file) = root.read_file(Path::new(IGNORE)) else {
        return Ok(());
    };
    let mut text = Vec::new();
    let file = std::fs::File::from(file);
    file.take(MOST_DOCKERFILE)
        .read_to_end(&mut text)
        .map_err(|error| ContextError::Ignore(error.to_string()))?;
    let ignore = Ignore::parse(&text).map_err(|error| ContextError::Ignore(error.to_string()))?;
    for name in [IGNORE, name] {
        if ignore.excludes(name) {
            let path = place.path().join(name);
            // Beneath a folder of ours; a link on the way is not followed, and the file stays.
            if root.resolve_plain(Path::new(name)).is_ok() {
                std::fs::remove_file(&path).map_err(Error::disk("remove", &path))?;
            }
        }
    }
    if all {
        weed(place.path(), Path::new(""), &ignore, 0)?;
    }
    Ok(())
}

/// Removes what is left out; folders are walked by what they are, never through a link.
fn weed(base: &Path, below: &Path, ignore: &Ignore, depth: usize) -> Result<(), ContextError> {
    let folder = base.join(below);
    let failed = |error| ContextError::Host(Error::disk("read", &folder)(error));
    let depth = match depth {
        256.. => return Ok(()),
        depth => depth + 1,
    };
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let Ok(entry) = entry else { continue };
        let path = below.join(entry.file_name());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let text = path.to_string_lossy().into_owned();
        let out = ignore.excludes(&text);
        match (is_folder, out) {
            (true, true) if !ignore.may_hold_exceptions(&text) => remove(&entry.path(), true)?,
            (true, _) => weed(base, &path, ignore, depth)?,
            (false, true) => remove(&entry.path(), false)?,
            (false, false) => {}
        }
    }
    Ok(())
}

fn remove(path: &PathBuf, folder: bool) -> Result<(), ContextError> {
    let removed = match folder {
        true => hakone_mount::remove_tree(path),
        false => std::fs::remove_file(path),
    };
    Ok(removed.map_err(Error::disk("remove", path))?)
}

impl Sources for Context {
    fn context<'a>(&'a self, _wanted: &'a Wanted) -> BoxFuture<'a, Result<Folder, Refusal>> {
        let folder = Folder {
            path: self.place.path().to_owned(),
            ignored: Vec::new(),
            keep: Arc::clone(&self.place) as Arc<_>,
        };
        Box::pin(async move { Ok(folder) })
    }

    fn named<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<Option<Named>, Refusal>> {
        Box::pin(async { Ok(None) })
    }

    fn secret<'a>(
        &'a self,
        _id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Secret<Vec<u8>>>, Refusal>> {
        Box::pin(async { Ok(None) })
    }

    fn agent<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<Option<Agent>, Refusal>> {
        Box::pin(async { Ok(None) })
    }

    fn credentials<'a>(
        &'a self,
        host: &'a str,
    ) -> BoxFuture<'a, Result<Option<Secret<String>>, Refusal>> {
        let own = |address: &String| {
            let name = address
                .split_once("://")
                .map_or(address.as_str(), |(_, rest)| rest);
            let name = name.split('/').next().unwrap_or_default();
            name == host || (host == "docker.io" && name == "index.docker.io")
        };
        let found = self.credentials.iter().find(|(address, _)| own(address));
        let found = found.map(|(_, value)| Secret::new(value.to_string()));
        Box::pin(async move { Ok(found) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_context_is_never_a_path_of_this_host() {
        for url in ["file:///etc", "/etc", "../x", "ftp://x/y", ""] {
            assert!(matches!(judge(url), Err(ContextError::Remote(_))), "{url}");
        }
        for url in ["git://x/y", "https://x/y.git#--exec:sub", "git@host:x"] {
            assert!(matches!(judge(url), Err(ContextError::Git(_))), "{url}");
        }
        assert!(judge("https://x/y.tar").unwrap().is_none());
        assert!(judge("https://x/y.git#main:sub").unwrap().is_some());
    }

    #[test]
    fn a_dockerfile_outside_of_the_context_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("context")).unwrap();
        drop(std::fs::File::create(folder.path().join("Dockerfile")).unwrap());
        let root = Root::open(&folder.path().join("context")).unwrap();
        std::os::unix::fs::symlink("../Dockerfile", folder.path().join("context/link")).unwrap();
        for name in ["../Dockerfile", "/etc/hostname", "link", "nosuch"] {
            let error = dockerfile(&root, name).unwrap_err();
            assert!(
                matches!(error, ContextError::NoDockerfile(_)),
                "{name}: {error}"
            );
        }
    }
}
