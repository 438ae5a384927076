//! Prints a rule set in nft's language, for people and for `nft --check`.

use std::{
    fmt::{self, Display, Formatter},
    net::IpAddr,
};

use crate::ruleset::{
    Action, Base, Chain, ChainKind, Each, Elements, Expression, Family, Field, Hook, IpFamily, Key,
    Pace, Rule, Ruleset, Set, State, TELL_BYTES, TELL_GROUP, Table, Target, Type, Value,
};

impl Display for Ruleset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.tables.iter().try_for_each(|table| table.fmt(f))
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {} {} {{", self.family, self.name)?;
        self.sets.iter().try_for_each(|set| set.fmt(f))?;
        for group in self.groups.values() {
            group.sets.iter().try_for_each(|set| set.fmt(f))?;
            group.chain.fmt(f)?;
        }
        self.chains.iter().try_for_each(|chain| chain.fmt(f))?;
        writeln!(f, "}}")
    }
}

impl Display for Set {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match self.elements {
            Elements::Keys(_) | Elements::Timed(_) => "set",
            Elements::Actions(_) | Elements::Targets(..) | Elements::Ethers(_) => "map",
        };
        writeln!(f, "\t{kind} {} {{", self.name)?;
        match self.key.as_slice() {
            // nft has no type for the place, so the text names the places themselves.
            [.., Type::Target(family)] => {
                let place = match family {
                    IpFamily::V4 => Field::Reported(IpFamily::V4),
                    IpFamily::V6 => Field::NeighbourTarget,
                };
                write!(f, "\t\ttypeof iifname . ether saddr . {place}")?;
            }
            key => write!(f, "\t\ttype {}", joined(key))?,
        }
        match self.elements {
            Elements::Keys(_) | Elements::Timed(_) => writeln!(f)?,
            Elements::Actions(_) => writeln!(f, " : verdict")?,
            Elements::Targets(family, _) => {
                writeln!(f, " : {} . {}", Type::Address(family), Type::Port)?;
            }
            Elements::Ethers(_) => writeln!(f, " : {}", Type::Ether)?,
        }
        if self.intervals {
            writeln!(f, "\t\tflags interval")?;
        }
        match (self.dynamic, self.timeout) {
            (Some(size), Some(seconds)) => writeln!(
                f,
                "\t\tsize {size}\n\t\tflags dynamic,timeout\n\t\ttimeout {seconds}s"
            )?,
            (Some(size), None) => writeln!(f, "\t\tsize {size}\n\t\tflags dynamic")?,
            (None, _) => {}
        }
        if !self.elements.is_empty() {
            writeln!(f, "\t\telements = {{\n{}\n\t\t}}", self.elements)?;
        }
        writeln!(f, "\t}}\n")
    }
}

impl Display for Elements {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let key = |key: &Key| format!("\t\t\t{}", joined(key));
        let lines: Vec<String> = match self {
            Self::Keys(keys) => keys.keys().map(key).collect(),
            Self::Timed(keys) => keys.keys().map(key).collect(),
            Self::Actions(map) => map
                .iter()
                .map(|(k, v)| format!("{} : {v}", key(k)))
                .collect(),
            Self::Targets(_, map) => map
                .iter()
                .map(|(k, v)| format!("{} : {v}", key(k)))
                .collect(),
            Self::Ethers(map) => map
                .iter()
                .map(|(k, v)| format!("{} : {v}", key(k)))
                .collect(),
        };
        f.write_str(&lines.join(",\n"))
    }
}

impl Display for Chain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\tchain {} {{", self.name)?;
        if let Some(base) = &self.base {
            writeln!(f, "\t\t{base}")?;
        }
        self.rules
            .iter()
            .try_for_each(|rule| writeln!(f, "\t\t{rule}"))?;
        writeln!(f, "\t}}\n")
    }
}

impl Display for Base {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (kind, hook, priority) = (self.kind, self.hook, self.priority);
        write!(
            f,
            "type {kind} hook {hook} priority {priority}; policy accept;"
        )
    }
}

