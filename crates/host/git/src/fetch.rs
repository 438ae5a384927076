//! The three runs of git: an empty repository, one fetch into it, one tar out of it.

use std::{
    collections::BTreeMap,
    fs, io,
    net::IpAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use hakone_process::{Output, Streams, Tool};

use crate::Error;

/// Where distributions and administrators put it; a search path would be somebody else's choice.
const PROGRAMS: [&str; 2] = ["/usr/bin/git", "/usr/local/bin/git"];
/// How long all runs may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes of all files: the packs that servers send, and the tars.
const LARGEST: u64 = 8 << 30;
/// Where those who call put the repositories of submodules: below this one's folder, and counted with themselves.
pub const SUBMODULE_FOLDERS: &str = "submodules";
/// Submodules that one repository may have.
const MOST: usize = 256;
/// Which of its settings say what they are.
const SUBMODULES: &str = r"^submodule\..*\.(path|url)$";
/// Beats what the repository says of its own files: every one is exported, and as it is.
const ATTRIBUTES: &str = "* -export-ignore -export-subst -filter -text\n";
/// Settings that stand above all files of settings.
const SETTINGS: &[&str] = &[
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.packedGitLimit=256m",
    "core.packedGitWindowSize=16m",
    "credential.helper=",
    "fetch.fsckObjects=true",
    "fetch.recurseSubmodules=false",
    "fetch.unpackLimit=1",
    "gc.auto=0",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "http.proxy=",
    "maintenance.auto=false",
    "pack.threads=1",
    "protocol.allow=never",
    "protocol.http.allow=always",
    "protocol.https.allow=always",
    "transfer.bundleURI=false",
];
/// The environment: nobody's settings, nobody's passwords, no questions.
const VARIABLES: &[(&str, &str)] = &[
    ("GIT_ALLOW_PROTOCOL", "http:https"),
    ("GIT_ASKPASS", "/bin/false"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
    ("PATH", "/usr/bin:/bin"),
];

/// What to fetch. The texts were parsed: none begins with a dash, none climbs.
#[derive(Clone, Debug)]
pub struct Order {
    /// `http://` or `https://`, without a name or password.
    pub url: String,
    /// Its host and port.
    pub host: (String, u16),
    /// The addresses that may be connected to.
    pub addresses: Vec<IpAddr>,
    /// The branch, tag or commit; none is what the server calls `HEAD`.
    pub reference: Option<String>,
    /// The folder of the repository that is wanted; none is all of it.
    pub folder: Option<String>,
    /// Where its files are in the tar: a folder, for a submodule.
    pub inside: Option<String>,
    /// What it may cost.
    pub budget: Budget,
}

/// What a repository and its submodules may cost together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Time.
    pub time: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: LARGEST,
            time: PATIENCE,
        }
    }
}

impl Budget {
    /// Gives what is left after a fetch.
    ///
    /// # Errors
    /// When nothing is.
    pub fn after(self, bytes: u64, took: Duration) -> Result<Self, Error> {
        let left = self
            .bytes
            .checked_sub(bytes)
            .zip(self.time.checked_sub(took));
        let (bytes, time) = left.ok_or(Error::Budget)?;
        Ok(Self { bytes, time })
    }
}

/// A commit of another repository that has a place in this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submodule {
    /// Where, from this repository's top. Nobody judged it.
    pub path: String,
    /// The other repository, as this one calls it. Nobody judged it.
    pub url: String,
    /// The commit, in hex.
    pub commit: String,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The commit, in hex.
    pub commit: String,
    /// A bare tar of its files.
    pub archive: PathBuf,
    /// Its submodules, whose places are empty in the tar.
    pub submodules: Vec<Submodule>,
    /// Bytes that it takes on the disk.
    pub bytes: u64,
}

