//! The rule set as a value: tables, chains, sets and typed expressions of nftables.
//!
//! It is an intermediate form with three readers that must agree: [`Ruleset::verdict`] interprets it, `Display` prints it in
//! nft's language, and `host/nft` encodes it for the kernel. It holds what our rules need and nothing else; a new need is
//! a new variant, which the compiler then asks of all three.

use std::{borrow::Cow, collections::BTreeMap, fmt, net::IpAddr};

use hakone_base::{IfName, MacAddr, Protocol, Subnet};

use crate::topology::Moment;

/// The group of the kernel's log (`NFLOG`) that the flow log listens to.
pub const TELL_GROUP: u16 = 18_503;
/// How many bytes of a packet the flow log gets: its headers, of IPv6 with a few extensions.
pub const TELL_BYTES: u32 = 128;
/// How many keys packets of a whole host may add to a set. The kernel makes room for all of them at once, eight bytes each and more.
pub const DYNAMIC_SIZE: u32 = 65_535;

/// All tables of ours; nobody else's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The tables, each complete.
    pub tables: Vec<Table>,
}

/// A table: one family, its sets and its chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which packets its chains see.
    pub family: Family,
    /// Its name.
    pub name: Name,
    /// Its sets and maps, before the chains that look into them.
    pub sets: Vec<Set>,
    /// What comes and goes with policies; maps of the table lead there.
    pub groups: BTreeMap<Name, Group>,
    /// Its chains, in the order of a packet's road.
    pub chains: Vec<Chain>,
}

/// A chain that comes and goes, with the sets that it alone looks into: `NAME.set`, so that each is found by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The chain, of the group's name.
    pub chain: Chain,
    /// The words that tell of what reaches the chain's end, where policies are audited and nothing is dropped.
    pub audit: Option<String>,
    /// Its sets.
    pub sets: Vec<Set>,
}

/// The name of a table, chain or set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Cow<'static, str>);

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 and IPv6 as the host routes them.
    Inet,
    /// Frames as a bridge forwards them.
    Bridge,
}

/// A list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: Name,
    /// Where packets enter it; without, only a jump leads here.
    pub base: Option<Base>,
    /// Its rules, first to last.
    pub rules: Vec<Rule>,
}

/// Where a base chain hangs. The policy is always to accept: traffic that is not ours is not ours to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// What its rules may do.
    pub kind: ChainKind,
    /// The point of the packet's road.
    pub hook: Hook,
    /// The place among all chains of the hook; lower comes first.
    pub priority: i32,
}

/// What the rules of a base chain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// Judge every packet.
    Filter,
    /// Translate addresses; sees the first packet of each flow only.
    Nat,
}

/// A point of a packet's road through the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Received over the loopback, before all else (`ingress` of the device).
    Loopback,
    /// Received, not yet routed.
    Prerouting,
    /// Routed to the host itself.
    Input,
    /// Routed through the host.
    Forward,
    /// Made by the host.
    Output,
    /// About to leave.
    Postrouting,
}

/// A rule: expressions from left to right; one that does not match ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The expressions.
    pub expressions: Vec<Expression>,
    /// Why the rule is there, for whoever lists the rules.
    pub comment: &'static str,
}

/// A step of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Matches packets of one network protocol.
    IpFamily(IpFamily),
    /// Matches when the field has the value or lies in the prefix.
    Is(Field, Value),
    /// Matches when the set holds the fields.
    In(Vec<Field>, Name),
    /// Matches when the destination is an address of this host.
    LocalDestination,
    /// Matches when the source is an address of this host.
    LocalSource,
    /// Matches when connection tracking says one of these.
    State(&'static [State]),
    /// Matches when the flow's destination was translated: it came by a published port.
    Published,
    /// Matches the packet that begins a flow.
    Begins,
    /// Matches when the address has more flows than the number; the set remembers them.
    Crowded(Field, Name, u32),
    /// Matches as often as the pace allows for a value of the fields; the set remembers when it did.
    Paced(Vec<Field>, Name, Pace),
    /// Puts the values of the fields into the set, which forgets them by itself; goes on when it is full.
    Remember(Vec<Field>, Name),
    /// Tells the flow log of the packet, by these words.
    Tell(String),
    /// Counts the packet.
    Count,
    /// Ends with the action.
    Do(Action),
    /// Ends with the action that the map holds for the fields; goes on when it holds none.
    Look(Vec<Field>, Name),
    /// Sends the flow to the address and port that the map holds for the fields; goes on when it holds none.
    Redirect(IpFamily, Vec<Field>, Name),
    /// Gives a port of TCP or UDP another number; connection tracking, when it comes later, knows no other.
    SetPort(Protocol, Field, u16),
    /// Gives the flow the address of the interface it leaves by.
    Masquerade,
    /// Sends the frame to the Ethernet address that the map holds for the fields, as if its sender had meant this host; goes on
    /// when it holds none.
    Lead(Vec<Field>, Name),
}

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    /// So many times,
    pub times: u32,
    /// in such a time,
    pub each: Each,
    /// after so many at once.
    pub burst: u32,
}

