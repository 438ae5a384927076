//! The words that name a git repository: `https://host/path.git#reference:folder`.
//!
//! They come from a client or a Dockerfile and end as arguments of git, so a part that git could take for an option, another
//! protocol or a way out of the repository is refused here, and passwords are.

/// A state of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSource {
    /// `http://` or `https://`, without a fragment.
    pub url: String,
    /// The branch, tag or commit; none is what the server calls `HEAD`.
    pub reference: Option<String>,
    /// The folder of the repository that is wanted; none is all of it.
    pub folder: Option<String>,
}

/// Why words name a repository that is not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// A protocol that needs keys of the daemon's host, or proves nothing.
    #[error("git repositories are fetched over http and https alone, not from {0:?}")]
    Protocol(String),
    /// A name or password before the host.
    #[error("the URL of a git repository must not have a name or password in it")]
    Password,
    /// A branch, tag or commit that is none.
    #[error("invalid git reference {0:?}")]
    Reference(String),
    /// A folder that is none.
    #[error("invalid folder of a git repository: {0:?}")]
    Folder(String),
    /// A submodule whose address is none.
    #[error("invalid address of a git submodule: {0:?}")]
    Submodule(String),
}

impl GitSource {
    /// Reads words that mean a repository; none when they mean something else.
    ///
    /// # Errors
    /// When they mean one that is not fetched.
    pub fn parse(text: &str) -> Result<Option<Self>, GitError> {
        let (place, fragment) = text.split_once('#').unwrap_or((text, ""));
        let other = ["git://", "git@", "ssh://"];
        if other.iter().any(|one| place.starts_with(one)) {
            return Err(GitError::Protocol(place.to_owned()));
        }
        let url = match place.strip_prefix("github.com/") {
            Some(_) => format!("https://{place}"),
            None => place.to_owned(),
        };
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let Some(rest) = rest.filter(|rest| rest.ends_with(".git") || place != url) else {
            return Ok(None);
        };
        if rest
            .split('/')
            .next()
            .is_some_and(|host| host.contains('@'))
        {
            return Err(GitError::Password);
        }
        let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
        Ok(Some(Self {
            reference: judged(reference, is_reference, GitError::Reference)?,
            folder: judged(folder.trim_matches('/'), is_folder, GitError::Folder)?,
            url,
        }))
    }
}

impl GitSource {
    /// Names the repository of a submodule at a commit, by an address, or one relative to this repository's (`../other.git`).
    ///
    /// # Errors
    /// When its place is outside or git's own, or its address is none that is fetched or climbs above this one's host.
    pub fn submodule(&self, path: &str, url: &str, commit: &str) -> Result<Self, GitError> {
        if !is_submodule_path(path) {
            return Err(GitError::Folder(path.chars().take(256).collect()));
        }
        let wrong = || GitError::Submodule(url.chars().take(256).collect());
        let is_relative = url.starts_with("./") || url.starts_with("../");
        let url = match is_relative {
            true => relative(self.url.trim_end_matches('/'), url).ok_or_else(wrong)?,
            false => url.to_owned(),
        };
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let rest = rest.ok_or_else(|| GitError::Protocol(url.chars().take(256).collect()))?;
        let host = rest.split('/').next().unwrap_or_default();
        if host.contains('@') {
            return Err(GitError::Password);
        }
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '\\' | '"');
        match url.len() <= 2048 && url.chars().all(plain) && !host.is_empty() {
            true => Ok(Self {
                reference: judged(commit, is_reference, GitError::Reference)?,
                folder: None,
                url,
            }),
            false => Err(wrong()),
        }
    }
}

/// Follows `./` and `../` from a repository's address, as git does.
fn relative(base: &str, url: &str) -> Option<String> {
    let (scheme, place) = base.split_once("://")?;
    let mut parts: Vec<&str> = place.split('/').collect();
    let mut rest = url;
    loop {
        if let Some(below) = rest.strip_prefix("../") {
            // The host itself stays.
            if parts.len() < 2 {
                return None;
            }
            parts.pop();
            rest = below;
        } else if let Some(below) = rest.strip_prefix("./") {
            rest = below;
        } else {
            break;
        }
    }
    let fits = !rest.is_empty() && rest.split('/').all(|part| !matches!(part, "." | ".."));
    parts.push(rest);
    fits.then(|| format!("{scheme}://{}", parts.join("/")))
}

/// Reports whether a submodule may be at a path: inside, and nothing of git's own.
fn is_submodule_path(path: &str) -> bool {
    let own = |part: &str| part.eq_ignore_ascii_case(".git");
    is_folder(path)
        && !path.starts_with('-')
        && !path.contains(char::is_control)
        && !path.contains('\\')
        && !path.split('/').any(own)
}

