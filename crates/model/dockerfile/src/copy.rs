//! `COPY` and `ADD`: from where, which files, to where, and as whose.

use crate::{
    Escape, Heredoc,
    error::Problem,
    flags::{Flags, Takes},
    words,
};

/// One thing to copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A path, perhaps with wildcards; for `ADD` perhaps a URL.
    Path(String),
    /// A file that stands in the Dockerfile.
    Inline {
        /// Its name.
        name: String,
        /// Its content.
        content: String,
        /// Whether variables in the content are replaced.
        expand: bool,
    },
}

/// What `COPY` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Copy {
    /// What is copied.
    pub sources: Vec<Source>,
    /// Where to; a slash at the end makes it a folder.
    pub destination: String,
    /// A stage, image or named context instead of the build context.
    pub from: Option<String>,
    /// The owner, `user:group` by name or number.
    pub chown: Option<String>,
    /// The mode: octal, or in the words of chmod.
    pub chmod: Option<String>,
    /// Whether the files are a layer that does not look at what is below.
    pub link: bool,
    /// Whether the folders of the sources are kept.
    pub parents: bool,
    /// Patterns of files to leave out.
    pub exclude: Vec<String>,
}

/// What `ADD` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Add {
    /// What is added.
    pub sources: Vec<Source>,
    /// Where to; a slash at the end makes it a folder.
    pub destination: String,
    /// The owner, `user:group` by name or number.
    pub chown: Option<String>,
    /// The mode: octal, or in the words of chmod.
    pub chmod: Option<String>,
    /// The digest that a download must have.
    pub checksum: Option<String>,
    /// Whether the `.git` folder of a repository stays.
    pub keep_git_dir: bool,
    /// Whether the files are a layer that does not look at what is below.
    pub link: bool,
    /// Patterns of files to leave out.
    pub exclude: Vec<String>,
    /// Whether archives are unpacked; unless said, local ones are and downloads are not.
    pub unpack: Option<bool>,
}

const COPY: &[(&str, Takes)] = &[
    ("from", Takes::Value),
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("link", Takes::Switch),
    ("parents", Takes::Switch),
    ("exclude", Takes::Values),
];
const ADD: &[(&str, Takes)] = &[
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("checksum", Takes::Value),
    ("keep-git-dir", Takes::Switch),
    ("link", Takes::Switch),
    ("exclude", Takes::Values),
    ("unpack", Takes::Switch),
];

impl Copy {
    pub(crate) fn parse(rest: &str, heredocs: &[Heredoc], escape: Escape) -> Result<Self, Problem> {
        let (given, rest) = words::flags(rest, escape);
        let flags = Flags::parse(&given, COPY)?;
        let (sources, destination) = places(rest, heredocs, "COPY")?;
        Ok(Self {
            sources,
            destination,
            from: flags.owned("from").filter(|from| !from.is_empty()),
            chown: flags.owned("chown"),
            chmod: flags.owned("chmod"),
            link: flags.on("link"),
            parents: flags.on("parents"),
            exclude: flags.all("exclude").map(str::to_owned).collect(),
        })
    }
}

impl Add {
    pub(crate) fn parse(rest: &str, heredocs: &[Heredoc], escape: Escape) -> Result<Self, Problem> {
        let (given, rest) = words::flags(rest, escape);
        let flags = Flags::parse(&given, ADD)?;
        let (sources, destination) = places(rest, heredocs, "ADD")?;
        Ok(Self {
            sources,
            destination,
            chown: flags.owned("chown"),
            chmod: flags.owned("chmod"),
            checksum: flags.owned("checksum"),
            keep_git_dir: flags.on("keep-git-dir"),
            link: flags.on("link"),
            exclude: flags.all("exclude").map(str::to_owned).collect(),
            unpack: flags.one("unpack").map(|value| value == "true"),
        })
    }
}

fn places(
    rest: &str,
    heredocs: &[Heredoc],
    keyword: &str,
) -> Result<(Vec<Source>, String), Problem> {
    let words = words::list(rest)?;
    let (destination, sources) = match words.split_last() {
        None => return Err(Problem::no_argument(keyword)),
        Some((_, [])) => {
            return Err(Problem::new(format!(
                "{keyword} requires at least two arguments, but only one was provided. Destination could not be determined."
            )));
        }
        Some(both) => both,
    };
    if opened(destination, heredocs).is_some() {
        return Err(Problem::new(format!(
            "{keyword} cannot accept a heredoc as a destination"
        )));
    }
    let sources = sources.iter().map(|word| source(word, heredocs)).collect();
    Ok((sources, destination.clone()))
}

fn source(word: &str, heredocs: &[Heredoc]) -> Source {
    match opened(word, heredocs) {
        Some(heredoc) => Source::Inline {
            name: heredoc.name.clone(),
            content: heredoc.text(),
            expand: heredoc.expand,
        },
        None => Source::Path(word.to_owned()),
    }
}

/// Finds the heredoc that a word opens; of several with one name, the last counts.
fn opened<'a>(word: &str, heredocs: &'a [Heredoc]) -> Option<&'a Heredoc> {
    let name = Heredoc::parse(word)?.name;
    heredocs.iter().rev().find(|one| one.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(text: &str) -> Result<Copy, String> {
        Copy::parse(text, &[], Escape::Backslash).map_err(|problem| problem.to_string())
    }

    #[test]
    fn both_forms_give_sources_and_a_destination() {
        let path = |text: &str| Source::Path(text.into());
        let plain = copy("--from=0 --link --exclude=*.o --exclude=x a b /c/").unwrap();
        assert_eq!(plain.sources, [path("a"), path("b")]);
        assert_eq!(plain.destination, "/c/");
        assert_eq!(plain.from.as_deref(), Some("0"));
        assert!(plain.link && !plain.parents && plain.exclude.len() == 2);
        let list = copy("[\"a b\", \"c\"]").unwrap();
        assert_eq!(
            (list.sources, list.destination.as_str()),
            (vec![path("a b")], "c")
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(copy("").unwrap_err(), "COPY requires at least one argument");
        assert!(
            copy("a")
                .unwrap_err()
                .starts_with("COPY requires at least two arguments")
        );
        assert_eq!(copy("--what a b").unwrap_err(), "unknown flag: --what");
    }

    #[test]
    fn add_may_unpack_or_not() {
        let add = |text| Add::parse(text, &[], Escape::Backslash).unwrap();
        assert_eq!(add("a b").unpack, None);
        assert_eq!(
            add("--unpack=false --checksum=sha256:1 a b").unpack,
            Some(false)
        );
    }
}
