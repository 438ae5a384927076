//! What policies make of a flow, and which of them decides: the meaning of it all, with no rule in sight.
//!
//! As Kubernetes publishes it: an endpoint that no policy selects for a direction is open in it; one that is selected is closed
//! but for the union of what the rules let through; a flow needs both ends' consent; replies need nobody's.
//!
//! A policy that is only audited closes nothing: where no enforced one closes the direction, a flow that it would not let
//! through passes, and is told. Where one does, it has no say, for more policies only open more.

use std::net::IpAddr;

use crate::{
    Identity,
    policy::{Mode, Peer, Peers, Policy, PolicyKey, Rule},
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
    /// The names for which the embedded resolver gave the other end this address.
    pub names: &'a [String],
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
    /// These policies would close it if they were enforced; it passes, and is told.
    Audited(Vec<&'a PolicyKey>),
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
    let about = |policy: &&Policy| policy.rules(direction).is_some() && policy.selects(subject);
    let (enforced, audited): (Vec<&Policy>, Vec<&Policy>) = policies
        .into_iter()
        .filter(about)
        .partition(|policy| policy.mode == Mode::Enforce);
    let (deciding, refused): (_, fn(Vec<&'a PolicyKey>) -> Judgement<'a>) =
        match (enforced.is_empty(), audited.is_empty()) {
            (true, true) => return Judgement::Open,
            (true, false) => (audited, Judgement::Audited),
            (false, _) => (enforced, Judgement::Denied),
        };
    let passing =
        |policy: &&'a Policy| Some((&policy.key, policy.passing(direction, flow, &peer)?));
    match deciding.iter().find_map(passing) {
        Some((key, rule)) => Judgement::Allowed(key, rule),
        None => refused(deciding.into_iter().map(|policy| &policy.key).collect()),
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

    /// Finds the rule that lets a flow through.
    fn passing(&self, direction: Direction, flow: &Flow<'_>, peer: &Party<'_>) -> Option<usize> {
        let mut rules = self.rules(direction)?.iter();
        rules.position(|rule| {
            rule.ports.contain(flow.protocol, flow.port)
                && rule.peers.mean(&self.key.namespace, peer)
        })
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
            Self::Name(pattern) => party.names.iter().any(|name| pattern.matches(name)),
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
            mode: Mode::Enforce,
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
            names: &[],
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
    fn an_audited_policy_tells_where_no_enforced_one_closes() {
        let (a, b) = (identity(1, "red"), identity(2, "red"));
        let audited = |name: &str, rules| Policy {
            mode: Mode::Audit,
            ..policy(name, Some(rules))
        };
        let (trial, web) = (
            audited("trial", Vec::new()),
            audited("web", vec![from_red_at_80()]),
        );
        let judged = |policies: &[&Policy], port| match judge(
            policies.iter().copied(),
            Direction::Ingress,
            &flow(Some(&a), &b, port),
        ) {
            Judgement::Open => "open".to_owned(),
            Judgement::Allowed(key, _) => format!("allowed by {}", key.name),
            Judgement::Denied(keys) => format!("denied by {}", keys.len()),
            Judgement::Audited(keys) => format!("audited by {}", keys.len()),
        };
        assert_eq!(judged(&[&trial], 80), "audited by 1");
        assert_eq!(judged(&[&trial, &web], 80), "allowed by web");
        assert_eq!(judged(&[&trial, &web], 81), "audited by 2");
        let deny = policy("deny", Some(Vec::new()));
        assert_eq!(judged(&[&trial, &web, &deny], 80), "denied by 1");
        let open = policy("open", Some(vec![from_red_at_80()]));
        assert_eq!(judged(&[&trial, &open], 80), "allowed by open");
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
