//! Policies as labels: `dev.hakone.ingress` and `dev.hakone.egress` of a container, on the command line and in Compose.
//!
//! ```text
//! value    = "none" | rule { "," rule }
//! rule     = peer [ ":" ports ]
//! peer     = "*"                      anybody
//!          | NAME                     a service or container of the same namespace
//!          | "./*"                    everybody of the same namespace
//!          | NAMESPACE "/" NAME       a service or container of another namespace
//!          | NAMESPACE "/*"           everybody of another namespace
//!          | KEY "=" VALUE            who has the label, in the same namespace
//!          | IPV4 [ "/" LENGTH ] | "[" IPV6 [ "/" LENGTH ] "]"
//!          | DOMAIN | "*." DOMAIN     other machines by name, in egress; DOMAIN has a dot, and may be a container's NAME too
//! ports    = ( PORT [ "-" PORT ] | "*" ) [ "/" ( "tcp" | "udp" | "sctp" ) ]
//! ```
//! A label closes its direction for its own container; `none` opens nothing. A word that the grammar does not know refuses the
//! container, for a label that is misread would open or close what nobody meant.

use std::net::IpAddr;

use hakone_base::{ContainerId, DomainPattern, Protocol, Subnet};
use ipnet::IpNet;

use crate::{
    Labels, NAMESPACE_NAME, Requirement, Selector,
    identity::CONTAINER,
    policy::{Block, Mode, Peer, Peers, Policy, PortRange, Ports, Rule},
};

/// The label that says who may reach a container.
pub const INGRESS: &str = "dev.hakone.ingress";
/// The label that says whom a container may reach.
pub const EGRESS: &str = "dev.hakone.egress";
/// The label, and the annotation of a document, that says what a policy does with what it does not let through.
pub const MODE: &str = "dev.hakone.policy-mode";
/// The label by which Compose names a service.
const SERVICE: &str = "com.docker.compose.service";
/// The annotation of a document that opens egress to other machines by their names.
pub const EGRESS_NAMES: &str = "dev.hakone.egress-names";
/// The longest value.
const LONGEST: usize = 16 * 1024;

/// Reads the policy that a container's labels state; `None` when they state none. It is known by `namespace` and by the
/// container's short id.
///
/// # Errors
/// Says which label has a word that the grammar does not know.
pub fn of_labels(
    container: &ContainerId,
    namespace: &str,
    labels: &Labels,
) -> Result<Option<Policy>, String> {
    let read = |key| labels.get(key).map(|text| value(key, text)).transpose();
    let (ingress, egress) = (read(INGRESS)?, read(EGRESS)?);
    let mode = mode(labels)?;
    if ingress.is_none() && egress.is_none() {
        return Ok(None);
    }
    Ok(Some(Policy {
        mode,
        ingress,
        egress,
        ..Policy::closed(container, namespace)
    }))
}

/// Reports whether the labels of a container state what can be read.
///
/// # Errors
/// Says which label has a word that the grammar does not know.
pub fn check_labels(labels: &Labels) -> Result<(), String> {
    mode(labels)?;
    let mut stated = [INGRESS, EGRESS].into_iter();
    stated.try_for_each(|key| match labels.get(key) {
        Some(text) => value(key, text).map(drop),
        None => Ok(()),
    })
}

fn mode(labels: &Labels) -> Result<Mode, String> {
    let Some(word) = labels.get(MODE) else {
        return Ok(Mode::Enforce);
    };
    let unknown = || format!("label {MODE}: want enforce or audit, not {word:?}");
    Mode::named(word.trim()).ok_or_else(unknown)
}

/// Reads rules whose peers are names of other machines alone, as the annotation has them.
pub(crate) fn names(text: &str) -> Result<Vec<Rule>, String> {
    let rules = value(EGRESS, text)?;
    let each = text.split(',').map(str::trim).zip(rules);
    each.map(|(part, rule)| match rule.peers {
        Peers::These(mut peers) => {
            peers.retain(|peer| matches!(peer, Peer::Name(_)));
            let none =
                || format!("{part:?} is no name of another machine, such as *.example.org:443");
            let peers = Some(peers)
                .filter(|peers| !peers.is_empty())
                .ok_or_else(none)?;
            let peers = Peers::These(peers);
            Ok(Rule { peers, ..rule })
        }
        Peers::All => Err(format!("{part:?} is no name of another machine")),
    })
    .collect()
}

