//! Says why one container reaches a port of another, or does not: which policy, which rule, which network.

use std::net::IpAddr;

use hakone_base::ExposedPort;
use hakone_policy::Explanation;

use crate::{
    Error,
    service::{Inner, lock},
    state::State,
    topology,
};

/// Explains a flow between two ends, each a container's name, its id, or an address.
pub(crate) fn explain(
    service: &Inner,
    from: &str,
    to: &str,
    port: ExposedPort,
) -> Result<Explanation, Error> {
    let (topology, own, other) = {
        let state = lock(&service.state);
        let topology = topology::of(&state, &topology::Given::default());
        (topology, addresses(&state, from)?, addresses(&state, to)?)
    };
    let nothing = || Error::Invalid(format!("{from} and {to} have no addresses of one family"));
    hakone_policy::explain(&topology, &own, &other, port).ok_or_else(nothing)
}

fn addresses(state: &State, name: &str) -> Result<Vec<IpAddr>, Error> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let mut sandboxes = state.sandboxes.iter();
    let found = sandboxes.find(|(id, attached)| {
        attached.report.name.as_str() == name || id.as_str().starts_with(name)
    });
    let (_, attached) = found.ok_or_else(|| Error::NoContainer(name.to_owned()))?;
    let endpoints = attached.report.endpoints.iter();
    Ok(endpoints
        .flat_map(|endpoint| endpoint.addresses())
        .collect())
}