/// The time in which a pace counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Each {
    /// A second.
    Second,
    /// A minute.
    Minute,
}

/// A network protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A property of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The name of the interface it came by.
    InputInterface,
    /// The name of the interface it leaves by.
    OutputInterface,
    /// The source address, when of this family.
    Source(IpFamily),
    /// The destination address, when of this family.
    Destination(IpFamily),
    /// The neighbour to which it goes next, when routed and of this family.
    NextHop(IpFamily),
    /// The number of its transport protocol.
    Protocol,
    /// The destination port of its transport header.
    DestinationPort,
    /// The source port of its transport header.
    SourcePort,
    /// The first five bytes of a frame's destination: enough to know the addresses that bridges keep for themselves.
    EtherGroup,
    /// The Ethernet address of a frame's sender.
    EtherSource,
    /// What a frame carries, as its Ethernet header says: a tagged one carries a tag.
    EtherType,
    /// The head of an ARP packet: hardware, protocol, and the lengths of their addresses.
    ArpFormat,
    /// The Ethernet address that an ARP packet claims.
    ArpEther,
    /// The IPv4 address that an ARP packet claims.
    ArpSource,
    /// The version and length of an IPv4 header.
    HeaderLength,
    /// The first four bits of the destination of an IPv4 header: fourteen for a group (RFC 1112).
    DestinationClass,
    /// The first four bytes of the options of an IPv4 header.
    FirstOption,
    /// Where in its packet an IPv4 fragment lies; zero for a whole one and a first fragment.
    FragmentOffset,
    /// The same of an IPv6 fragment, behind the IPv6 header.
    FragmentOffset6,
    /// What follows the IPv6 header.
    NextHeader,
    /// What follows the header behind the IPv6 header.
    InnerHeader,
    /// The same and the length of that header, which is eight bytes when zero.
    InnerHead,
    /// The ICMPv6 type behind a header of eight bytes.
    InnerType,
    /// The address that a neighbour solicitation or advertisement is about.
    NeighbourTarget,
    /// To whom the packet was that an error message is about, as the error tells it.
    Reported(IpFamily),
    /// The type of an IGMP message.
    IgmpType,
    /// The type of an ICMP message.
    IcmpType,
    /// The type of an ICMPv6 message.
    Icmp6Type,
    /// Which of FIN, SYN, RST and ACK a TCP segment has.
    TcpFlags,
}

/// The type of a field or of one part of a set's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// An interface name.
    IfName,
    /// An address of the family.
    Address(IpFamily),
    /// A transport protocol.
    Protocol,
    /// A port.
    Port,
    /// An Ethernet address.
    Ether,
    /// A type of ICMPv6 message.
    Icmp6Type,
    /// An address at a place for which nft has no name.
    Target(IpFamily),
    /// So many bytes, for which nft has no type.
    Raw(u8),
}

/// A constant of some [`Type`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// An interface name.
    IfName(IfName),
    /// An address.
    Address(IpAddr),
    /// All addresses of a prefix.
    Prefix(Subnet),
    /// A transport protocol by its number.
    Protocol(u8),
    /// A port.
    Port(u16),
    /// Transport protocols from the first number to the last.
    Protocols(u8, u8),
    /// Ports from the first to the last.
    Ports(u16, u16),
    /// All interface names with this beginning.
    Stem(IfName),
    /// An Ethernet address.
    Ether(MacAddr),
    /// A type of ICMPv6 message.
    Icmp6Type(u8),
    /// An address at a place for which nft has no name.
    Target(IpAddr),
    /// Bytes as they stand on the wire.
    Raw(Vec<u8>),
}