fn value(key: &str, text: &str) -> Result<Vec<Rule>, String> {
    if text.len() > LONGEST {
        return Err(format!("label {key} may have {LONGEST} bytes"));
    }
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    let parsed = text.split(',').map(|part| {
        let part = part.trim();
        rule(part, key).ok_or_else(|| {
            format!("label {key}: {part:?} is no rule, such as web:80 or 10.0.0.0/8:443/tcp")
        })
    });
    parsed.collect()
}

fn rule(text: &str, key: &str) -> Option<Rule> {
    let (peer, ports) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            let ports = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':')?),
            };
            (vec![address_block(address, true)?], ports)
        }
        None => {
            let (peer, ports) = match text.split_once(':') {
                Some((peer, ports)) => (peer, Some(ports)),
                None => (text, None),
            };
            (peers(peer, key)?, ports)
        }
    };
    Some(Rule {
        peers: match peer.is_empty() {
            true => Peers::All,
            false => Peers::These(peer),
        },
        ports: ports.map_or(Some(Ports::All), self::ports)?,
    })
}

/// Gives nobody in particular for `*`.
fn peers(text: &str, key: &str) -> Option<Vec<Peer>> {
    if text == "*" {
        return Some(Vec::new());
    }
    let name = text.parse::<DomainPattern>().ok().filter(|_| key == EGRESS);
    if let Some(name) = name {
        let own = word(text).map(|word| named(None, word));
        return Some([own.unwrap_or_default(), vec![Peer::Name(name)]].concat());
    }
    if let Some(block) = address_block(text, false) {
        return Some(vec![block]);
    }
    if let Some((key, value)) = text.split_once('=') {
        let fits = !key.is_empty() && !key.contains(char::is_whitespace);
        let labelled = Requirement::In(key.to_owned(), [value.to_owned()].into());
        return fits.then(|| vec![endpoints(None, vec![labelled])]);
    }
    match text.split_once('/') {
        None => Some(named(None, word(text)?)),
        Some((".", "*")) => Some(vec![endpoints(None, Vec::new())]),
        Some((namespace, "*")) => Some(vec![endpoints(elsewhere(namespace), Vec::new())])
            .filter(|_| word(namespace).is_some()),
        Some((namespace, name)) => Some(named(elsewhere(word(namespace)?).as_ref(), word(name)?)),
    }
}

/// Containers are known by their service as well as by their own name.
fn named(namespaces: Option<&Selector>, name: &str) -> Vec<Peer> {
    let by = |key: &str| Requirement::In(key.to_owned(), [name.to_owned()].into());
    [SERVICE, CONTAINER]
        .map(|key| endpoints(namespaces.cloned(), vec![by(key)]))
        .into()
}

fn endpoints(namespaces: Option<Selector>, requirements: Vec<Requirement>) -> Peer {
    Peer::Endpoints {
        namespaces,
        endpoints: Selector::new(requirements),
    }
}

fn elsewhere(namespace: &str) -> Option<Selector> {
    let own_name = Requirement::In(NAMESPACE_NAME.to_owned(), [namespace.to_owned()].into());
    Some(Selector::new(vec![own_name]))
}

/// What looks like an address and is none that can be used is a slip, and no name.
fn word(text: &str) -> Option<&str> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fits = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(known);
    (fits && text.parse::<IpAddr>().is_err()).then_some(text)
}

fn address_block(text: &str, ipv6: bool) -> Option<Peer> {
    let net: IpNet = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => text.parse().ok()?,
    };
    let is_like = net.addr().is_ipv6() == ipv6;
    is_like.then(|| {
        Peer::Block(Block {
            cidr: Subnet::new(net),
            except: Vec::new(),
        })
    })
}

fn ports(text: &str) -> Option<Ports> {
    let (numbers, protocol) = match text.split_once('/') {
        Some((numbers, protocol)) => (numbers, protocol_named(protocol)?),
        None => (text, Protocol::Tcp),
    };
    if numbers == "*" {
        return Some(Ports::These(vec![PortRange::all(protocol)]));
    }
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.parse().ok().filter(|port: &u16| *port > 0);
    let (first, last) = (number(first)?, number(last)?);
    let range = PortRange {
        protocol,
        first,
        last,
    };
    (first <= last).then(|| Ports::These(vec![range]))
}

