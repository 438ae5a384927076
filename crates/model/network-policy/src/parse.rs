//! From text to policies: YAML and JSON, one document or many, with limits, and with the place of each error.

use std::{collections::BTreeMap, fmt};

use hakone_base::{Protocol, Subnet};
use serde_json::Value;

use crate::{
    DEFAULT_NAMESPACE, Requirement, Selector,
    document::{
        API_VERSION, Document, Expression, IntOrString, IpBlock, KIND, LabelSelector, PolicyPeer,
        PolicyPort, Spec,
    },
    label::{EGRESS_NAMES, MODE, names},
    policy::{Block, Mode, Peer, Peers, Policy, PolicyKey, PortRange, Ports, Rule, Subject},
};

/// The longest text that is read.
pub const LIMIT: usize = 1 << 20;
/// How many documents a text may hold, and how many entries each list in it.
const MOST_DOCUMENTS: usize = 1000;
const MOST_ENTRIES: usize = 1000;
/// The longest name and namespace: together they are the name of a file.
const LONGEST_NAME: usize = 180;
const LONGEST_NAMESPACE: usize = 63;
/// The longest key or value of a label.
const LONGEST_LABEL: usize = 4096;

/// Why a text is not a list of policies, and where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More than is read.
    #[error("a policy text may have {LIMIT} bytes")]
    TooLong,
    /// Neither YAML nor JSON.
    #[error("neither YAML nor JSON: {0}")]
    Syntax(String),
    /// Expectations that are none.
    #[error("expectations: {0}")]
    Expectations(String),
    /// Too many documents.
    #[error("a text may have {MOST_DOCUMENTS} documents")]
    TooMany,
    /// Something in a document.
    #[error("document {document}: {path}: {message}")]
    Field {
        /// Which document, counted from one.
        document: usize,
        /// Where in it.
        path: String,
        /// What is wrong there.
        message: String,
    },
    /// Two documents of one name.
    #[error("document {document}: policy {key} is there twice")]
    Twice {
        /// The second of them, counted from one.
        document: usize,
        /// The name.
        key: PolicyKey,
    },
}

/// A place in a document and what is wrong with it.
struct Fault(String, String);

type Parsed<T> = Result<T, Fault>;

/// Reads policies with the documents that they came from.
///
/// # Errors
/// When the text is too long, is no YAML or JSON, or says what no policy says.
pub fn parse(text: &str) -> Result<Vec<(Document, Policy)>, Error> {
    policies_of(values_of(text)?)
}

/// Reads the documents of a text; a list is its items.
pub(crate) fn values_of(text: &str) -> Result<Vec<Value>, Error> {
    if text.len() > LIMIT {
        return Err(Error::TooLong);
    }
    let values: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| Error::Syntax(error.to_string().replace('\n', " ")))?;
    let values: Vec<Value> = values.into_iter().flat_map(unpack).collect();
    if values.len() > MOST_DOCUMENTS {
        return Err(Error::TooMany);
    }
    Ok(values)
}

/// Reads documents as policies.
pub(crate) fn policies_of(values: Vec<Value>) -> Result<Vec<(Document, Policy)>, Error> {
    let mut seen = BTreeMap::new();
    let mut all = Vec::new();
    for (number, value) in (1..).zip(values) {
        let located = |Fault(path, message)| Error::Field {
            document: number,
            path,
            message,
        };
        let document = read(value).map_err(located)?;
        let policy = Policy::of(&document).map_err(located)?;
        if seen.insert(policy.key.clone(), number).is_some() {
            let key = policy.key;
            return Err(Error::Twice {
                document: number,
                key,
            });
        }
        all.push((document, policy));
    }
    Ok(all)
}

/// A list is its items, as `kubectl get -o yaml` prints it.
fn unpack(value: Value) -> Vec<Value> {
    let kind = value.get("kind").and_then(Value::as_str);
    let is_list = matches!(kind, Some("List" | "NetworkPolicyList"));
    match value {
        Value::Null => Vec::new(),
        Value::Object(mut list) if is_list => match list.remove("items") {
            Some(Value::Array(items)) => items,
            _ => vec![Value::Object(list)],
        },
        other => vec![other],
    }
}

