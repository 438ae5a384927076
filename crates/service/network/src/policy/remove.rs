//! Removes a policy: what it closed is open again, unless another closes it.

use std::{fs, sync::Arc};

use hakone_network_policy::PolicyKey;

use super::{apply::tell, record_path};
use crate::{
    Error,
    host::Begun,
    service::{Inner, lock},
};

/// Removes the policy `NAMESPACE/NAME`, or `NAME` of the default namespace.
pub(crate) fn remove(service: &Arc<Inner>, name: &str) -> Result<PolicyKey, Error> {
    let key = key(name);
    let _turn = lock(&service.policy_edits);
    if !lock(&service.state).policies.contains_key(&key) {
        return Err(Error::NoPolicy(key));
    }
    let path = record_path(&service.config, &key);
    fs::remove_file(&path).map_err(|source| Error::File { path, source })?;
    {
        let mut state = lock(&service.state);
        state.policies.remove(&key);
        state.changed();
    }
    let mut host = lock(&service.host);
    host.load_rules(&service.state)?;
    // A policy allows as well: what only this one let through ends with it.
    host.cut_flows(&service.state, Begun::ByOthers);
    drop(host);
    tell(service, "deleted", &key);
    Ok(key)
}

/// Reads what people call a policy.
pub(crate) fn key(name: &str) -> PolicyKey {
    let (namespace, name) = name
        .split_once('/')
        .unwrap_or((hakone_network_policy::DEFAULT_NAMESPACE, name));
    PolicyKey {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}
