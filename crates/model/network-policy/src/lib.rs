//! Policies between containers: Kubernetes' `networking.k8s.io/v1 NetworkPolicy`, read over containers' labels.
//!
//! A [`Document`] is what people write; [`Policy`] is what it means; [`judge`] says what policies make of a flow and which of
//! them decides. Nothing here knows networks or rules: `model/policy` compiles policies into the host's rule set and holds
//! the compiled rules to what [`judge`] says.

mod document;
mod expectation;
mod identity;
mod judge;
mod label;
mod parse;
mod policy;
mod selector;
mod stored;

pub use document::{API_VERSION, Document, KIND};
pub use expectation::{Expectations, Outcome, Scenario};
pub use identity::{DEFAULT_NAMESPACE, Facts, Identity, Labels, NAMESPACE_NAME, PROJECT};
pub use judge::{Direction, Flow, Judgement, Party, judge};
pub use label::{EGRESS, EGRESS_NAMES, INGRESS, MODE, check_labels, of_labels};
pub use parse::{Error, LIMIT, parse};
pub use policy::{Block, Mode, Peer, Peers, Policy, PolicyKey, PortRange, Ports, Rule, Subject};
pub use selector::{Requirement, Selector};
pub use stored::{Applied, Change, Stored, compare};