impl Display for Rule {
    /// nft takes no comment behind a translation through a map.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&joined_by(" ", &self.expressions))?;
        match self.shows_comment() {
            true => write!(f, " comment \"{}\"", self.comment),
            false => Ok(()),
        }
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::IpFamily(IpFamily::V4) => f.write_str("meta nfproto ipv4"),
            Self::IpFamily(IpFamily::V6) => f.write_str("meta nfproto ipv6"),
            Self::Is(field, value) => write!(f, "{field} {value}"),
            Self::In(fields, set) => write!(f, "{} @{set}", joined(fields)),
            Self::LocalDestination => f.write_str("fib daddr type local"),
            Self::LocalSource => f.write_str("fib saddr type local"),
            Self::State(states) => {
                let states: Vec<_> = states.iter().map(State::to_string).collect();
                write!(f, "ct state {}", states.join(","))
            }
            Self::Published => f.write_str("ct status dnat"),
            Self::Begins => f.write_str("ct state new ct status ! confirmed"),
            Self::Crowded(field, set, number) => {
                write!(f, "add @{set} {{ {field} ct count over {number} }}")
            }
            Self::Paced(fields, set, pace) => {
                write!(
                    f,
                    "update @{set} {{ {} limit rate {pace} }}",
                    joined(fields)
                )
            }
            Self::Remember(fields, set) => write!(f, "add @{set} {{ {} }}", joined(fields)),
            Self::Tell(words) => write!(
                f,
                "log prefix \"{words}\" group {TELL_GROUP} snaplen {TELL_BYTES}"
            ),
            Self::Count => f.write_str("counter"),
            Self::Do(action) => action.fmt(f),
            Self::Look(fields, map) => write!(f, "{} vmap @{map}", joined(fields)),
            Self::Redirect(family, fields, map) => {
                write!(
                    f,
                    "dnat {} to {} map @{map}",
                    header(*family),
                    joined(fields)
                )
            }
            Self::SetPort(protocol, field, port) => {
                let end = match field {
                    Field::SourcePort => "sport",
                    _ => "dport",
                };
                write!(f, "{protocol} {end} set {port}")
            }
            Self::Masquerade => f.write_str("masquerade"),
            Self::Lead(fields, map) => {
                let fields = joined(fields);
                write!(
                    f,
                    "ether daddr set {fields} map @{map} meta pkttype set host"
                )
            }
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputInterface => f.write_str("iifname"),
            Self::OutputInterface => f.write_str("oifname"),
            Self::Source(family) => write!(f, "{} saddr", header(*family)),
            Self::Destination(family) => write!(f, "{} daddr", header(*family)),
            Self::NextHop(family) => write!(f, "rt {} nexthop", header(*family)),
            Self::Protocol => f.write_str("meta l4proto"),
            Self::DestinationPort => f.write_str("th dport"),
            Self::SourcePort => f.write_str("th sport"),
            Self::EtherGroup => f.write_str("@ll,0,40"),
            Self::EtherSource => f.write_str("ether saddr"),
            Self::EtherType => f.write_str("ether type"),
            Self::ArpFormat => f.write_str("@nh,0,48"),
            Self::ArpEther => f.write_str("arp saddr ether"),
            Self::ArpSource => f.write_str("arp saddr ip"),
            Self::HeaderLength => f.write_str("@nh,0,8"),
            Self::DestinationClass => f.write_str("@nh,128,8 & 0xf0 =="),
            Self::FirstOption => f.write_str("@nh,160,32"),
            Self::FragmentOffset => f.write_str("@nh,51,13"),
            Self::FragmentOffset6 => f.write_str("@nh,336,13"),
            Self::NextHeader => f.write_str("ip6 nexthdr"),
            Self::InnerHeader => f.write_str("@nh,320,8"),
            Self::InnerHead => f.write_str("@nh,320,16"),
            Self::InnerType => f.write_str("@nh,384,8"),
            Self::NeighbourTarget => f.write_str("@nh,384,128"),
            Self::Reported(IpFamily::V4) => f.write_str("@th,192,32"),
            Self::Reported(IpFamily::V6) => f.write_str("@th,256,128"),
            Self::IgmpType | Self::IcmpType => f.write_str("@th,0,8"),
            Self::Icmp6Type => f.write_str("icmpv6 type"),
            Self::TcpFlags => f.write_str("tcp flags & (fin | syn | rst | ack) =="),
        }
    }
}

impl Display for Pace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let each = match self.each {
            Each::Second => "second",
            Each::Minute => "minute",
        };
        write!(f, "{}/{each} burst {} packets", self.times, self.burst)
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IfName => "ifname",
            Self::Address(IpFamily::V4) => "ipv4_addr",
            Self::Address(IpFamily::V6) => "ipv6_addr",
            Self::Protocol => "inet_proto",
            Self::Port => "inet_service",
            Self::Ether => "ether_addr",
            Self::Icmp6Type => "icmpv6_type",
            Self::Target(_) | Self::Raw(_) => "integer",
        })
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::IfName(name) => write!(f, "\"{name}\""),
            Self::Address(address) => address.fmt(f),
            Self::Prefix(subnet) => subnet.fmt(f),
            Self::Protocol(number) | Self::Icmp6Type(number) => number.fmt(f),
            Self::Port(port) => port.fmt(f),
            Self::Protocols(first, last) => range(f, first, last),
            Self::Ports(first, last) => range(f, first, last),
            Self::Stem(stem) => write!(f, "\"{stem}*\""),
            Self::Ether(address) => address.fmt(f),
            Self::Target(IpAddr::V4(address)) => hexadecimal(&address.octets(), f),
            Self::Target(IpAddr::V6(address)) => hexadecimal(&address.octets(), f),
            Self::Raw(bytes) => hexadecimal(bytes, f),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} . {}", self.address, self.port)
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Established => "established",
            Self::Related => "related",
            Self::Invalid => "invalid",
            Self::Untracked => "untracked",
        })
    }
}

impl Display for Family {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Bridge => "bridge",
        })
    }
}

impl Display for ChainKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        })
    }
}

impl Display for Hook {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "ingress device \"lo\"",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        })
    }
}

/// Whoever looks for one value finds no range of one.
fn range<T: Display + PartialEq>(f: &mut Formatter<'_>, first: &T, last: &T) -> fmt::Result {
    match first == last {
        true => first.fmt(f),
        false => write!(f, "{first}-{last}"),
    }
}

fn hexadecimal(bytes: &[u8], f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("0x")?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn header(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "ip",
        IpFamily::V6 => "ip6",
    }
}

fn joined<T: Display>(parts: &[T]) -> String {
    joined_by(" . ", parts)
}

fn joined_by<T: Display>(separator: &str, parts: &[T]) -> String {
    let parts: Vec<String> = parts.iter().map(T::to_string).collect();
    parts.join(separator)
}
