//! Applies policies: decide, record, load the rules in one transaction, cut what is no longer allowed, announce.

use std::{collections::BTreeMap, fs, sync::Arc};

use hakone_base::EventKind;
use hakone_network_policy::{Applied, Change, Policy, PolicyKey, Stored, compare, parse};
use hakone_store::{Durability, save};

use super::{Written, record_path, unjudged::refuse_about};
use crate::{
    Error,
    host::Begun,
    service::{Inner, lock},
};

/// How many policies there may be.
const MOST: usize = 10_000;

/// Says what applying a text would change.
pub(crate) fn diff(service: &Inner, text: &str) -> Result<Vec<Applied>, Error> {
    let parsed = parse(text)?;
    let state = lock(&service.state);
    Ok(compare(&state.policies, parsed).0)
}

/// Applies a text: all of it, or nothing.
pub(crate) fn apply(service: &Arc<Inner>, text: &str) -> Result<Vec<Applied>, Error> {
    let parsed = parse(text)?;
    let _turn = lock(&service.policy_edits);
    let (applied, changed) = {
        let state = lock(&service.state);
        let policies: Vec<Policy> = parsed.iter().map(|(_, policy)| policy.clone()).collect();
        refuse_about(&state, &policies)?;
        compare(&state.policies, parsed)
    };
    if changed.is_empty() {
        return Ok(applied);
    }
    let before = put(service, changed)?;
    if let Err(error) = load(service, &before) {
        restore(service, before);
        return Err(error);
    }
    announce(service, &applied);
    Ok(applied)
}

/// Records the policies and lets the state know them; gives what stood there before.
fn put(
    service: &Inner,
    changed: Vec<Stored>,
) -> Result<BTreeMap<PolicyKey, Option<Stored>>, Error> {
    let mut before = BTreeMap::new();
    if lock(&service.state).policies.len() + changed.len() > MOST {
        return Err(Error::Invalid(format!("there may be {MOST} policies")));
    }
    for stored in changed {
        let key = stored.policy.key.clone();
        let path = record_path(&service.config, &key);
        let written = Written(stored.document.clone());
        if let Err(error) = save(&path, &written, Durability::Power) {
            restore(service, before);
            return Err(error.into());
        }
        let mut state = lock(&service.state);
        let former = state.policies.insert(key.clone(), stored);
        state.changed();
        before.insert(key, former);
    }
    Ok(before)
}

fn load(service: &Inner, before: &BTreeMap<PolicyKey, Option<Stored>>) -> Result<(), Error> {
    tracing::debug!(policies = before.len(), "policies applied");
    let mut host = lock(&service.host);
    host.load_rules(&service.state)?;
    host.cut_flows(&service.state, Begun::ByOthers);
    Ok(())
}

/// Puts back what stood there; what cannot be written again is told, and the state goes before it.
fn restore(service: &Inner, before: BTreeMap<PolicyKey, Option<Stored>>) {
    for (key, former) in before {
        let path = record_path(&service.config, &key);
        let written = match &former {
            Some(stored) => save(&path, &Written(stored.document.clone()), Durability::Power)
                .map_err(|error| error.to_string()),
            None => fs::remove_file(&path).map_err(|error| error.to_string()),
        };
        if let Err(error) = written {
            tracing::error!(policy = %key, error, "policy record not put back");
        }
        let mut state = lock(&service.state);
        match former {
            Some(stored) => state.policies.insert(key, stored),
            None => state.policies.remove(&key),
        };
        state.changed();
    }
    if let Err(error) = lock(&service.host).load_rules(&service.state) {
        tracing::error!(%error, "rules not put back");
    }
}

fn announce(service: &Inner, applied: &[Applied]) {
    let changed = applied.iter().filter(|one| one.change != Change::Unchanged);
    for one in changed {
        tell(service, one.change.as_str(), &one.key);
    }
}

/// Publishes what happened to a policy.
pub(super) fn tell(service: &Inner, change: &str, key: &PolicyKey) {
    let attributes = BTreeMap::from([("name".to_owned(), key.to_string())]);
    let action = format!("policy-{change}");
    service
        .events
        .publish(EventKind::Daemon, &action, "", attributes);
}
