//! Reads what `iptables -S` prints: the commands that would make the table as it is.

/// The table `filter` as it stands.
#[derive(Debug, Default)]
pub(crate) struct Listing<'a> {
    lines: Vec<&'a str>,
}

impl<'a> Listing<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        Self {
            lines: text.lines().map(str::trim_end).collect(),
        }
    }

    /// Reports whether a chain of this name was made.
    pub(crate) fn has_chain(&self, name: &str) -> bool {
        self.lines
            .iter()
            .any(|line| line.strip_prefix("-N ") == Some(name))
    }

    /// Reports whether a chain leads to another for every packet.
    pub(crate) fn jumps(&self, from: &str, to: &str) -> bool {
        let jump = format!("-A {from} -j {to}");
        self.lines.contains(&jump.as_str())
    }

    /// Gives the policy of a chain that the kernel calls.
    pub(crate) fn policy(&self, chain: &str) -> Option<&'a str> {
        let of_chain = |line: &&'a str| {
            line.strip_prefix("-P ")?
                .strip_prefix(chain)?
                .strip_prefix(' ')
        };
        self.lines.iter().find_map(of_chain)
    }

    /// Gives the rules of a chain, first to last.
    pub(crate) fn rules(&self, chain: &str) -> impl Iterator<Item = &'a str> {
        let prefix = format!("-A {chain} ");
        let lines = self.lines.iter().copied();
        lines.filter(move |line| line.starts_with(&prefix))
    }
}
