//! Makes rules tell the flow log what they drop, and changes nothing for any packet.
//!
//! The twin of what `policy` does for nftables: wherever a rule drops, a chain of its own takes over, which tells within a pace
//! for each sender and drops either way. So only what is dropped pays. The words told are the name of the chain that dropped,
//! as `iptables -L` shows it; what goes untold is the difference between the counters of such a chain's two rules.

use crate::{Chain, Match, Place, Rule, Table, Tables, Target, compile as names};

/// What one sender may have told of all refusals, as with nftables.
pub(crate) const PACE: (u16, u16) = (50, 100);

/// The chains that drop, each with the one that tells of it. A test finds every rule that drops here.
const REFUSALS: [(&str, &str); 12] = [
    (names::GUARD, "HAKONE-REFUSED-GUARD"),
    (names::HONEST, "HAKONE-REFUSED-HONEST"),
    (names::QUOTA, "HAKONE-REFUSED-QUOTA"),
    (names::INPUT, "HAKONE-REFUSED-INPUT"),
    (names::TO_HOST, "HAKONE-REFUSED-TO-HOST"),
    (names::METADATA, "HAKONE-REFUSED-METADATA"),
    (names::MEMBERS, "HAKONE-REFUSED-MEMBERS"),
    (names::HARDENED, "HAKONE-REFUSED-HARDENED"),
    (names::FORWARD, "HAKONE-REFUSED-FORWARD"),
    (names::STAGE_1, "HAKONE-REFUSED-STAGE-1"),
    (names::STAGE_2, "HAKONE-REFUSED-STAGE-2"),
    (names::DOCKER, "HAKONE-REFUSED-DOCKER"),
];

/// Gives rules that do the same and tell of it.
pub(crate) fn told(mut tables: Tables) -> Tables {
    for table in tables.v4.iter_mut().chain(&mut tables.v6) {
        tell_refusals(table);
    }
    tables
}

/// The chains that tell are there whether or not a rule leads to them now: they do not come and go with networks.
fn tell_refusals(table: &mut Table) {
    let mut refusals = Vec::new();
    for chain in &mut table.chains {
        let found = REFUSALS.iter().find(|(name, _)| *name == chain.name);
        if let Some((name, refusal)) = found.filter(|_| table.name != "nat") {
            redirect(chain, refusal);
            refusals.push(telling(name, refusal));
        }
    }
    table.chains.extend(refusals);
}

fn redirect(chain: &mut Chain, refusal: &'static str) {
    let drops = |rule: &&mut Rule| rule.target == Target::Drop;
    for rule in chain.rules.iter_mut().filter(drops) {
        rule.target = Target::Goto(refusal);
    }
}

fn telling(of: &'static str, name: &'static str) -> Chain {
    let rule = |matches, target| Rule { matches, target };
    Chain {
        name,
        place: Place::Alone,
        rules: vec![
            rule(vec![Match::Paced], Target::Tell(of)),
            rule(Vec::new(), Target::Drop),
        ],
    }
}