/// Fetches into a folder, which is made. Blocks.
///
/// # Errors
/// When the host has no git, the server is refused or refuses, or there is no such state or folder.
pub fn fetch(order: &Order, place: &Path) -> Result<Fetched, Error> {
    fs::create_dir_all(place).map_err(disk(place))?;
    let run = |doing, words: &[&str]| {
        checked(
            doing,
            tool(order, place)?.arguments(words.iter().copied()).run()?,
        )
    };
    run("init", &["init", "--quiet", "--bare", "--template=", "."])?;
    let info = place.join("info");
    fs::create_dir_all(&info).map_err(disk(&info))?;
    put(&info.join("attributes"), ATTRIBUTES)?;
    let reference = order.reference.as_deref().unwrap_or("HEAD");
    let fetch = [
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        "--",
        &order.url,
        reference,
    ];
    run("fetch", &fetch)?;
    let found = run(
        "rev-parse",
        &["rev-parse", "--verify", "FETCH_HEAD^{commit}"],
    )?;
    let commit = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    let submodules = submodules(order, place, &commit)?;
    let tree = match &order.folder {
        Some(folder) => format!("{commit}:{folder}"),
        None => commit.clone(),
    };
    let archive = archive(order, place, &tree)?;
    Ok(Fetched {
        commit,
        archive,
        submodules,
        bytes: taken(place).map_err(disk(place))?,
    })
}

/// Counts the bytes of a folder's files; what git makes is not deep.
fn taken(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += match about.is_dir() && entry.file_name() != SUBMODULE_FOLDERS {
            true => taken(&entry.path())?,
            false => about.len(),
        };
    }
    Ok(bytes)
}

/// Writes a tar of a tree.
fn archive(order: &Order, place: &Path, tree: &str) -> Result<PathBuf, Error> {
    let archive = place.join("context.tar");
    let failed = place.join("complaints");
    let streams = Streams {
        stdin: OwnedFd::from(fs::File::open("/dev/null").map_err(disk(place))?),
        stdout: fs::File::create_new(&archive)
            .map_err(disk(&archive))?
            .into(),
        stderr: fs::File::create_new(&failed).map_err(disk(&failed))?.into(),
    };
    let inside = order.inside.iter().map(|path| format!("--prefix={path}/"));
    let ended = tool(order, place)?
        .arguments(["archive", "--format=tar"])
        .arguments(inside)
        .arguments([tree])
        .run_with(streams)?;
    match ended.success() {
        true => Ok(archive),
        false => Err(Error::Refused {
            doing: "archive",
            complaint: fs::read_to_string(&failed)
                .unwrap_or_default()
                .trim()
                .to_owned(),
        }),
    }
}

/// Lists the submodules that `.gitmodules` of a commit knows and its tree has.
fn submodules(order: &Order, place: &Path, commit: &str) -> Result<Vec<Submodule>, Error> {
    let file = format!("{commit}:.gitmodules");
    let there = tool(order, place)?
        .arguments(["cat-file", "-e", &file])
        .run()?;
    // Most repositories have no such file.
    if !there.status.success() {
        return Ok(Vec::new());
    }
    let blob = format!("--blob={file}");
    let settings = tool(order, place)?
        .arguments(["config", "-z", &blob, "--get-regexp", SUBMODULES])
        .run()?;
    // It says nothing of any submodule.
    if settings.status.code() == Some(1) {
        return Ok(Vec::new());
    }
    let settings = checked("config", settings)?;
    let known = known(&settings.stdout);
    if settings.truncated || known.len() > MOST {
        return Err(Error::Submodules);
    }
    let mut words = vec![
        "--literal-pathspecs",
        "ls-tree",
        "-z",
        "--full-tree",
        commit,
        "--",
    ];
    words.extend(known.keys().map(String::as_str));
    let listed = tool(order, place)?.arguments(words).run()?;
    let listed = checked("ls-tree", listed)?;
    let found = listed.stdout.split(|byte| *byte == 0).filter_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (about, path) = line.split_once('\t')?;
        let commit = about.strip_prefix("160000 commit ")?;
        Some(Submodule {
            path: path.to_owned(),
            url: known.get(path)?.clone(),
            commit: commit.to_owned(),
        })
    });
    Ok(found.collect())
}

