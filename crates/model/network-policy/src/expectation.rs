//! Expectations of policies, tested without a kernel: who there is, and what of whom should reach what.
//!
//! ```yaml
//! endpoints:
//!   web: {namespace: shop, labels: {tier: front}, address: 172.18.0.2}
//!   db:  {namespace: shop, labels: {tier: back}, address: 172.18.0.3}
//! expect:
//! - {from: web, to: db, port: 5432/tcp, allowed: true}
//! - {from: 198.51.100.7, to: db, port: 5432/tcp, allowed: false}
//! ```

use std::{collections::BTreeMap, net::IpAddr};

use hakone_base::{ContainerId, ExposedPort};
use serde::Deserialize;

use crate::{
    DEFAULT_NAMESPACE, Error, Identity, LIMIT, Labels, NAMESPACE_NAME, Policy, PolicyKey,
    judge::{Direction, Flow, Judgement, Party, judge},
};

/// What is expected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// Who there is, by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// What should be.
    pub expect: Vec<Scenario>,
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The namespace; without, `default`.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The labels.
    #[serde(default)]
    pub labels: Labels,
    /// The labels of its namespace.
    #[serde(default)]
    pub namespace_labels: Labels,
    /// The address.
    pub address: IpAddr,
}

/// One expectation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Who begins: an endpoint's name, or an address of nobody's.
    pub from: String,
    /// Whom it reaches for: the same.
    pub to: String,
    /// The port, such as `80/tcp`.
    pub port: ExposedPort,
    /// Whether it should get there.
    pub allowed: bool,
}

/// What became of an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The expectation.
    pub scenario: Scenario,
    /// Whether policies allow it.
    pub allowed: bool,
    /// Which policies decided, in words.
    pub because: String,
}

impl Expectations {
    /// Reads them, YAML or JSON.
    ///
    /// # Errors
    /// When the text is too long, is no YAML or JSON, or has other fields.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > LIMIT {
            return Err(Error::TooLong);
        }
        serde_saphyr::from_str(text).map_err(|error| Error::Syntax(error.to_string()))
    }

    /// Asks the policies for each expectation.
    ///
    /// # Errors
    /// Names what is neither an endpoint nor an address.
    pub fn check(&self, policies: &[Policy]) -> Result<Vec<Outcome>, String> {
        let people: BTreeMap<&str, (IpAddr, Identity)> = (0..=u8::MAX)
            .cycle()
            .zip(&self.endpoints)
            .map(|(number, (name, endpoint))| (name.as_str(), endpoint.identity(number)))
            .collect();
        let party = |name: &str| match (people.get(name), name.parse()) {
            (Some((address, identity)), _) => Ok((*address, Some(identity))),
            (None, Ok(address)) => Ok((address, None)),
            (None, Err(_)) => Err(format!("{name:?} is neither an endpoint nor an address")),
        };
        let outcome = |scenario: &Scenario| {
            let [from, to] =
                [party(&scenario.from)?, party(&scenario.to)?].map(|(address, identity)| Party {
                    address,
                    identity,
                    names: &[],
                });
            let flow = Flow {
                from,
                to,
                protocol: scenario.port.protocol.number(),
                port: Some(scenario.port.port.get()),
            };
            Ok(decide(policies, &flow, scenario))
        };
        self.expect.iter().map(outcome).collect()
    }
}

fn decide(policies: &[Policy], flow: &Flow<'_>, scenario: &Scenario) -> Outcome {
    let both = [Direction::Egress, Direction::Ingress];
    let both = both.map(|direction| judge(policies, direction, flow));
    let [egress, ingress] = both.each_ref().map(words);
    Outcome {
        scenario: scenario.clone(),
        allowed: both.iter().all(Judgement::is_allowed),
        because: format!("egress {egress}, ingress {ingress}"),
    }
}

fn words(judgement: &Judgement<'_>) -> String {
    match judgement {
        Judgement::Open => "open".to_owned(),
        Judgement::Allowed(key, rule) => format!("allowed by rule {rule} of {key}"),
        Judgement::Denied(keys) => format!("denied by {}", list(keys)),
        Judgement::Audited(keys) => format!("audited by {}, which would deny it", list(keys)),
    }
}

fn list(keys: &[&PolicyKey]) -> String {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    keys.join(", ")
}

impl Endpoint {
    fn identity(&self, number: u8) -> (IpAddr, Identity) {
        let namespace = self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let mut namespace_labels = self.namespace_labels.clone();
        namespace_labels.insert(NAMESPACE_NAME.to_owned(), namespace.to_owned());
        let identity = Identity {
            container: ContainerId::from_bytes([number; 32]),
            namespace: namespace.to_owned(),
            labels: self.labels.clone(),
            namespace_labels,
        };
        (self.address, identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_asked_of_the_policies() {
        let policies = crate::parse(
            "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {tier: back}}
  ingress:
  - from: [{podSelector: {matchLabels: {tier: front}}}]
    ports: [{port: 5432}]
",
        )
        .unwrap();
        let policies: Vec<Policy> = policies.into_iter().map(|(_, policy)| policy).collect();
        let expectations = Expectations::parse(
            "endpoints:
  web: {namespace: shop, labels: {tier: front}, address: 172.18.0.2}
  db: {namespace: shop, labels: {tier: back}, address: 172.18.0.3}
expect:
- {from: web, to: db, port: 5432/tcp, allowed: true}
- {from: web, to: db, port: 22/tcp, allowed: false}
- {from: 198.51.100.7, to: db, port: 5432/tcp, allowed: false}
- {from: db, to: web, port: 80/tcp, allowed: true}
",
        )
        .unwrap();
        let outcomes = expectations.check(&policies).unwrap();
        assert!(
            outcomes.iter().all(|o| o.allowed == o.scenario.allowed),
            "{outcomes:?}"
        );
        assert!(outcomes[1].because.contains("denied by shop/db"));
        assert!(outcomes[0].because.contains("rule 0 of shop/db"));
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let text = "endpoints: {}\nexpect: [{from: web, to: 10.0.0.1, port: 80, allowed: true}]";
        let error = Expectations::parse(text).unwrap().check(&[]).unwrap_err();
        assert!(error.contains("web"));
    }
}
