//! Where plugins are: sockets first, then files that name an address, as dockerd looks for them.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use hakone_plugin_model::{Address, is_name};

use crate::{Error, Plugin};

/// The longest file that names an address.
const LONGEST: u64 = 64 * 1024;
/// How many plugins are listed.
const MOST: usize = 256;

/// The folders that are looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// `NAME.sock` or `NAME/NAME.sock`.
    pub sockets: PathBuf,
    /// `NAME.spec` and `NAME.json`.
    pub files: Vec<PathBuf>,
}

impl Folders {
    /// Takes a folder of sockets beside the usual ones of files.
    #[must_use]
    pub fn new(sockets: impl Into<PathBuf>) -> Self {
        Self {
            sockets: sockets.into(),
            files: ["/etc/docker/plugins", "/usr/lib/docker/plugins"]
                .map(PathBuf::from)
                .into(),
        }
    }

    /// Finds a plugin.
    ///
    /// # Errors
    /// When there is none of that name, or its file cannot be understood.
    pub fn find(&self, name: &str) -> Result<Plugin, Error> {
        let missing = || Error::NotFound(name.to_owned());
        if !is_name(name) {
            return Err(missing());
        }
        let sockets = [
            self.sockets.join(format!("{name}.sock")),
            self.sockets.join(name).join(format!("{name}.sock")),
        ];
        if let Some(path) = sockets.into_iter().find(|path| is_socket(path)) {
            return Ok(Plugin::new(name, Address::Unix(path)));
        }
        let parse = |parsed: Result<Address, _>| {
            let parsed = parsed.map_err(|source| Error::Address {
                name: name.to_owned(),
                source,
            });
            Ok(Plugin::new(name, parsed?))
        };
        for folder in &self.files {
            if let Some(text) = read(&folder.join(format!("{name}.spec"))) {
                return parse(Address::parse_spec(&text));
            }
            if let Some(text) = read(&folder.join(format!("{name}.json"))) {
                return parse(Address::parse_json(&text));
            }
        }
        Err(missing())
    }

    /// Lists the names of all plugins that there are, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let folders = std::iter::once(&self.sockets).chain(&self.files);
        let entries = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
        let stems = entries.flatten().filter_map(|entry| stem(&entry.path()));
        let mut names: Vec<String> = stems.take(MOST).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Gives the name that a file or folder stands for.
fn stem(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_str()?.to_owned();
    let kind = path.extension().and_then(|kind| kind.to_str());
    let stands = match kind {
        Some("sock") => is_socket(path),
        Some("spec" | "json") => path.is_file(),
        None => is_socket(&path.join(format!("{name}.sock"))),
        Some(_) => false,
    };
    (stands && is_name(&name)).then_some(name)
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_come_before_files_and_names_lead_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let folders = Folders {
            sockets: at("run"),
            files: vec![at("etc")],
        };
        for name in ["run/deep", "etc"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        let _flat = std::os::unix::net::UnixListener::bind(at("run/flat.sock")).unwrap();
        let _deep = std::os::unix::net::UnixListener::bind(at("run/deep/deep.sock")).unwrap();
        let write = |name: &str, text: &str| {
            use std::io::Write as _;
            let mut file = fs::File::create(at(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        write("etc/flat.spec", "unix:///elsewhere");
        write("etc/spec.spec", "unix:///x");
        write("etc/far.json", r#"{"Addr":"tcp://10.0.0.1:1"}"#);
        assert_eq!(folders.names(), ["deep", "far", "flat", "spec"]);
        let flat = folders.find("flat").unwrap();
        assert_eq!(*flat.address(), Address::Unix(at("run/flat.sock")));
        assert!(folders.find("deep").is_ok() && folders.find("spec").is_ok());
        assert!(matches!(folders.find("far"), Err(Error::Address { .. })));
        assert!(matches!(
            folders.find("../etc/flat"),
            Err(Error::NotFound(_))
        ));
    }
}