fn read(value: Value) -> Parsed<Document> {
    if !value.is_object() {
        return Err(fault("the document", format_args!("want a mapping")));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match error.path().to_string().as_str() {
            "." => "the document".to_owned(),
            path => path.to_owned(),
        };
        Fault(path, error.inner().to_string())
    })
}

impl TryFrom<&Document> for Policy {
    type Error = Error;

    fn try_from(document: &Document) -> Result<Self, Error> {
        Self::of(document).map_err(|Fault(path, message)| Error::Field {
            document: 1,
            path,
            message,
        })
    }
}

impl Policy {
    fn of(document: &Document) -> Parsed<Self> {
        expect("apiVersion", &document.api_version, API_VERSION)?;
        expect("kind", &document.kind, KIND)?;
        let metadata = &document.metadata;
        let (mode, named) = annotated(&metadata.annotations)?;
        let namespace = metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let spec = &document.spec;
        let [closes_ingress, closes_egress] = directions(spec)?;
        let ingress = spec.ingress.iter().flatten();
        let ingress = ingress.map(|rule| (&rule.from, &rule.ports));
        let ingress = rules("spec.ingress", "from", ingress)?;
        let egress = spec.egress.iter().flatten();
        let egress = egress.map(|rule| (&rule.to, &rule.ports));
        let mut egress = rules("spec.egress", "to", egress)?;
        let closes_egress = closes_egress || named.is_some();
        egress.extend(named.into_iter().flatten());
        Ok(Self {
            key: PolicyKey {
                namespace: name("metadata.namespace", namespace, LONGEST_NAMESPACE)?,
                name: name("metadata.name", &metadata.name, LONGEST_NAME)?,
            },
            mode,
            subject: Subject::Selected(selector("spec.podSelector", &spec.pod_selector)?),
            ingress: closes_ingress.then_some(ingress),
            egress: closes_egress.then_some(egress),
        })
    }
}

fn expect(path: &str, own: &str, wanted: &str) -> Parsed<()> {
    match own == wanted {
        true => Ok(()),
        false => Err(fault(path, format_args!("want {wanted}, not {own:?}"))),
    }
}

/// Names are file names and rule comments, too: letters, digits, dots, dashes and underscores.
fn name(path: &str, text: &str, longest: usize) -> Parsed<String> {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let fits = (1..=longest).contains(&text.len());
    match fits && !text.contains(odd) && !text.starts_with('.') {
        true => Ok(text.to_owned()),
        false => Err(fault(path, format_args!("{text:?} is no name"))),
    }
}

/// Annotations are notes of others; those under our name give a mode, and names of other machines that egress opens.
fn annotated(annotations: &BTreeMap<String, String>) -> Parsed<(Mode, Option<Vec<Rule>>)> {
    let (mut mode, mut named) = (Mode::Enforce, None);
    for (own, value) in annotations {
        let path = || format!("metadata.annotations[{own}]");
        match own.as_str() {
            MODE => {
                mode = Mode::named(value).ok_or_else(|| {
                    fault(
                        &path(),
                        format_args!("want enforce or audit, not {value:?}"),
                    )
                })?;
            }
            EGRESS_NAMES => {
                let read = names(value).map_err(|error| fault(&path(), format_args!("{error}")));
                named = Some(read?);
            }
            other if other.starts_with("dev.hakone.") => {
                let known =
                    format_args!("of our annotations, {MODE} and {EGRESS_NAMES} have a meaning");
                return Err(fault(&path(), known));
            }
            _ => {}
        }
    }
    Ok((mode, named))
}