/// Reads the paths and addresses of `submodule.NAME.path` and `submodule.NAME.url`.
fn known(settings: &[u8]) -> BTreeMap<String, String> {
    let mut by_name: BTreeMap<&str, [Option<&str>; 2]> = BTreeMap::new();
    for one in settings.split(|byte| *byte == 0) {
        let Some((key, value)) = std::str::from_utf8(one)
            .ok()
            .and_then(|one| one.split_once('\n'))
        else {
            continue;
        };
        let key = key.strip_prefix("submodule.").unwrap_or(key);
        let Some((name, what)) = key.rsplit_once('.') else {
            continue;
        };
        let [path, url] = by_name.entry(name).or_default();
        match what {
            "path" => *path = Some(value),
            "url" => *url = Some(value),
            _ => {}
        }
    }
    let whole = by_name
        .into_values()
        .filter_map(|[path, url]| path.zip(url));
    whole
        .map(|(path, url)| (path.trim_end_matches('/').to_owned(), url.to_owned()))
        .collect()
}

/// git, with all that it is told before its verb.
fn tool(order: &Order, place: &Path) -> Result<Tool, Error> {
    let mut tool = Tool::new(program(&PROGRAMS)?)?
        .folder(place)
        .deadline(order.budget.time)
        .largest_file(order.budget.bytes)
        .variable("HOME", place);
    for (name, value) in VARIABLES {
        tool = tool.variable(*name, *value);
    }
    for setting in SETTINGS {
        tool = tool.arguments(["-c", setting]);
    }
    Ok(tool.arguments(["-c".to_owned(), resolve(order)]))
}

/// Finds git, where it may be.
fn program(places: &[&'static str]) -> Result<&'static str, Error> {
    let found = places.iter().find(|path| Path::new(path).exists());
    found.copied().ok_or(Error::Missing)
}

/// Tells git's HTTP library where the host is, so that no second answer of a name server counts.
fn resolve(order: &Order) -> String {
    let text = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let addresses: Vec<String> = order.addresses.iter().map(text).collect();
    let (host, port) = &order.host;
    format!("http.curloptResolve={host}:{port}:{}", addresses.join(","))
}

fn checked(doing: &'static str, output: Output) -> Result<Output, Error> {
    match output.status.success() {
        true => Ok(output),
        false => Err(Error::Refused {
            doing,
            complaint: output.complaint(),
        }),
    }
}

fn put(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write as _;
    let made = fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
    made.map_err(disk(path))
}

fn disk(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Disk { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(url: &str) -> Order {
        Order {
            url: url.to_owned(),
            host: ("git.example".to_owned(), 443),
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            reference: None,
            folder: None,
            inside: None,
            budget: Budget::default(),
        }
    }

    #[test]
    fn what_all_repositories_cost_together_is_bounded() {
        let budget = Budget {
            bytes: 10,
            time: Duration::from_secs(10),
        };
        let left = budget.after(4, Duration::from_secs(3)).unwrap();
        assert_eq!((left.bytes, left.time), (6, Duration::from_secs(7)));
        assert!(left.after(7, Duration::ZERO).is_err());
        assert!(left.after(0, Duration::from_secs(8)).is_err());
    }

    #[test]
    fn submodules_are_read_from_settings() {
        let settings =
            b"submodule.a.b.path\nlib/a\0submodule.a.b.url\n../a.git\0submodule.half.path\nx\0";
        let known = known(settings);
        assert_eq!(known, [("lib/a".to_owned(), "../a.git".to_owned())].into());
    }

    #[test]
    fn the_addresses_that_were_judged_are_those_that_are_used() {
        assert_eq!(
            resolve(&order("https://git.example/x")),
            "http.curloptResolve=git.example:443:192.0.2.1,[2001:db8::1]"
        );
    }

    #[test]
    fn a_host_without_git_says_what_it_lacks() {
        use hakone_base::{Fault as _, Kind};
        let missing = program(&["/nonexistent/git", "/nonexistent/other"]).unwrap_err();
        assert_eq!(missing.kind(), Kind::NotImplemented);
        assert!(missing.to_string().contains("install the package git"));
    }

    #[test]
    fn no_other_protocol_is_spoken_whatever_the_url_says() {
        let lab = tempfile::tempdir().unwrap();
        let at = lab.path().display();
        for url in [
            format!("file://{at}"),
            format!("{at}"),
            "ext::sh -c true".to_owned(),
            "ssh://127.0.0.1/x".to_owned(),
        ] {
            let place = lab.path().join(url.len().to_string());
            let error = fetch(&order(&url), &place).unwrap_err().to_string();
            assert!(error.contains("not allowed"), "{url}: {error}");
        }
    }
}
