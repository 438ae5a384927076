//! Parser directives: the `# key=value` lines at the head of a Dockerfile.
//!
//! They end at the first line that is not one. `escape` changes how all that follows is read, so the lines are offered one by
//! one, as they come, to [`Reader`].

use crate::error::Problem;

/// The character that continues a line and takes the meaning from the next character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Escape {
    /// `\`, unless said otherwise.
    #[default]
    Backslash,
    /// The backtick, for paths of Windows.
    Backtick,
}

impl Escape {
    /// Gives the character.
    #[must_use]
    pub const fn char(self) -> char {
        match self {
            Self::Backslash => '\\',
            Self::Backtick => '`',
        }
    }
}

/// The directives of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// The frontend image of `# syntax=`, with its line.
    pub syntax: Option<(String, u32)>,
    /// The escape character.
    pub escape: Escape,
    /// What `# check=` asks of the build checks.
    pub check: Option<Check>,
}

/// The build checks to leave out, and whether the others are errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Names of checks that are not to be run; `all` is every one.
    pub skip: Vec<String>,
    /// Whether a finding fails the build.
    pub error: bool,
}

impl Check {
    /// Parses `skip=A,B;error=true`.
    ///
    /// # Errors
    /// An unknown key, or a value that is no boolean.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let mut check = Self::default();
        for part in text
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let Some((key, value)) = part.split_once('=') else {
                return Err(Problem::new(format!("invalid check option {part:?}")));
            };
            match key.trim() {
                "skip" => check.skip = value.split(',').map(|name| name.trim().into()).collect(),
                "error" => check.error = boolean(value.trim())?,
                other => return Err(Problem::new(format!("invalid check option {other:?}"))),
            }
        }
        Ok(check)
    }

    /// Reports whether the check of that name is left out.
    #[must_use]
    pub fn skips(&self, name: &str) -> bool {
        self.skip
            .iter()
            .any(|one| one.eq_ignore_ascii_case("all") || one.eq_ignore_ascii_case(name))
    }
}

fn boolean(text: &str) -> Result<bool, Problem> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err(Problem::new(format!(
            "failed to parse check option error: {text:?}"
        ))),
    }
}

/// Collects directives until the first line that is none.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    found: Directives,
    seen: Vec<String>,
    over: bool,
}

impl Reader {
    pub(crate) const fn escape(&self) -> Escape {
        self.found.escape
    }

    pub(crate) fn finish(self) -> Directives {
        self.found
    }

    /// Reads one line of the head; does nothing once the head is over.
    pub(crate) fn line(&mut self, line: &str, number: u32) -> Result<(), Problem> {
        if self.over {
            return Ok(());
        }
        let Some((key, value)) = split(line) else {
            self.over = true;
            return Ok(());
        };
        if !matches!(key.as_str(), "syntax" | "escape" | "check") {
            return Ok(());
        }
        if self.seen.contains(&key) {
            return Err(Problem::new(format!(
                "only one {key} parser directive can be used"
            )));
        }
        match key.as_str() {
            "escape" => self.found.escape = escape(value)?,
            "syntax" => self.found.syntax = Some((value.to_owned(), number)),
            // A check line that cannot be read is the business of the checks, not of the build.
            _ => self.found.check = Check::parse(value).ok(),
        }
        self.seen.push(key);
        Ok(())
    }
}

fn escape(value: &str) -> Result<Escape, Problem> {
    match value {
        "\\" => Ok(Escape::Backslash),
        "`" => Ok(Escape::Backtick),
        _ => Err(Problem::new(format!(
            "invalid ESCAPE '{value}' does not match ` or \\"
        ))),
    }
}

/// Divides `# key = value`; the key is a letter with letters and digits.
fn split(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.strip_prefix('#')?.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let named = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric());
    (named && !value.is_empty()).then(|| (key.to_ascii_lowercase(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Directives, Problem> {
        let mut reader = Reader::default();
        for (number, line) in (1..).zip(lines) {
            reader.line(line, number)?;
        }
        Ok(reader.finish())
    }

    #[test]
    fn the_head_ends_at_the_first_line_that_is_no_directive() {
        let found = read(&["# Syntax = docker/dockerfile:1", "# hello", "# escape=`"]).unwrap();
        assert_eq!(found.syntax, Some(("docker/dockerfile:1".into(), 1)));
        assert_eq!(found.escape, Escape::Backslash);
    }

    #[test]
    fn a_directive_given_twice_is_an_error() {
        let error = read(&["# escape=`", "#escape=\\"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "only one escape parser directive can be used"
        );
        assert!(read(&["# escape=x"]).is_err());
    }

    #[test]
    fn checks_are_skipped_by_name_or_all() {
        let check = read(&["# check=skip=A,B;error=true"])
            .unwrap()
            .check
            .unwrap();
        assert!(check.skips("a") && check.skips("B") && !check.skips("C") && check.error);
        assert!(Check::parse("skip=all").unwrap().skips("C"));
        assert!(Check::parse("what=1").is_err());
    }
}
