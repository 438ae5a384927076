//! Which networks a filter lets through.

use hakone_base::Timestamp;
use hakone_engine_api::Filters;

use crate::{Error, record::Network, state::State};

/// Reports whether a network belongs to the list that was asked for.
pub(crate) fn lists(filters: &Filters, state: &State, network: &Network) -> Result<bool, Error> {
    let dangling = filters.flag("dangling")?;
    let in_use = state.endpoints(&network.id).next().is_some();
    let is_dangling = !in_use && !network.is_predefined();
    for kind in filters.get("type") {
        if !matches!(kind, "custom" | "builtin") {
            return Err(Error::Invalid(format!("invalid filter: 'type'='{kind}'")));
        }
    }
    let kind = match network.is_predefined() {
        true => "builtin",
        false => "custom",
    };
    Ok(dangling.is_none_or(|wanted| wanted == is_dangling)
        && filters.any("driver", |driver| driver == network.spec.driver_name())
        && filters.any("id", |id| network.id.as_str().starts_with(id))
        && filters.any("name", |name| network.name().contains(name))
        && filters.any("scope", |scope| scope == "local")
        && filters.any("type", |wanted| wanted == kind)
        && filters.labels(|key| network.spec.labels.get(key).map(String::as_str)))
}

/// Reports whether a prune takes a network away.
pub(crate) fn prunes(
    filters: &Filters,
    state: &State,
    network: &Network,
    now: Timestamp,
) -> Result<bool, Error> {
    let label = |key: &str| network.spec.labels.get(key).map(String::as_str);
    let until = filters.until(now)?;
    let old = until.is_none_or(|until| network.created < until);
    let in_use = state.endpoints(&network.id).next().is_some();
    Ok(old
        && !in_use
        && !network.is_predefined()
        && !network.spec.config_only
        && filters.labels(label)
        && !filters.excluded(label))
}
