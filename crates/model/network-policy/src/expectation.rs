//! Expectations of policies, tested without a kernel: who there is, and what of whom should reach what.
//!
//! ```yaml
//! endpoints:
//!   web: {namespace: shop, labels: {tier: front}, address: 172.18.0.2}
//!   db:  {namespace: shop, labels: {tier: back}, address: 172.18.0.3}
//! expect:
//! - {from: web, to: db, port: 5432/tcp, allowed: true}
//! - {from: 198.51.100.7, to: db, port: 5432/tcp, allowed: false}
//! - {from: web, to: api.example.org, port: 443/tcp, allowed: true}
//! ```
//! The policies stand in a file of their own or in documents of the same one; labels by which an endpoint states its own policy count, too.

use std::{collections::BTreeMap, net::IpAddr};

use hakone_base::{ContainerId, DomainPattern, ExposedPort};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    DEFAULT_NAMESPACE, Error, Identity, Labels, NAMESPACE_NAME, Policy, PolicyKey,
    identity::CONTAINER,
    judge::{Direction, Flow, Judgement, Party, judge},
    of_labels,
    parse::{policies_of, values_of},
};

/// An address that nobody has outside of benches (RFC 2544): it stands for a name.
const NAMED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 1));

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
    /// Whom it reaches for: the same, or the name of another machine.
    pub to: String,
    /// The port, such as `80/tcp`; a number means TCP.
    #[serde(deserialize_with = "port")]
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
    /// Reads a text that holds policies and, in one document without a kind, expectations of them.
    ///
    /// # Errors
    /// When it is no such text.
    pub fn parse(text: &str) -> Result<(Vec<Policy>, Self), Error> {
        let is_policy = |value: &Value| value.get("kind").is_some();
        let (policies, rest): (Vec<Value>, Vec<Value>) =
            values_of(text)?.into_iter().partition(is_policy);
        let [expectations] = <[Value; 1]>::try_from(rest).map_err(|others| {
            let found = others.len();
            Error::Expectations(format!("want one document, found {found}"))
        })?;
        let expectations = serde_json::from_value(expectations)
            .map_err(|error| Error::Expectations(error.to_string()))?;
        let policies = policies_of(policies)?.into_iter();
        Ok((policies.map(|(_, policy)| policy).collect(), expectations))
    }

    /// Asks the policies, and those that endpoints' own labels state, for each expectation.
    ///
    /// # Errors
    /// Names what is neither an endpoint nor an address nor a name, and a label that cannot be read.
    pub fn check(&self, policies: &[Policy]) -> Result<Vec<Outcome>, String> {
        let people = (0_u64..)
            .zip(&self.endpoints)
            .map(|(number, (name, endpoint))| {
                let (address, identity) = endpoint.identity(name, number);
                (name.as_str(), (address, identity))
            });
        let people: BTreeMap<&str, (IpAddr, Identity)> = people.collect();
        let mut policies = policies.to_vec();
        for (_, identity) in people.values() {
            let own = of_labels(&identity.container, &identity.namespace, &identity.labels)?;
            policies.extend(own);
        }
        let outcome = |scenario: &Scenario| {
            let from = party(&people, &scenario.from)?;
            let named = [scenario.to.to_ascii_lowercase()];
            let to = match party(&people, &scenario.to) {
                Err(_) if scenario.to.parse::<DomainPattern>().is_ok() => Party {
                    address: NAMED,
                    identity: None,
                    names: &named,
                },
                found => found?,
            };
            let flow = Flow {
                from,
                to,
                protocol: scenario.port.protocol.number(),
                port: Some(scenario.port.port.get()),
            };
            Ok(decide(&policies, &flow, scenario))
        };
        self.expect.iter().map(outcome).collect()
    }
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ExposedPort, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    text.parse().map_err(serde::de::Error::custom)
}

fn party<'a>(
    people: &'a BTreeMap<&str, (IpAddr, Identity)>,
    name: &str,
) -> Result<Party<'a>, String> {
    let (address, identity) = match (people.get(name), name.parse()) {
        (Some((address, identity)), _) => (*address, Some(identity)),
        (None, Ok(address)) => (address, None),
        (None, Err(_)) => {
            return Err(format!("{name:?} is neither an endpoint nor an address"));
        }
    };
    Ok(Party {
        address,
        identity,
        names: &[],
    })
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
    fn identity(&self, name: &str, number: u64) -> (IpAddr, Identity) {
        let namespace = self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let mut namespace_labels = self.namespace_labels.clone();
        namespace_labels.insert(NAMESPACE_NAME.to_owned(), namespace.to_owned());
        let mut labels = self.labels.clone();
        let container = labels.entry(CONTAINER.to_owned());
        container.or_insert_with(|| name.to_owned());
        let mut id = [0; 32];
        for (place, byte) in id.iter_mut().zip(number.to_be_bytes()) {
            *place = byte;
        }
        let identity = Identity {
            container: ContainerId::from_bytes(id),
            namespace: namespace.to_owned(),
            labels,
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
        let (_, expectations) = Expectations::parse(
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
    fn one_text_holds_policies_and_what_is_expected_of_them() {
        let text = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {dev.hakone.container: db}}
  ingress: [{from: [{podSelector: {matchLabels: {dev.hakone.container: web}}}]}]
---
endpoints:
  web: {address: 172.18.0.2, labels: {dev.hakone.egress: 'db, *.example.org:443'}}
  db: {address: 172.18.0.3}
expect:
- {from: web, to: db, port: 5432/tcp, allowed: true}
- {from: web, to: api.example.org, port: 443/tcp, allowed: true}
- {from: web, to: api.example.org, port: 80/tcp, allowed: false}
- {from: web, to: 10.0.0.1, port: 443/tcp, allowed: false}
- {from: 10.0.0.1, to: db, port: 5432/tcp, allowed: false}
";
        let (policies, expectations) = Expectations::parse(text).unwrap();
        let outcomes = expectations.check(&policies).unwrap();
        assert!(
            outcomes.iter().all(|o| o.allowed == o.scenario.allowed),
            "{outcomes:?}"
        );
        let (policies_alone, _) = text.split_once("---").unwrap();
        Expectations::parse(policies_alone).unwrap_err();
        Expectations::parse(&format!("{text}---\nendpoints: {{}}\n")).unwrap_err();
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let text = "endpoints: {}\nexpect: [{from: web, to: 10.0.0.1, port: 80, allowed: true}]";
        let (_, expectations) = Expectations::parse(text).unwrap();
        let error = expectations.check(&[]).unwrap_err();
        assert!(error.contains("web"));
    }
}