fn judged(
    text: &str,
    fits: fn(&str) -> bool,
    refuse: fn(String) -> GitError,
) -> Result<Option<String>, GitError> {
    match text {
        "" => Ok(None),
        text if fits(text) => Ok(Some(text.to_owned())),
        text => Err(refuse(text.to_owned())),
    }
}

/// What `git check-ref-format` allows, and less: no revision syntax, no refspec, nothing that looks like an option.
fn is_reference(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+');
    text.len() <= 256
        && text.chars().all(plain)
        && !text.starts_with(['-', '+', '/', '.'])
        && !text.contains("..")
        && !text.ends_with(".lock")
}

fn is_folder(text: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..");
    text.len() <= 4096 && text.split('/').all(part) && !text.contains(['\0', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<(String, Option<String>, Option<String>)> {
        let source = GitSource::parse(text).unwrap()?;
        Some((source.url, source.reference, source.folder))
    }

    #[test]
    fn a_repository_is_told_from_an_archive_by_its_words() {
        let some = |text: &str| Some(text.to_owned());
        let table = [
            ("https://x/y.git", Some(("https://x/y.git", None, None))),
            (
                "http://x/y.git#main",
                Some(("http://x/y.git", some("main"), None)),
            ),
            (
                "https://x/y.git#v1:a/b/",
                Some(("https://x/y.git", some("v1"), some("a/b"))),
            ),
            (
                "https://x/y.git#:a",
                Some(("https://x/y.git", None, some("a"))),
            ),
            (
                "github.com/a/b#feature/x",
                Some(("https://github.com/a/b", some("feature/x"), None)),
            ),
            ("https://x/y.tar", None),
            ("https://x/y.tar#x.git", None),
            ("x.git", None),
        ];
        for (text, wanted) in table {
            let wanted = wanted.map(|(url, reference, folder)| (url.to_owned(), reference, folder));
            assert_eq!(told(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_submodule_is_named_from_its_repository() {
        let source = GitSource::parse("https://x/a/b.git").unwrap().unwrap();
        let table = [
            ("../c.git", Some("https://x/a/c.git")),
            ("../../c", Some("https://x/c")),
            ("./c.git", Some("https://x/a/b.git/c.git")),
            ("https://y/c", Some("https://y/c")),
            ("../../../c", None),
            ("../../../../y/c", None),
            ("../c/../../d", None),
            ("file:///etc", None),
            ("ext::sh -c id", None),
            ("/etc", None),
            ("--upload-pack=sh", None),
            ("https://me:hush@y/c", None),
            ("https://y/a b", None),
            ("https://", None),
        ];
        for (url, wanted) in table {
            let found = source.submodule("lib", url, "0123abcd").ok();
            assert_eq!(found.map(|one| one.url).as_deref(), wanted, "{url}");
        }
        assert!(source.submodule("lib", "../c.git", "--exec=x").is_err());
        for path in ["a", "a/b", "vendor/x.y"] {
            assert!(is_submodule_path(path), "{path}");
        }
        for path in [
            "",
            "..",
            "a/../b",
            "-x",
            ".git",
            "a/.GIT/hooks",
            "a\\b",
            "a\nb",
            "/a",
        ] {
            assert!(!is_submodule_path(path), "{path}");
        }
    }

    #[test]
    fn what_git_could_take_for_something_else_is_refused() {
        for text in ["git://x/y.git", "ssh://x/y.git", "git@x:y.git"] {
            assert!(
                matches!(GitSource::parse(text), Err(GitError::Protocol(_))),
                "{text}"
            );
        }
        assert_eq!(
            GitSource::parse("https://me:hush@x/y.git"),
            Err(GitError::Password)
        );
        for reference in [
            "--upload-pack=sh",
            "-x",
            "+a",
            "a..b",
            "a b",
            "a^{tree}",
            "a@{1}",
            "$(x)",
            "/a",
            "a.lock",
            "é",
        ] {
            let text = format!("https://x/y.git#{reference}");
            assert!(
                matches!(GitSource::parse(&text), Err(GitError::Reference(_))),
                "{text}"
            );
        }
        for folder in ["..", "a/../../b", "./a", "a//b", "a\nb"] {
            let text = format!("https://x/y.git#main:{folder}");
            assert!(
                matches!(GitSource::parse(&text), Err(GitError::Folder(_))),
                "{text}"
            );
        }
    }
}