/// What connection tracking knows of a packet's flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The first packet of a flow.
    New,
    /// A packet of a known flow.
    Established,
    /// An error report or helper flow that belongs to a known one.
    Related,
    /// Makes no sense in any known flow.
    Invalid,
    /// Not tracked, such as neighbour discovery.
    Untracked,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leaves this base chain unharmed; other tables may still object.
    Accept,
    /// Ends here for good.
    Drop,
    /// Goes back to the calling chain.
    Return,
    /// Passes the chain, then comes back.
    Jump(Name),
    /// Passes the chain and does not come back.
    Goto(Name),
}

/// A set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: Name,
    /// The types of its key's parts.
    pub key: Vec<Type>,
    /// Whether keys are prefixes and ranges rather than single values.
    pub intervals: bool,
    /// How many keys packets may add to it, if they may: then what it holds is not ours to say.
    pub dynamic: Option<u32>,
    /// After how many seconds an element that no packet added again is forgotten.
    pub timeout: Option<u32>,
    /// What it holds.
    pub elements: Elements,
}

/// A key of a set: one value for each part.
pub type Key = Vec<Value>;

/// The contents of a set, in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elements {
    /// Keys alone.
    Keys(BTreeMap<Key, ()>),
    /// Keys that the kernel forgets by itself, at these moments.
    Timed(BTreeMap<Key, Moment>),
    /// Keys with actions.
    Actions(BTreeMap<Key, Action>),
    /// Keys with an address and port of the family.
    Targets(IpFamily, BTreeMap<Key, Target>),
    /// Keys with an Ethernet address.
    Ethers(BTreeMap<Key, MacAddr>),
}

/// Where a published port leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The container's address.
    pub address: IpAddr,
    /// The container's port.
    pub port: u16,
}

impl Ruleset {
    /// Finds a table.
    #[must_use]
    pub fn table(&self, family: Family, name: &Name) -> Option<&Table> {
        let mut tables = self.tables.iter();
        tables.find(|table| table.family == family && table.name == *name)
    }
}

/// How many groups of endpoints policies may come to.
pub const MOST_GROUPS: usize = 16_384;
/// How many entries all their sets may have.
pub const MOST_ENTRIES: usize = 500_000;

impl Ruleset {
    /// Counts the groups that policies come to, and the entries of their sets.
    #[must_use]
    pub fn of_policies(&self) -> (usize, usize) {
        let groups = || self.tables.iter().flat_map(|table| table.groups.values());
        let sets = groups().flat_map(|group| &group.sets);
        (groups().count(), sets.map(|set| set.elements.len()).sum())
    }

    /// Gives the rules without those that count flows, for a kernel that cannot (`nft_connlimit`).
    #[must_use]
    pub fn without_quotas(mut self) -> Self {
        let counts = |rule: &Rule| rule.expressions.iter().any(|one| counted_in(one).is_some());
        for table in &mut self.tables {
            let rules = table.chains.iter().flat_map(|chain| &chain.rules);
            let counted = rules.flat_map(|rule| &rule.expressions);
            let counted: Vec<Name> = counted.filter_map(counted_in).cloned().collect();
            table.sets.retain(|set| !counted.contains(&set.name));
            for chain in &mut table.chains {
                chain.rules.retain(|rule| !counts(rule));
            }
        }
        self
    }
}

/// Gives the set in which an expression counts flows.
const fn counted_in(expression: &Expression) -> Option<&Name> {
    match expression {
        Expression::Crowded(_, set, _) => Some(set),
        _ => None,
    }
}

impl Table {
    /// Finds a chain.
    #[must_use]
    pub fn chain(&self, name: &Name) -> Option<&Chain> {
        let of_group = || self.groups.get(name).map(|group| &group.chain);
        let mut chains = self.chains.iter();
        chains.find(|chain| chain.name == *name).or_else(of_group)
    }