fn protocol_named(text: &str) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .find(|protocol| protocol.as_str() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ingress: &str) -> Result<Vec<Rule>, String> {
        let container = ContainerId::from_bytes([1; 32]);
        let labels = Labels::from([(INGRESS.to_owned(), ingress.to_owned())]);
        let policy = of_labels(&container, "shop", &labels)?.unwrap();
        assert_eq!(policy.egress, None);
        Ok(policy.ingress.unwrap())
    }

    fn peers_of(ingress: &str) -> Peers {
        of(ingress).unwrap().remove(0).peers
    }

    #[test]
    fn without_labels_there_is_no_policy_and_none_opens_nothing() {
        let container = ContainerId::from_bytes([1; 32]);
        assert_eq!(of_labels(&container, "shop", &Labels::new()), Ok(None));
        assert_eq!(of("none"), Ok(Vec::new()));
    }

    #[test]
    fn each_peer_of_the_grammar_is_read() {
        assert_eq!(peers_of("*"), Peers::All);
        let Peers::These(web) = peers_of("web") else {
            panic!("some");
        };
        assert_eq!(web.len(), 2);
        let same = Peer::Endpoints {
            namespaces: None,
            endpoints: Selector::default(),
        };
        assert_eq!(peers_of("./*"), Peers::These(vec![same]));
        let text = |peers: Peers| match peers {
            Peers::All => "all".to_owned(),
            Peers::These(list) => match &list[0] {
                Peer::Block(block) => block.cidr.to_string(),
                Peer::Endpoints {
                    namespaces,
                    endpoints,
                } => format!("{} {endpoints}", namespaces.clone().unwrap_or_default()),
                Peer::Name(name) => name.to_string(),
            },
        };
        let rows = [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("[fd00::/8]:80", "fd00::/8"),
            ("[fd00::1]", "fd00::1/128"),
            ("tier=front", "all tier=front"),
            ("bank/*", "kubernetes.io/metadata.name=bank all"),
            (
                "bank/api:1-2",
                "kubernetes.io/metadata.name=bank com.docker.compose.service=api",
            ),
        ];
        for (label, wanted) in rows {
            assert_eq!(text(peers_of(label)), wanted, "{label}");
        }
    }

    #[test]
    fn names_of_other_machines_are_for_egress_alone() {
        let container = ContainerId::from_bytes([1; 32]);
        let egress = |text: &str| {
            let labels = Labels::from([(EGRESS.to_owned(), text.to_owned())]);
            of_labels(&container, "shop", &labels).map(|policy| policy.unwrap())
        };
        let names = |text: &str| -> Vec<String> {
            egress(text)
                .unwrap()
                .names()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(
            names("*.example.org:443, api.example.com, db:5432"),
            ["*.example.org", "api.example.com"]
        );
        assert!(egress("*.org").is_err() && of("*.example.org").is_err());
        // A container may be called so, too.
        let Peers::These(both) = egress("api.example.com")
            .unwrap()
            .egress
            .unwrap()
            .remove(0)
            .peers
        else {
            panic!("some");
        };
        assert_eq!(both.len(), 3);
        assert!(super::names("*.example.org:443").is_ok());
        assert!(super::names("db").is_err() && super::names("*:443").is_err());
    }

    #[test]
    fn ports_are_tcp_unless_they_say_otherwise() {
        let ports = |text: &str| of(text).unwrap().remove(0).ports;
        let these = |range| Ports::These(vec![range]);
        assert_eq!(ports("web"), Ports::All);
        assert_eq!(ports("web:80"), these(PortRange::one(Protocol::Tcp, 80)));
        assert_eq!(
            ports("web:53/udp"),
            these(PortRange::one(Protocol::Udp, 53))
        );
        assert_eq!(ports("web:*/udp"), these(PortRange::all(Protocol::Udp)));
        assert_eq!(of("web:80, api:81").unwrap().len(), 2);
        let range = PortRange {
            protocol: Protocol::Sctp,
            first: 80,
            last: 90,
        };
        assert_eq!(ports("[fd00::/8]:80-90/sctp"), these(range));
    }

    #[test]
    fn what_the_grammar_does_not_know_is_refused_and_named() {
        let bad = [
            "",
            "web,",
            "web:",
            "web:0",
            "web:80/",
            "web:80/icmp",
            "web:9-8",
            "web:http",
            "fd00::/8:80",
            "[10.0.0.0/8]",
            "[fd00::/8",
            "[fd00::/8]80",
            "10.0.0.0/33",
            "web site",
            "=x",
            "./web",
            "/web",
            "a/b/c",
            "**",
            "web:1-2-3",
            "none,web:80,none:x",
        ];
        for text in bad {
            let error = of(text).unwrap_err();
            assert!(error.contains(INGRESS), "{text}: {error}");
        }
    }
}
