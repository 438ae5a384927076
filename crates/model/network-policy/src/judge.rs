//! What policies make of a flow, and which of them decides: the meaning of it all, with no rule in sight.
//!
//! As Kubernetes publishes it: an endpoint that no policy selects for a direction is open in it; one that is selected is closed
//! but for the union of what the rules let through; a flow needs both ends' consent; replies need nobody's.

use std::net::IpAddr;

use crate::{
    Identity,
    policy::{Peer, Peers, Policy, PolicyKey, Rule},
};

/// A direction as the selected endpoint sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Towards it.
    Ingress,
    /// Away from it.
    Egress,
}

/// One end of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// Its address, as the receiver sees it, or after published ports were followed.
    pub address: IpAddr,
    /// Who it is; `None` for whoever is no endpoint of ours.
    pub identity: Option<&'a Identity>,
}

/// The first packet of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// Who begins.
    pub from: Party<'a>,
    /// Whom it reaches for.
    pub to: Party<'a>,
    /// The IANA number of the protocol.
    pub protocol: u8,
    /// The receiver's port; `None` for a protocol without.
    pub port: Option<u16>,
}

/// What policies say of one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement<'a> {
    /// No policy is about it.
    Open,
    /// This rule of this policy, counted from zero, lets it through; others may as well.
    Allowed(&'a PolicyKey, usize),
    /// These policies close it, and no rule of theirs lets it through.
    Denied(Vec<&'a PolicyKey>),
}

impl Judgement<'_> {
    /// Reports whether the flow may go on.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        !matches!(self, Self::Denied(_))
    }
}

/// Judges one direction of a flow by these policies, in their order.
#[must_use]
pub fn judge<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    direction: Direction,
    flow: &Flow<'_>,
) -> Judgement<'a> {
    let (subject, peer) = match direction {
        Direction::Ingress => (flow.to, flow.from),
        Direction::Egress => (flow.from, flow.to),
    };
    let Some(subject) = subject.identity else {
        return Judgement::Open;
    };
    let mut closing = Vec::new();
    for policy in policies {
        let Some(rules) = policy.rules(direction).filter(|_| policy.selects(subject)) else {
            continue;
        };
        let passes = |rule: &Rule| {
            rule.ports.contain(flow.protocol, flow.port)
                && rule.peers.mean(&policy.key.namespace, &peer)
        };
        if let Some(number) = rules.iter().position(passes) {
            return Judgement::Allowed(&policy.key, number);
        }
        closing.push(&policy.key);
    }
    match closing.is_empty() {
        true => Judgement::Open,
        false => Judgement::Denied(closing),
    }
}

impl Policy {
    /// Gives the rules of a direction; `None` when the policy leaves it alone.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

impl Peers {
    fn mean(&self, namespace: &str, party: &Party<'_>) -> bool {
        match self {
            Self::All => true,
            Self::These(peers) => peers.iter().any(|peer| peer.is(namespace, party)),
        }
    }
}

impl Peer {
    fn is(&self, namespace: &str, party: &Party<'_>) -> bool {
        match self {
            Self::Block(block) => block.contains(party.address),
            Self::Endpoints { .. } => party
                .identity
                .is_some_and(|identity| self.means(namespace, identity)),
        }
    }
}

#[cfg(test)]
mod tests {
    use hakone_base::{ContainerId, Protocol};

    use super::*;
    use crate::{Block, Facts, Ports, Selector, Subject, policy::PortRange};

    fn identity(number: u8, network: &str) -> Identity {
        Identity::of(Facts {
            container: &ContainerId::from_bytes([number; 32]),
            name: &format!("c{number}"),
            labels: &[("app".to_owned(), format!("a{number}"))].into(),
            network,
            network_labels: &crate::Labels::new(),
        })
    }

    fn policy(name: &str, ingress: Option<Vec<Rule>>) -> Policy {
        Policy {
            key: PolicyKey {
                namespace: "red".into(),
                name: name.into(),
            },
            subject: Subject::Selected(Selector::default()),
            ingress,
            egress: None,
        }
    }

    fn from_red_at_80() -> Rule {
        Rule {
            peers: Peers::These(vec![Peer::Endpoints {
                namespaces: None,
                endpoints: Selector::default(),
            }]),
            ports: Ports::These(vec![PortRange::one(Protocol::Tcp, 80)]),
        }
    }

    fn flow<'a>(from: Option<&'a Identity>, to: &'a Identity, port: u16) -> Flow<'a> {
        let party = |address: [u8; 4], identity| Party {
            address: address.into(),
            identity,
        };
        Flow {
            from: party([172, 18, 0, 2], from),
            to: party([172, 18, 0, 3], Some(to)),
            protocol: 6,
            port: Some(port),
        }
    }

    #[test]
    fn without_a_policy_everything_is_open_and_an_empty_one_denies_all() {
        let (a, b) = (identity(1, "red"), identity(2, "red"));
        let nobody = judge([], Direction::Ingress, &flow(Some(&a), &b, 80));
        assert_eq!(nobody, Judgement::Open);
        let deny = policy("deny", Some(Vec::new()));
        let denied = judge([&deny], Direction::Ingress, &flow(Some(&a), &b, 80));
        assert_eq!(denied, Judgement::Denied(vec![&deny.key]));
        let other_way = judge([&deny], Direction::Egress, &flow(Some(&a), &b, 80));
        assert_eq!(other_way, Judgement::Open);
    }

    #[test]
    fn policies_add_up() {
        let (a, b) = (identity(1, "red"), identity(2, "red"));
        let (deny, allow) = (
            policy("deny", Some(Vec::new())),
            policy("web", Some(vec![from_red_at_80()])),
        );
        let judged = |from, port| judge([&deny, &allow], Direction::Ingress, &flow(from, &b, port));
        assert_eq!(judged(Some(&a), 80), Judgement::Allowed(&allow.key, 0));
        assert!(!judged(Some(&a), 81).is_allowed());
        assert!(!judged(None, 80).is_allowed());
        let blue = identity(3, "blue");
        assert!(!judged(Some(&blue), 80).is_allowed());
        let elsewhere = judge([&deny], Direction::Ingress, &flow(Some(&a), &blue, 80));
        assert_eq!(elsewhere, Judgement::Open);
    }

    #[test]
    fn a_block_means_addresses_whoever_has_them() {
        let b = identity(2, "red");
        let block = Block {
            cidr: "172.18.0.0/16".parse().unwrap(),
            except: vec!["172.18.0.2/32".parse().unwrap()],
        };
        let rule = Rule {
            peers: Peers::These(vec![Peer::Block(block)]),
            ports: Ports::All,
        };
        let allow = policy("lan", Some(vec![rule]));
        let mut asked = flow(None, &b, 9);
        assert!(!judge([&allow], Direction::Ingress, &asked).is_allowed());
        asked.from.address = [172, 18, 9, 9].into();
        assert!(judge([&allow], Direction::Ingress, &asked).is_allowed());
        (asked.protocol, asked.port) = (1, None);
        assert!(judge([&allow], Direction::Ingress, &asked).is_allowed());
    }
}
