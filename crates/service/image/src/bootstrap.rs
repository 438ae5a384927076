//! `hakone image bootstrap debian:bookworm`: a base image from Debian's own packages, without any registry.
//!
//! Runs on the client's side with root's rights: `debootstrap` fills a temporary folder, and the folder goes out as a tar
//! for `POST /images/create?fromSrc=-`. Uses nothing of the service, so that the command line can call it alone.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use hakone_base::{Fault, Kind};
use hakone_process::Tool;
use tar::{Builder, EntryType, Header};

/// Where Debian's package puts the program.
pub const DEBOOTSTRAP: &str = "/usr/sbin/debootstrap";
/// The change that the import of a bootstrapped image wants.
pub const CHANGE: &str = r#"CMD ["bash"]"#;

const DEADLINE: Duration = Duration::from_secs(30 * 60);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The only variables of the caller that the program gets: it downloads.
const PROXIES: &[&str] = &["http_proxy", "https_proxy", "no_proxy"];

/// A suite to bootstrap: `debian:bookworm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    distribution: Distribution,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Distribution {
    Debian,
    Ubuntu,
}

/// A finished root file system in a temporary folder, removed on drop.
#[derive(Debug)]
pub struct Root(PathBuf);

/// Why a base image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// Not a suite.
    #[error("{0:?} is no suite: say debian:bookworm or ubuntu:noble")]
    Suite(String),
    /// The program is not installed.
    #[error("{0} is missing: install the package debootstrap (apt-get install debootstrap)")]
    Missing(PathBuf),
    /// The program did not run.
    #[error(transparent)]
    Tool(#[from] hakone_process::Error),
    /// The program gave up.
    #[error("debootstrap failed: {0}")]
    Failed(String),
    /// The folder could not be made or read.
    #[error("could not pack {path}: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Fault for BootstrapError {
    fn kind(&self) -> Kind {
        match self {
            Self::Suite(_) => Kind::InvalidParameter,
            Self::Missing(_) => Kind::NotFound,
            Self::Tool(error) => error.kind(),
            Self::Failed(_) | Self::Disk { .. } => Kind::System,
        }
    }
}

impl FromStr for Suite {
    type Err = BootstrapError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || BootstrapError::Suite(text.to_owned());
        let (distribution, name) = text.split_once(':').ok_or_else(refuse)?;
        let distribution = match distribution {
            "debian" => Distribution::Debian,
            "ubuntu" => Distribution::Ubuntu,
            _ => return Err(refuse()),
        };
        // The name becomes an argument of a program: no option, no path.
        let word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase());
        match word {
            true => Ok(Self {
                distribution,
                name: name.to_owned(),
            }),
            false => Err(refuse()),
        }
    }
}

impl Suite {
    const fn mirror(&self) -> &'static str {
        match self.distribution {
            Distribution::Debian => "http://deb.debian.org/debian",
            Distribution::Ubuntu => "http://archive.ubuntu.com/ubuntu",
        }
    }
}

/// Fills a new folder under `scratch` with the suite's minimal system; blocks for minutes.
///
/// `mirror` replaces the distribution's own, for instance by one nearby; packages are verified by signature either way.
///
/// # Errors
/// When the program is missing or fails.
pub fn bootstrap(
    suite: &Suite,
    tool: &Path,
    scratch: &Path,
    mirror: Option<&str>,
) -> Result<Root, BootstrapError> {
    if !tool.exists() {
        return Err(BootstrapError::Missing(tool.to_owned()));
    }
    let root = Root(scratch.join(format!("hakone-bootstrap-{}", std::process::id())));
    fs::create_dir(&root.0).map_err(disk(&root.0))?;
    let mut tool = Tool::new(tool)?
        .arguments(["--variant=minbase", suite.name.as_str()])
        .argument(root.0.as_os_str())
        .argument(mirror.unwrap_or_else(|| suite.mirror()))
        .variable("PATH", PATH)
        .variable("DEBIAN_FRONTEND", "noninteractive")
        .deadline(DEADLINE);
    for name in PROXIES {
        if let Some(value) = std::env::var_os(name) {
            tool = tool.variable(*name, value);
        }
    }
    let output = tool.run()?;
    match output.status.success() {
        true => Ok(root),
        false => Err(BootstrapError::Failed(last_words(
            &output.stdout,
            &output.complaint(),
        ))),
    }
}

