//! The rule set as iptables says it: the back end for hosts that want every rule where their administrators look.
//!
//! The same topology as for nftables, held to the same intent by the same kind of property test; what packets may do does not
//! depend on the back end. Chains that Docker's users know carry Docker's names, and in those our rules are marked, for others
//! write there too ([`MARK`]); what Docker has no chain for stands in chains of our own ([`OWN`]). Frames stay with nftables:
//! iptables does not see them (docs/decisions/0017-iptables-back-end.md). `host/iptables` brings the value into the kernel.

mod compile;
mod print;
mod simulate;
mod tell;

use hakone_base::{IfName, Subnet};
use hakone_policy::ruleset::{State, Target as Address};

pub use compile::compile;

/// How the names of chains begin that hold nothing but rules of ours.
pub const OWN: &str = "HAKONE-";

/// The comment by which our rules are known in chains where others write, too.
pub const MARK: &str = "hakone";

/// The administrator's chain: FORWARD leads there first, and nothing of ours stands in it.
pub const ADMINISTRATORS: &str = "DOCKER-USER";

/// All rules of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// The tables of IPv4.
    pub v4: Vec<Table>,
    /// The tables of IPv6; none when IPv6 is not ours to judge.
    pub v6: Vec<Table>,
}

/// One of the tables that iptables has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name: `raw`, `mangle`, `nat` or `filter`.
    pub name: &'static str,
    /// Its chains as far as they are ours.
    pub chains: Vec<Chain>,
}

/// A chain, or our part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: &'static str,
    /// Where in the chain our rules stand.
    pub place: Place,
    /// Our rules, first to last.
    pub rules: Vec<Rule>,
}

/// Where in a chain our rules stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The chain is ours alone.
    Alone,
    /// Before those of others.
    First,
    /// Behind those of others.
    Last,
}

/// A rule: all matches hold, then the target is hit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// What must hold of a packet.
    pub matches: Vec<Match>,
    /// What becomes of it then.
    pub target: Target,
}

/// What holds of a packet; in the order in which iptables lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// It comes from an address of the prefix.
    Source(Subnet),
    /// It goes to an address of the prefix.
    Destination(Subnet),
    /// It goes to an address outside of the prefix.
    NotDestination(Subnet),
    /// It came by the interface.
    Input(IfName),
    /// It came by another interface, or was made here.
    NotInput(IfName),
    /// It came by an interface whose name begins so.
    InputStem(IfName),
    /// It leaves by the interface.
    Output(IfName),
    /// It leaves by another interface.
    NotOutput(IfName),
    /// It is of the transport protocol.
    Protocol(u8),
    /// It goes to the port of the transport protocol.
    ToPort(u8, u16),
    /// It comes from the port of the transport protocol.
    FromPort(u8, u16),
    /// Its destination is an address of this host.
    ToHost,
    /// Its source is no address of this host.
    FromElsewhere,
    /// Connection tracking says one of these of it.
    State(States),
    /// Its flow's destination was translated, or was not.
    Published(bool),
    /// Its sender, so many bits of its address, has more flows than the number.
    Crowded(u32, u8),
    /// Not more was told of its sender lately than the flow log is to hear.
    Paced,
}

/// The states of flows that rules ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum States {
    /// It begins a flow.
    New,
    /// It belongs to a flow that was let through.
    Known,
    /// It fits no flow.
    Invalid,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Leaves this table unharmed.
    Accept,
    /// Ends here for good.
    Drop,
    /// Goes back to the calling chain.
    Return,
    /// Passes the chain, then comes back.
    Jump(&'static str),
    /// Passes the chain, then goes back to where this one was called.
    Goto(&'static str),
    /// Goes to another address and port, with all of its flow.
    Lead(Led),
    /// Is told to the flow log with these words, and goes on.
    Tell(&'static str),
    /// Gets the address of the interface it leaves by, with all of its flow.
    Masquerade,
}

/// Where a published port leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Led {
    /// The container's address.
    pub address: std::net::IpAddr,
    /// The container's port.
    pub port: u16,
}

impl Tables {
    /// Gives the tables of a family.
    #[must_use]
    pub fn family(&self, ipv6: bool) -> &[Table] {
        match ipv6 {
            false => &self.v4,
            true => &self.v6,
        }
    }

    /// Gives the rules without those that count flows, for a kernel that cannot (`xt_connlimit`).
    #[must_use]
    pub fn without_quotas(mut self) -> Self {
        let counts = |rule: &Rule| {
            rule.matches
                .iter()
                .any(|one| matches!(one, Match::Crowded(..)))
        };
        let tables = self.v4.iter_mut().chain(&mut self.v6);
        for chain in tables.flat_map(|table| &mut table.chains) {
            chain.rules.retain(|rule| !counts(rule));
        }
        self
    }
}

impl Chain {
    /// Reports whether the chain holds nothing but rules of ours.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.place == Place::Alone
    }
}

impl States {
    const fn cover(self, state: State) -> bool {
        match self {
            Self::New => matches!(state, State::New),
            Self::Known => matches!(state, State::Established | State::Related),
            Self::Invalid => matches!(state, State::Invalid),
        }
    }
}

impl From<Address> for Led {
    fn from(target: Address) -> Self {
        Self {
            address: target.address,
            port: target.port,
        }
    }
}