/// Without `policyTypes`, a policy always closes ingress, and egress when it has a rule for it.
fn directions(spec: &Spec) -> Parsed<[bool; 2]> {
    let Some(types) = &spec.policy_types else {
        let has_egress = spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
        return Ok([true, has_egress]);
    };
    let mut closed = [false; 2];
    for (number, each) in types.iter().enumerate() {
        match each.as_str() {
            "Ingress" => closed[0] = true,
            "Egress" => closed[1] = true,
            other => {
                return Err(fault(
                    &format!("spec.policyTypes[{number}]"),
                    format_args!("want Ingress or Egress, not {other:?}"),
                ));
            }
        }
    }
    match (types.is_empty(), spec.egress.as_ref()) {
        (true, egress) => Ok([true, egress.is_some_and(|rules| !rules.is_empty())]),
        (false, _) => Ok(closed),
    }
}

type RuleParts<'a> = (&'a Option<Vec<PolicyPeer>>, &'a Option<Vec<PolicyPort>>);

fn rules<'a>(
    path: &str,
    peers: &str,
    all: impl Iterator<Item = RuleParts<'a>>,
) -> Parsed<Vec<Rule>> {
    let each = |(number, (others, ports)): (usize, RuleParts<'a>)| {
        let path = format!("{path}[{number}]");
        Ok(Rule {
            peers: match listed(others) {
                None => Peers::All,
                Some(list) => Peers::These(entries(&format!("{path}.{peers}"), list, peer)?),
            },
            ports: match listed(ports) {
                None => Ports::All,
                Some(list) => Ports::These(entries(&format!("{path}.ports"), list, port)?),
            },
        })
    };
    let rules: Vec<Rule> = all.enumerate().map(each).collect::<Parsed<_>>()?;
    match rules.len() > MOST_ENTRIES {
        true => Err(fault(path, format_args!("more than {MOST_ENTRIES} rules"))),
        false => Ok(rules),
    }
}

/// An empty list says as much as a missing one: anybody, everywhere.
fn listed<T>(list: &Option<Vec<T>>) -> Option<&[T]> {
    list.as_deref().filter(|list| !list.is_empty())
}

fn entries<T, U>(path: &str, list: &[T], parse: fn(&str, &T) -> Parsed<U>) -> Parsed<Vec<U>> {
    if list.len() > MOST_ENTRIES {
        return Err(fault(
            path,
            format_args!("more than {MOST_ENTRIES} entries"),
        ));
    }
    let numbered = list.iter().enumerate();
    numbered
        .map(|(number, each)| parse(&format!("{path}[{number}]"), each))
        .collect()
}

fn peer(path: &str, peer: &PolicyPeer) -> Parsed<Peer> {
    let selector_at = |name: &str, wire: &Option<LabelSelector>| {
        let parse = |wire| selector(&format!("{path}.{name}"), wire);
        wire.as_ref().map(parse).transpose()
    };
    let endpoints = selector_at("podSelector", &peer.pod_selector)?;
    let namespaces = selector_at("namespaceSelector", &peer.namespace_selector)?;
    match (endpoints, namespaces, &peer.ip_block) {
        (None, None, Some(wire)) => Ok(Peer::Block(block(&format!("{path}.ipBlock"), wire)?)),
        (_, _, Some(_)) => Err(fault(
            path,
            format_args!("ipBlock goes with neither podSelector nor namespaceSelector"),
        )),
        (None, None, None) => Err(fault(
            path,
            format_args!("want podSelector, namespaceSelector or ipBlock"),
        )),
        (endpoints, namespaces, None) => Ok(Peer::Endpoints {
            namespaces,
            endpoints: endpoints.unwrap_or_default(),
        }),
    }
}

fn block(path: &str, wire: &IpBlock) -> Parsed<Block> {
    let prefix = |path: &str, text: &String| {
        let subnet: Subnet = text
            .parse()
            .ok()
            .ok_or_else(|| fault(path, format_args!("{text:?} is no prefix")))?;
        Ok(subnet)
    };
    let cidr = prefix(&format!("{path}.cidr"), &wire.cidr)?;
    let list = wire.except.as_deref().unwrap_or_default();
    let except = entries(&format!("{path}.except"), list, prefix)?;
    for (number, left_out) in except.iter().enumerate() {
        if *left_out == cidr || !cidr.net().contains(&left_out.net()) {
            return Err(fault(
                &format!("{path}.except[{number}]"),
                format_args!("{left_out} is no part of {cidr}"),
            ));
        }
    }
    Ok(Block { cidr, except })
}