/// Debootstrap explains itself on its output: the last line that says something.
fn last_words(stdout: &[u8], stderr: &str) -> String {
    let text = String::from_utf8_lossy(stdout);
    let lines = text.lines().chain(stderr.lines());
    let last = lines.rev().find(|line| !line.trim().is_empty());
    last.unwrap_or("no reason given").trim().to_owned()
}

impl Root {
    /// Writes the folder as a tar, sorted by name; device nodes and downloaded packages stay out.
    ///
    /// # Errors
    /// When a file cannot be read or the stream breaks.
    pub fn write_tar(&self, writer: impl Write) -> Result<(), BootstrapError> {
        let mut tar = Builder::new(writer);
        self.folder(Path::new(""), &mut tar)?;
        tar.finish().map_err(disk(&self.0))
    }

    fn folder<W: Write>(&self, inside: &Path, tar: &mut Builder<W>) -> Result<(), BootstrapError> {
        let path = self.0.join(inside);
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut names: Vec<_> = entries
            .map_err(disk(&path))?
            .iter()
            .map(fs::DirEntry::file_name)
            .collect();
        names.sort();
        for name in names {
            let inside = inside.join(name);
            let metadata = self.entry(&inside, tar)?;
            if metadata.is_dir() && !left_out(&inside) {
                self.folder(&inside, tar)?;
            }
        }
        Ok(())
    }

    fn entry<W: Write>(
        &self,
        inside: &Path,
        tar: &mut Builder<W>,
    ) -> Result<fs::Metadata, BootstrapError> {
        let path = self.0.join(inside);
        let metadata = fs::symlink_metadata(&path).map_err(disk(&path))?;
        let kind = metadata.file_type();
        let mut header = header(&metadata);
        let appended = if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, inside, io::empty())
        } else if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            fs::read_link(&path).and_then(|target| tar.append_link(&mut header, inside, target))
        } else if kind.is_char_device()
            || kind.is_block_device()
            || kind.is_socket()
            || kind.is_fifo()
        {
            Ok(())
        } else {
            header.set_entry_type(EntryType::Regular);
            header.set_size(metadata.len());
            fs::File::open(&path).and_then(|file| tar.append_data(&mut header, inside, file))
        };
        appended.map_err(disk(&path))?;
        Ok(metadata)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), error = %error, "temporary root left behind");
        }
    }
}

/// Packages and indexes that only the making needed.
fn left_out(inside: &Path) -> bool {
    ["var/cache/apt/archives", "var/lib/apt/lists"]
        .iter()
        .any(|folder| inside == Path::new(folder))
}

fn header(metadata: &fs::Metadata) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(metadata.mode() & 0o7777);
    header.set_uid(metadata.uid().into());
    header.set_gid(metadata.gid().into());
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header.set_size(0);
    header
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> BootstrapError {
    let path = path.to_owned();
    move |source| BootstrapError::Disk { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_a_word_of_a_known_distribution() {
        assert!("debian:bookworm".parse::<Suite>().is_ok());
        for text in [
            "debian",
            "debian:",
            "debian:--help",
            "debian:../x",
            "arch:rolling",
        ] {
            assert!(text.parse::<Suite>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let suite = "debian:bookworm".parse().unwrap();
        let refused =
            bootstrap(&suite, Path::new("/nowhere"), Path::new("/tmp"), None).unwrap_err();
        assert!(refused.to_string().contains("apt-get install debootstrap"));
    }
}
