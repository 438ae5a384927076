//! `.dockerignore`: which files of the context a build does not see.
//!
//! The last pattern that matches a path, or a folder above it, decides; `!` takes it in again. The same patterns leave
//! files out of a `COPY --exclude`. The files come from a stranger: their size and number are bounded.

use crate::pattern::{BadPattern, Flavor, Pattern};

/// Bytes that the file may have.
const BYTES: usize = 1 << 20;
/// Patterns that it may have.
const PATTERNS: usize = 10_000;
/// Bytes that one pattern may have.
const LENGTH: usize = 4_096;

/// Why a `.dockerignore` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// The file or a pattern is too large, or there are too many.
    #[error("the .dockerignore file has too many or too long patterns")]
    TooLarge,
    /// `!` with nothing behind it.
    #[error("illegal exclusion pattern: \"!\"")]
    Nothing,
    /// A pattern does not hold together.
    #[error("syntax error in pattern: {0:?}")]
    Pattern(String),
}

/// What of a folder is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignore(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    exception: bool,
}

impl Ignore {
    /// Reads the file.
    ///
    /// # Errors
    /// It is too large, or a pattern does not hold together.
    pub fn parse(bytes: &[u8]) -> Result<Self, IgnoreError> {
        if bytes.len() > BYTES {
            return Err(IgnoreError::TooLarge);
        }
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        Self::new(text.lines().filter(|line| !line.starts_with('#')))
    }

    /// Reads patterns, such as those of `--exclude`.
    ///
    /// # Errors
    /// There are too many, or one does not hold together.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, IgnoreError> {
        let mut rules = Vec::new();
        for text in patterns {
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            if rules.len() == PATTERNS || text.len() > LENGTH {
                return Err(IgnoreError::TooLarge);
            }
            rules.push(Rule::parse(text)?);
        }
        Ok(Self(rules))
    }

    /// Reports whether nothing is left out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reports whether the path, relative to the context, is left out.
    #[must_use]
    pub fn excludes(&self, path: &str) -> bool {
        let path = path.trim_matches('/');
        self.0.iter().fold(false, |out, rule| {
            // A rule that would change nothing need not be asked.
            if rule.exception == out && rule.covers(path) {
                !rule.exception
            } else {
                out
            }
        })
    }

    /// Reports whether a folder that is left out may hold something that is not, and so must be walked.
    #[must_use]
    pub fn may_hold_exceptions(&self, folder: &str) -> bool {
        let folder = folder.trim_matches('/');
        self.0
            .iter()
            .filter(|rule| rule.exception)
            .any(|rule| rule.covers(folder) || rule.pattern.may_match_below(folder))
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, IgnoreError> {
        let (exception, pattern) = match text.strip_prefix('!') {
            Some(pattern) => (true, pattern.trim()),
            None => (false, text),
        };
        if pattern.is_empty() {
            return Err(IgnoreError::Nothing);
        }
        let cleaned = clean(pattern);
        let pattern = Pattern::parse(&cleaned, Flavor::Path)
            .map_err(|BadPattern| IgnoreError::Pattern(pattern.to_owned()))?;
        Ok(Self { pattern, exception })
    }

    /// Reports whether the pattern matches the path or a folder above it.
    fn covers(&self, path: &str) -> bool {
        let ends = path
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([path.len()]);
        ends.filter_map(|end| path.get(..end))
            .any(|part| self.pattern.matches(part))
    }
}

/// Takes `.` and `..` and doubled slashes out, and the slash at the front.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let rooted = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            other => parts.push(other),
        }
    }
    if parts.is_empty() {
        return if rooted { "/".into() } else { ".".into() };
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out<'a>(file: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let ignore = Ignore::parse(file.as_bytes()).unwrap();
        paths
            .iter()
            .copied()
            .filter(|path| ignore.excludes(path))
            .collect()
    }

    const TREE: &[&str] = &[
        "a.md",
        "b.txt",
        "dir",
        "dir/a.md",
        "dir/sub",
        "dir/sub/c.txt",
        "other/dir/x",
        "temp1",
    ];

    #[test]
    fn patterns_are_rooted_and_cover_what_is_below() {
        assert_eq!(
            left_out("dir\n", TREE),
            ["dir", "dir/a.md", "dir/sub", "dir/sub/c.txt"]
        );
        assert_eq!(left_out("/dir/sub/\n", TREE), ["dir/sub", "dir/sub/c.txt"]);
        assert_eq!(left_out("*/sub\n", TREE), ["dir/sub", "dir/sub/c.txt"]);
        assert_eq!(left_out("*.md\n", TREE), ["a.md"]);
        assert_eq!(left_out("**/*.md\n", TREE), ["a.md", "dir/a.md"]);
        assert_eq!(left_out("temp?\n", TREE), ["temp1"]);
        assert_eq!(left_out("./x/../b.txt\n", TREE), ["b.txt"]);
    }

    #[test]
    fn the_last_match_decides() {
        let table: [(&str, &[&str]); 4] = [
            ("*.md\n!a.md\n", &[]),
            ("!a.md\n*.md\n", &["a.md"]),
            ("dir\n!dir/sub\n", &["dir", "dir/a.md"]),
            (
                "*\n!dir/sub/*.txt\n",
                &[
                    "a.md",
                    "b.txt",
                    "dir",
                    "dir/a.md",
                    "dir/sub",
                    "other/dir/x",
                    "temp1",
                ],
            ),
        ];
        for (file, wanted) in table {
            assert_eq!(left_out(file, TREE), wanted, "{file}");
        }
    }

    #[test]
    fn comments_and_spaces_do_not_count() {
        assert_eq!(
            left_out("\u{feff}# dir\n\n  b.txt  \r\n # a\n", TREE),
            ["b.txt"]
        );
    }

    #[test]
    fn folders_with_exceptions_are_walked() {
        let ignore = Ignore::parse(b"dir\nother\n!dir/sub/c.txt\n!**/keep\n").unwrap();
        assert!(ignore.may_hold_exceptions("dir") && ignore.may_hold_exceptions("dir/sub"));
        assert!(
            ignore.may_hold_exceptions("other"),
            "two stars reach everywhere"
        );
        let ignore = Ignore::parse(b"dir\nother\n!dir/sub\n").unwrap();
        assert!(ignore.may_hold_exceptions("dir") && ignore.may_hold_exceptions("dir/sub/deep"));
        assert!(!ignore.may_hold_exceptions("other"));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert_eq!(Ignore::parse(b"a\n!\n"), Err(IgnoreError::Nothing));
        assert_eq!(
            Ignore::parse(b"[a\n"),
            Err(IgnoreError::Pattern("[a".into()))
        );
        assert_eq!(Ignore::parse(&[b'a'; 5_000]), Err(IgnoreError::TooLarge));
    }
}