fn port(path: &str, wire: &PolicyPort) -> Parsed<PortRange> {
    let protocol = match wire.protocol.as_deref() {
        None | Some("TCP") => Protocol::Tcp,
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        Some(other) => {
            return Err(fault(
                &format!("{path}.protocol"),
                format_args!("want TCP, UDP or SCTP, not {other:?}"),
            ));
        }
    };
    let first = match &wire.port {
        None if wire.end_port.is_some() => {
            return Err(fault(
                &format!("{path}.endPort"),
                format_args!("goes with port only"),
            ));
        }
        None => return Ok(PortRange::all(protocol)),
        Some(IntOrString::Number(port)) => number(&format!("{path}.port"), *port)?,
        Some(IntOrString::Name(name)) => {
            return Err(fault(
                &format!("{path}.port"),
                format_args!("containers do not name their ports: want a number, not {name:?}"),
            ));
        }
    };
    let end = format!("{path}.endPort");
    let last = wire.end_port.map(|last| number(&end, last)).transpose()?;
    let last = last.unwrap_or(first);
    match last < first {
        true => Err(fault(&end, format_args!("{last} comes before {first}"))),
        false => Ok(PortRange {
            protocol,
            first,
            last,
        }),
    }
}

fn number(path: &str, number: i64) -> Parsed<u16> {
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or_else(|| fault(path, format_args!("want 1 to 65535, not {number}")))
}

fn selector(path: &str, wire: &LabelSelector) -> Parsed<Selector> {
    let labels = wire.match_labels.iter().flatten();
    let mut requirements = Vec::new();
    for (key, value) in labels {
        let path = format!("{path}.matchLabels[{key}]");
        let value = label(&path, value)?;
        requirements.push(Requirement::In(label(&path, key)?, [value].into()));
    }
    let list = wire.match_expressions.as_deref().unwrap_or_default();
    let path = format!("{path}.matchExpressions");
    requirements.extend(entries(&path, list, requirement)?);
    match requirements.len() > MOST_ENTRIES {
        true => Err(fault(&path, format_args!("more than {MOST_ENTRIES}"))),
        false => Ok(Selector::new(requirements)),
    }
}

fn requirement(path: &str, wire: &Expression) -> Parsed<Requirement> {
    let key = label(&format!("{path}.key"), &wire.key)?;
    let list = wire.values.as_deref().unwrap_or_default();
    let at = format!("{path}.values");
    let values: Vec<String> = entries(&at, list, |path, value| label(path, value))?;
    match (wire.operator.as_str(), values.is_empty()) {
        ("In", false) => Ok(Requirement::In(key, values.into_iter().collect())),
        ("NotIn", false) => Ok(Requirement::NotIn(key, values.into_iter().collect())),
        ("Exists", true) => Ok(Requirement::Exists(key)),
        ("DoesNotExist", true) => Ok(Requirement::DoesNotExist(key)),
        (operator @ ("In" | "NotIn"), true) => {
            Err(fault(&at, format_args!("{operator} needs values")))
        }
        (operator @ ("Exists" | "DoesNotExist"), false) => {
            Err(fault(&at, format_args!("{operator} takes no values")))
        }
        (other, _) => Err(fault(
            &format!("{path}.operator"),
            format_args!("want In, NotIn, Exists or DoesNotExist, not {other:?}"),
        )),
    }
}

fn label(path: &str, text: &str) -> Parsed<String> {
    match text.len() <= LONGEST_LABEL && !text.contains(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(fault(path, format_args!("too long, or not printable"))),
    }
}

fn fault(path: &str, message: fmt::Arguments<'_>) -> Fault {
    Fault(path.to_owned(), message.to_string())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
