//! Which shell reads the `RUN` lines of a stage, and whether a broken pipe fails them.

/// A family of shells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// POSIX alone.
    Sh,
    /// BusyBox and dash, with a few extras.
    Ash,
    /// bash.
    Bash,
    /// ksh, zsh and others that read mostly the same.
    Other,
    /// PowerShell, cmd.
    Foreign,
}

/// The shell of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shell {
    pub(crate) dialect: Dialect,
    /// Whether the words of `SHELL` set `pipefail`.
    pub(crate) pipefail: bool,
}

impl Default for Shell {
    fn default() -> Self {
        Self {
            dialect: Dialect::Sh,
            pipefail: false,
        }
    }
}

impl Shell {
    pub(crate) fn new(words: &[String]) -> Self {
        let program = words.first().map(String::as_str).unwrap_or_default();
        let name = program
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let dialect = match name.trim_end_matches(".exe") {
            "sh" => Dialect::Sh,
            "ash" | "dash" => Dialect::Ash,
            "bash" => Dialect::Bash,
            "powershell" | "pwsh" | "cmd" => Dialect::Foreign,
            _ => Dialect::Other,
        };
        let named = matches!(name.as_str(), "bash" | "zsh" | "ash");
        Self {
            dialect,
            pipefail: named && words.iter().any(|word| word == "pipefail"),
        }
    }

    pub(crate) fn is_posix(&self) -> bool {
        self.dialect != Dialect::Foreign
    }
}
