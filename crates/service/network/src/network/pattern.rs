//! Finds the pattern of a network that is made by one (`--config-from`), and keeps patterns that networks were made by.

use crate::{Error, NetworkSpec, state::State};

/// Fills a network in from its pattern, if it names one.
pub(super) fn apply(spec: NetworkSpec, state: &State) -> Result<NetworkSpec, Error> {
    spec.check_pattern()?;
    let Some(from) = &spec.config_from else {
        return Ok(spec);
    };
    let found = state.network(from).ok();
    let pattern = found.filter(|network| network.spec.config_only);
    let pattern = pattern.ok_or_else(|| Error::NoPattern(from.clone()))?;
    Ok(spec.patterned(&pattern.spec)?)
}

/// Refuses to remove a pattern that networks were made by.
pub(super) fn unused(name: &str, state: &State) -> Result<(), Error> {
    let mut networks = state.networks.values();
    match networks.any(|network| network.spec.config_from.as_deref() == Some(name)) {
        true => Err(Error::PatternInUse(name.to_owned())),
        false => Ok(()),
    }
}
