//! Reads what `iptables-save` prints: every table with its chains and rules.

use hakone_iptables_model::MARK;

/// The tables of a family as they stand.
#[derive(Debug, Default)]
pub(crate) struct Saved<'a> {
    tables: Vec<Table<'a>>,
}

/// One table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table<'a> {
    name: &'a str,
    chains: Vec<(&'a str, &'a str)>,
    rules: Vec<&'a str>,
}

impl<'a> Saved<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let mut tables: Vec<Table<'a>> = Vec::new();
        for line in text.lines().map(str::trim_end) {
            match (line.strip_prefix('*'), tables.last_mut()) {
                (Some(name), _) => tables.push(Table {
                    name,
                    ..Table::default()
                }),
                (None, Some(table)) => table.read(line),
                (None, None) => {}
            }
        }
        Self { tables }
    }

    /// Gives a table; one that nobody used yet is empty.
    pub(crate) fn table(&self, name: &str) -> Table<'a> {
        let found = self.tables.iter().find(|table| table.name == name);
        found.cloned().unwrap_or_default()
    }
}

impl<'a> Table<'a> {
    fn read(&mut self, line: &'a str) {
        if line.starts_with("-A ") {
            self.rules.push(line);
        }
        let chain = line.strip_prefix(':').and_then(|rest| rest.split_once(' '));
        if let Some((name, rest)) = chain {
            let policy = rest.split(' ').next().unwrap_or_default();
            self.chains.push((name, policy));
        }
    }

    /// Gives the names of all chains.
    pub(crate) fn chains(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.chains.iter().map(|(name, _)| *name)
    }

    pub(crate) fn has_chain(&self, name: &str) -> bool {
        self.chains().any(|chain| chain == name)
    }

    /// Gives the policy of a chain that the kernel calls.
    pub(crate) fn policy(&self, chain: &str) -> Option<&'a str> {
        let mut chains = self.chains.iter();
        chains.find_map(|(name, policy)| (*name == chain).then_some(*policy))
    }

    /// Gives the rules of a chain, first to last.
    pub(crate) fn rules(&self, chain: &str) -> impl Iterator<Item = &'a str> + '_ {
        let prefix = format!("-A {chain} ");
        let rules = self.rules.iter().copied();
        rules.filter(move |line| line.starts_with(&prefix))
    }

    /// Reports whether a rule of somebody else leads to the chain.
    pub(crate) fn is_used_by_others(&self, chain: &str) -> bool {
        let foreign = self.rules.iter().filter(|line| !is_marked(line));
        let jumps = [format!(" -j {chain}"), format!(" -g {chain}")];
        let leads = |line: &&str| jumps.iter().any(|jump| line.ends_with(jump));
        foreign.into_iter().copied().any(|line| leads(&line))
    }
}

/// Reports whether a rule carries our mark, which stands right before its target.
pub(crate) fn is_marked(line: &str) -> bool {
    let mark = format!(" -m comment --comment {MARK} -");
    line.contains(&mark)
}
