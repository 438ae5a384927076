//! Prints rules as `iptables-save` does, so that what stands can be compared with what is wanted.

use std::fmt::{Display, Formatter, Result};

use hakone_policy::ruleset::{TELL_BYTES, TELL_GROUP};

use crate::{Chain, Led, MARK, Match, Place, Rule, States, Tables, Target, tell::PACE};

impl Chain {
    /// Gives the chain's rules as `iptables-save` lists them, those among rules of others with our mark.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mark = match self.place {
            Place::Alone => "",
            Place::First | Place::Last => MARK,
        };
        let line = |rule: &Rule| line(self.name, rule, mark);
        self.rules.iter().map(line).collect()
    }
}

fn line(chain: &str, rule: &Rule, mark: &str) -> String {
    let mut matches: Vec<&Match> = rule.matches.iter().collect();
    matches.sort_by_key(|one| rank(one));
    let mut words = vec![format!("-A {chain}")];
    words.extend(matches.into_iter().map(Match::to_string));
    if !mark.is_empty() {
        words.push(format!("-m comment --comment {mark}"));
    }
    words.push(rule.target.to_string());
    words.join(" ")
}

/// Addresses first, then interfaces, then the protocol, then all the rest.
const fn rank(one: &Match) -> u8 {
    match one {
        Match::Source(_) => 0,
        Match::Destination(_) | Match::NotDestination(_) => 1,
        Match::Input(_) | Match::NotInput(_) | Match::InputStem(_) => 2,
        Match::Output(_) | Match::NotOutput(_) => 3,
        Match::Protocol(_) | Match::ToPort(..) | Match::FromPort(..) => 4,
        Match::ToHost
        | Match::FromElsewhere
        | Match::State(_)
        | Match::Published(_)
        | Match::Crowded(..)
        | Match::Paced => 5,
    }
}

impl Display for Match {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Source(prefix) => write!(f, "-s {prefix}"),
            Self::Destination(prefix) => write!(f, "-d {prefix}"),
            Self::NotDestination(prefix) => write!(f, "! -d {prefix}"),
            Self::Input(name) => write!(f, "-i {name}"),
            Self::NotInput(name) => write!(f, "! -i {name}"),
            Self::InputStem(stem) => write!(f, "-i {stem}+"),
            Self::Output(name) => write!(f, "-o {name}"),
            Self::NotOutput(name) => write!(f, "! -o {name}"),
            Self::Protocol(number) => write!(f, "-p {}", Protocol(*number)),
            Self::ToPort(number, port) => service(f, *number, "dport", *port),
            Self::FromPort(number, port) => service(f, *number, "sport", *port),
            Self::ToHost => f.write_str("-m addrtype --dst-type LOCAL"),
            Self::FromElsewhere => f.write_str("-m addrtype ! --src-type LOCAL"),
            Self::State(states) => write!(f, "-m conntrack --ctstate {states}"),
            Self::Published(true) => f.write_str("-m conntrack --ctstate DNAT"),
            Self::Published(false) => f.write_str("-m conntrack ! --ctstate DNAT"),
            Self::Crowded(quota, bits) => write!(
                f,
                "-m connlimit --connlimit-above {quota} --connlimit-mask {bits} --connlimit-saddr"
            ),
            Self::Paced => {
                let (times, burst) = PACE;
                write!(
                    f,
                    "-m hashlimit --hashlimit-upto {times}/sec --hashlimit-burst {burst} --hashlimit-mode srcip --hashlimit-name {MARK}"
                )
            }
        }
    }
}

fn service(f: &mut Formatter<'_>, number: u8, end: &str, port: u16) -> Result {
    let protocol = Protocol(number);
    write!(f, "-p {protocol} -m {protocol} --{end} {port}")
}

/// A protocol as iptables calls it without asking the host's files.
struct Protocol(u8);

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            1 => f.write_str("icmp"),
            6 => f.write_str("tcp"),
            17 => f.write_str("udp"),
            58 => f.write_str("ipv6-icmp"),
            132 => f.write_str("sctp"),
            number => number.fmt(f),
        }
    }
}

impl Display for States {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::New => "NEW",
            Self::Known => "RELATED,ESTABLISHED",
            Self::Invalid => "INVALID",
        })
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Accept => f.write_str("-j ACCEPT"),
            Self::Drop => f.write_str("-j DROP"),
            Self::Return => f.write_str("-j RETURN"),
            Self::Jump(chain) => write!(f, "-j {chain}"),
            Self::Goto(chain) => write!(f, "-g {chain}"),
            Self::Lead(led) => write!(f, "-j DNAT --to-destination {led}"),
            Self::Tell(words) => write!(
                f,
                "-j NFLOG --nflog-prefix {words} --nflog-group {TELL_GROUP} --nflog-size {TELL_BYTES}"
            ),
            Self::Masquerade => f.write_str("-j MASQUERADE"),
        }
    }
}

impl Display for Led {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        std::net::SocketAddr::new(self.address, self.port).fmt(f)
    }
}

impl Display for Tables {
    /// Both families as `iptables-save` would list them, for documents and snapshots.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (family, tables) in [("iptables", &self.v4), ("ip6tables", &self.v6)] {
            writeln!(f, "# {family}")?;
            for table in tables {
                writeln!(f, "*{}", table.name)?;
                let lines = table.chains.iter().flat_map(Chain::lines);
                lines
                    .into_iter()
                    .try_for_each(|line| writeln!(f, "{line}"))?;
            }
        }
        Ok(())
    }
}