    /// Finds a set or map.
    #[must_use]
    pub fn set(&self, name: &Name) -> Option<&Set> {
        let sets = match self.groups.get(&name.group()) {
            Some(group) => &group.sets,
            None => &self.sets,
        };
        sets.iter().find(|set| set.name == *name)
    }

    /// Finds a set or map, to change what it holds.
    pub(crate) fn set_mut(&mut self, name: &Name) -> Option<&mut Set> {
        let sets = match self.groups.get_mut(&name.group()) {
            Some(group) => &mut group.sets,
            None => &mut self.sets,
        };
        sets.iter_mut().find(|set| set.name == *name)
    }

    /// Gives all sets and maps, those of groups too.
    pub fn all_sets(&self) -> impl Iterator<Item = &Set> {
        let of_groups = self.groups.values().flat_map(|group| &group.sets);
        self.sets.iter().chain(of_groups)
    }
}

impl Name {
    /// Gives the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// Gives what stands before the dot: the group of a set, if it has one.
    fn group(&self) -> Self {
        let text = self.0.split_once('.').map_or("", |(group, _)| group);
        Self(Cow::Owned(text.to_owned()))
    }
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl From<&IfName> for Name {
    fn from(name: &IfName) -> Self {
        Self(Cow::Owned(name.to_string()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Rule {
    /// Lets the rule go on with an action.
    pub(crate) fn then(mut self, action: Action) -> Self {
        self.expressions.push(Expression::Do(action));
        self
    }

    /// Reports whether nft's language has a place for the comment: none behind a translation through a map.
    #[must_use]
    pub fn shows_comment(&self) -> bool {
        let redirect = |expression: &Expression| matches!(expression, Expression::Redirect(..));
        !self.comment.is_empty() && !self.expressions.iter().any(redirect)
    }
}

impl Field {
    /// Gives the type of its values.
    #[must_use]
    pub const fn kind(self) -> Type {
        match self {
            Self::InputInterface | Self::OutputInterface => Type::IfName,
            Self::Source(family) | Self::Destination(family) | Self::NextHop(family) => {
                Type::Address(family)
            }
            Self::ArpSource => Type::Address(IpFamily::V4),
            Self::Protocol | Self::NextHeader => Type::Protocol,
            Self::DestinationPort | Self::SourcePort => Type::Port,
            Self::EtherSource | Self::ArpEther => Type::Ether,
            Self::Icmp6Type => Type::Icmp6Type,
            Self::NeighbourTarget => Type::Target(IpFamily::V6),
            Self::Reported(family) => Type::Target(family),
            Self::EtherGroup => Type::Raw(5),
            Self::EtherType | Self::InnerHead | Self::FragmentOffset | Self::FragmentOffset6 => {
                Type::Raw(2)
            }
            Self::ArpFormat => Type::Raw(6),
            Self::FirstOption => Type::Raw(4),
            Self::HeaderLength
            | Self::DestinationClass
            | Self::InnerHeader
            | Self::InnerType
            | Self::IgmpType
            | Self::IcmpType
            | Self::TcpFlags => Type::Raw(1),
        }
    }
}

impl Field {
    /// Gives the bits of a field that count, when not all of its bytes do.
    #[must_use]
    pub const fn bits(self) -> Option<&'static [u8]> {
        match self {
            Self::FragmentOffset => Some(&[0x1f, 0xff]),
            Self::FragmentOffset6 => Some(&[0xff, 0xf8]),
            Self::DestinationClass => Some(&[0xf0]),
            Self::TcpFlags => Some(&[0x17]),
            _ => None,
        }
    }
}

impl Each {
    /// Gives it in seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
        }
    }
}

impl IpFamily {
    /// Tells the family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl From<Protocol> for Value {
    fn from(protocol: Protocol) -> Self {
        Self::Protocol(protocol.number())
    }
}

impl Elements {
    /// Counts the elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Keys(keys) => keys.len(),
            Self::Timed(keys) => keys.len(),
            Self::Actions(actions) => actions.len(),
            Self::Targets(_, targets) => targets.len(),
            Self::Ethers(ethers) => ethers.len(),
        }
    }

    /// Reports whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
