//! Policies: stored as the documents that people wrote, applied as one transaction.
//!
//! A policy comes into force with the rules that are derived from it; flows that it no longer allows are cut right after. The
//! record comes first, as with networks: what a power cut leaves is what the next start derives from.

mod apply;
mod explain;
mod open;
mod remove;
mod unjudged;

use hakone_network_policy::Document;
use hakone_store::Record;
use serde::{Deserialize, Serialize};

pub use hakone_network_policy::{Applied, Change};
pub use hakone_policy::Explanation;

pub(crate) use apply::{apply, diff};
pub(crate) use explain::explain;
pub(crate) use hakone_network_policy::Stored;
pub(crate) use open::open;
pub(crate) use remove::{key, remove};
pub(crate) use unjudged::refuse_unjudged;

use crate::{
    Config,
    host::Begun,
    service::{Inner, lock},
};

/// What is stored of a policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Written(pub(crate) Document);

impl Record for Written {
    const SCHEMA: u32 = 1;
}

/// Loads the rules anew after who is who changed.
pub(crate) fn renew(service: &Inner) {
    let mut host = lock(&service.host);
    match host.load_rules(&service.state) {
        Ok(()) => host.cut_flows(&service.state, Begun::ByOthers),
        Err(error) => tracing::error!(%error, "policies not renewed"),
    }
}

/// Gives the file of a policy's record; no name has a plus sign.
fn record_path(config: &Config, key: &hakone_network_policy::PolicyKey) -> std::path::PathBuf {
    let name = format!("{}+{}.json", key.namespace, key.name);
    config.policies.join(name)
}
