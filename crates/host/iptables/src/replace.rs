//! Decides what `iptables-restore` has to be told so that the tables hold our rules and nothing else changes. Pure.
//!
//! A chain of our own is filled anew when it differs; in a chain that others use, too, only rules with our mark come and go.
//! Each table is one transaction: packets meet the old rules or the new.

use hakone_iptables_model::{ADMINISTRATORS, Chain, OWN, Place, Table};

use crate::{
    Forward,
    saved::{self, Saved, is_marked},
};

/// The chains that the kernel calls; they are always there.
const BUILT_IN: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
/// All tables in which rules of ours stand, in the order in which they are loaded: first what refuses.
const TABLES: [&str; 4] = ["raw", "mangle", "filter", "nat"];
/// Docker's chains for which administrators have no use of their own, with their table: taken away when empty.
const DERIVED: [(&str, &str); 4] = [
    ("filter", "DOCKER-FORWARD"),
    ("filter", "DOCKER-ISOLATION-STAGE-1"),
    ("filter", "DOCKER-ISOLATION-STAGE-2"),
    ("nat", "DOCKER"),
];
/// The chain by which packets of the other back end reach the administrator's chains; see `script`.
const OF_THE_OTHER: &str = crate::script::OWN;

/// Gives the input of `iptables-restore --noflush` that makes the tables as wanted; `None` when they are.
pub(crate) fn replace(present: &Saved<'_>, wanted: &[Table], forward: Forward) -> Option<String> {
    let mut script = String::new();
    for name in TABLES {
        let here = present.table(name);
        let table = wanted.iter().find(|table| table.name == name);
        let chains = table.map_or(&[][..], |table| &table.chains);
        let mut commands = Edit::of(name, &here, chains).commands();
        if name == "filter" && !chains.is_empty() {
            commands.extend(close(&here, forward));
        }
        if !commands.is_empty() {
            script.push_str(&format!("*{name}\n{}\nCOMMIT\n", commands.join("\n")));
        }
    }
    (!script.is_empty()).then_some(script)
}

/// After a flush FORWARD is closed again to what no rule accepts, where it was we who opened the host.
fn close(present: &saved::Table<'_>, forward: Forward) -> Option<String> {
    let flushed = !present.has_chain("HAKONE-INPUT");
    let open = present.policy("FORWARD") != Some("DROP");
    (forward == Forward::Ours && flushed && open).then(|| "-P FORWARD DROP".to_owned())
}

/// What one table needs.
struct Edit<'a> {
    name: &'a str,
    present: &'a saved::Table<'a>,
    wanted: &'a [Chain],
}

impl<'a> Edit<'a> {
    const fn of(name: &'a str, present: &'a saved::Table<'a>, wanted: &'a [Chain]) -> Self {
        Self {
            name,
            present,
            wanted,
        }
    }

    fn commands(&self) -> Vec<String> {
        let mut commands = self.missing_chains();
        let stale = self.stale_chains();
        let changed: Vec<&Chain> = self.wanted.iter().filter(|one| self.differs(one)).collect();
        commands.extend(stale.iter().map(|chain| format!("-F {chain}")));
        commands.extend(self.administrators_jump());
        for chain in &changed {
            commands.extend(self.take(chain));
        }
        commands.extend(self.left_over());
        for chain in &changed {
            commands.extend(self.put(chain));
        }
        commands.extend(stale.iter().map(|chain| format!("-X {chain}")));
        commands.extend(self.empty_chains().map(|chain| format!("-X {chain}")));
        commands
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.wanted.iter().any(|chain| chain.name == name)
    }

    fn missing_chains(&self) -> Vec<String> {
        let names = self.wanted.iter().map(|chain| chain.name);
        let missing =
            names.filter(|name| !BUILT_IN.contains(name) && !self.present.has_chain(name));
        missing.map(|name| format!("-N {name}")).collect()
    }

