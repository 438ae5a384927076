//! Policies as they are kept, and what applying others to them changes.

use std::collections::BTreeMap;

use crate::{Document, Policy, PolicyKey};

/// A policy as it stands: the document, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What was written.
    pub document: Document,
    /// What it means.
    pub policy: Policy,
}

/// What became, or would become, of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The policy.
    pub key: PolicyKey,
    /// What happened to it.
    pub change: Change,
    /// What it said before.
    pub before: Option<Document>,
    /// What it says now.
    pub after: Document,
}

/// What happened to a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Created,
    /// It says something else.
    Configured,
    /// It says what it said.
    Unchanged,
}

impl Change {
    /// Gives the word of `kubectl`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Says what becomes of each policy, and gives those that are to be stored.
#[must_use]
pub fn compare(
    present: &BTreeMap<PolicyKey, Stored>,
    parsed: Vec<(Document, Policy)>,
) -> (Vec<Applied>, Vec<Stored>) {
    let mut changed = Vec::new();
    let applied = parsed.into_iter().map(|(document, policy)| {
        let before = present
            .get(&policy.key)
            .map(|stored| stored.document.clone());
        let change = match &before {
            None => Change::Created,
            Some(before) if *before == document => Change::Unchanged,
            Some(_) => Change::Configured,
        };
        let key = policy.key.clone();
        if change != Change::Unchanged {
            changed.push(Stored {
                document: document.clone(),
                policy,
            });
        }
        Applied {
            key,
            change,
            before,
            after: document,
        }
    });
    (applied.collect(), changed)
}
