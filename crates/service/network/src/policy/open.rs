//! Reads the policies of an earlier daemon.

use std::fs;

use hakone_network_policy::Policy;
use hakone_store::load_all;

use super::{Stored, Written};
use crate::{
    Error,
    service::{Inner, lock},
};

/// Fills the state. A record that cannot be read keeps the daemon from starting: without it, what it closed would be open.
pub(crate) fn open(service: &Inner) -> Result<(), Error> {
    let folder = &service.config.policies;
    let fault = |source| Error::File {
        path: folder.clone(),
        source,
    };
    fs::create_dir_all(folder).map_err(fault)?;
    let (written, unreadable) = load_all::<Written>(folder).map_err(fault)?;
    if let Some(error) = unreadable.into_iter().next() {
        return Err(error.into());
    }
    let mut state = lock(&service.state);
    for Written(document) in written {
        let policy = Policy::try_from(&document)?;
        let key = policy.key.clone();
        state.policies.insert(key, Stored { document, policy });
    }
    Ok(())
}