    /// Chains of ours that no rule of ours needs any more, as another version may have left them.
    fn stale_chains(&self) -> Vec<&'a str> {
        let own = self.present.chains().filter(|name| name.starts_with(OWN));
        own.filter(|name| *name != OF_THE_OTHER && !self.is_wanted(name))
            .collect()
    }

    fn differs(&self, chain: &Chain) -> bool {
        let lines = chain.lines();
        let present = self.ours(chain.name, chain.is_own());
        !present.map(normal).eq(lines)
    }

    /// Our rules in a chain: all, or those with our mark.
    fn ours(&self, chain: &str, own: bool) -> impl Iterator<Item = &'a str> + '_ {
        let rules: Vec<&str> = self.present.rules(chain).collect();
        rules.into_iter().filter(move |line| own || is_marked(line))
    }

    fn take(&self, chain: &Chain) -> Vec<String> {
        match chain.is_own() {
            true => vec![format!("-F {}", chain.name)],
            false => self.ours(chain.name, false).map(deleted).collect(),
        }
    }

    /// Rules of ours in chains that we no longer write to.
    fn left_over(&self) -> Vec<String> {
        let foreign = self.present.chains().filter(|name| {
            let own = name.starts_with(OWN);
            !own && !self.is_wanted(name)
        });
        let ours = foreign.flat_map(|name| self.ours(name, false).collect::<Vec<_>>());
        ours.map(deleted).collect()
    }

    fn put(&self, chain: &Chain) -> Vec<String> {
        let lines = chain.lines().into_iter();
        let first = self.first_place(chain.name);
        match chain.place {
            Place::Alone | Place::Last => lines.collect(),
            Place::First => (first..)
                .zip(lines)
                .filter_map(|(at, line)| inserted(chain.name, at, &line))
                .collect(),
        }
    }

    /// The administrator's chain stays before our rules.
    fn first_place(&self, chain: &str) -> usize {
        if chain != "FORWARD" {
            return 1;
        }
        let foreign = self.present.rules(chain).filter(|line| !is_marked(line));
        let jump = foreign
            .into_iter()
            .position(|line| line == administrators_jump());
        jump.map_or(2, |before| before + 2)
    }

    fn administrators_jump(&self) -> Option<String> {
        let wanted = self.is_wanted("FORWARD");
        let missing = self
            .present
            .rules("FORWARD")
            .all(|line| line != administrators_jump());
        (wanted && missing).then(|| format!("-I FORWARD 1 -j {ADMINISTRATORS}"))
    }

    /// Docker's chains that nobody else uses, once we do not.
    fn empty_chains(&self) -> impl Iterator<Item = &'static str> + '_ {
        let were_here = self
            .present
            .chains()
            .any(|name| self.present.rules(name).any(is_marked));
        let here = DERIVED
            .iter()
            .filter(move |(table, _)| were_here && *table == self.name);
        let unwanted = here
            .map(|(_, chain)| *chain)
            .filter(|chain| !self.is_wanted(chain));
        unwanted.filter(|chain| {
            self.present.has_chain(chain)
                && self.present.rules(chain).all(is_marked)
                && !self.present.is_used_by_others(chain)
        })
    }
}

fn administrators_jump() -> String {
    format!("-A FORWARD -j {ADMINISTRATORS}")
}

fn deleted(line: &str) -> String {
    line.replacen("-A ", "-D ", 1)
}

fn inserted(chain: &str, at: usize, line: &str) -> Option<String> {
    let rest = line.strip_prefix(&format!("-A {chain} "))?;
    Some(format!("-I {chain} {at} {rest}"))
}

/// The one protocol of ours that the programs name by a file of the host.
fn normal(line: &str) -> String {
    line.replace(" -p igmp ", " -p 2 ")
}

#[cfg(test)]
mod tests {
    use hakone_policy::Topology;

    use super::*;

    fn none() -> Vec<Table> {
        hakone_iptables_model::compile(&Topology::default()).v4
    }

    fn script(text: &str, wanted: &[Table]) -> Option<String> {
        replace(&Saved::parse(text), wanted, Forward::AsItIs)
    }

    /// Plays a restore into a listing, as far as these tests need it.
    fn listing(tables: &[Table]) -> String {
        let table = |table: &Table| {
            let chains = table.chains.iter();
            let names = chains
                .clone()
                .map(|chain| format!(":{} - [0:0]", chain.name));
            let user = (table.name == "filter").then(administrators_jump);
            let rules = chains.flat_map(Chain::lines);
            let lines: Vec<String> = names.chain(user).chain(rules).collect();
            format!("*{}\n{}\nCOMMIT\n", table.name, lines.join("\n"))
        };
        tables.iter().map(table).collect()
    }

    #[test]
    fn tables_as_wanted_are_left_alone() {
        assert_eq!(script(&listing(&none()), &none()), None);
    }

    #[test]
    fn rules_of_others_are_no_business_of_ours() {
        let theirs = "-A DOCKER -s 10.9.9.9/32 -j DROP\n-A FORWARD -i wg0 -j ACCEPT\nCOMMIT\n*nat";
        let text = listing(&none()).replacen("COMMIT\n*nat", theirs, 1);
        assert_eq!(script(&text, &none()), None);
        let gone = script(&text, &[]).unwrap();
        assert!(
            !gone.contains("10.9.9.9") && !gone.contains("wg0"),
            "{gone}"
        );
        assert!(gone.contains("-X DOCKER-FORWARD") && !gone.contains("-X DOCKER-USER"));
    }

    #[test]
    fn our_rules_come_behind_the_administrators_chain() {
        let text = "*filter\n:FORWARD ACCEPT [0:0]\n:DOCKER-USER - [0:0]\n-A FORWARD -j LOG\n-A FORWARD -j DOCKER-USER\nCOMMIT\n";
        let script = script(text, &none()).unwrap();
        let jump = "-I FORWARD 3 -m comment --comment hakone -j DOCKER-FORWARD";
        assert!(script.contains(jump), "{script}");
    }

    #[test]
    fn a_chain_of_docker_that_others_use_stays() {
        let theirs = "-A DOCKER-ISOLATION-STAGE-1 -j RETURN\nCOMMIT\n*nat";
        let text = listing(&none()).replacen("COMMIT\n*nat", theirs, 1);
        let script = script(&text, &[]).unwrap();
        assert!(!script.contains("-X DOCKER-ISOLATION-STAGE-1"), "{script}");
    }
}
