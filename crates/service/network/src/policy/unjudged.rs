//! Refuses policies about endpoints that nobody judges: on a macvlan network, or a plugin's, packets pass no rule of IP, and a policy there would be a
//! promise that nobody keeps.

use hakone_base::ContainerId;
use hakone_network_policy::Policy;

use crate::{
    Error,
    service::{Inner, lock},
    state::State,
    topology::{identity, of_labels},
};

/// Refuses when one of the policies selects an endpoint that nobody judges.
pub(crate) fn refuse_about(state: &State, policies: &[Policy]) -> Result<(), Error> {
    let all = state.sandboxes.keys();
    all.into_iter()
        .try_for_each(|container| refuse(state, container, policies))
}

/// Refuses a container on such a network that a policy, or its own labels, is about.
pub(crate) fn refuse_unjudged(service: &Inner, container: &ContainerId) -> Result<(), Error> {
    let state = lock(&service.state);
    let stored = state.policies.values().map(|stored| stored.policy.clone());
    let Some(attached) = state.sandboxes.get(container) else {
        return Ok(());
    };
    let own = of_labels(&state, container, attached);
    let policies: Vec<Policy> = stored.chain(own).collect();
    refuse(&state, container, &policies)
}

fn refuse(state: &State, container: &ContainerId, policies: &[Policy]) -> Result<(), Error> {
    let Some(attached) = state.sandboxes.get(container) else {
        return Ok(());
    };
    for endpoint in &attached.report.endpoints {
        let network = state.networks.get(&endpoint.network);
        let Some(network) = network.filter(|one| !one.is_judged()) else {
            continue;
        };
        let Some(identity) = identity(state, container, &attached.report, endpoint) else {
            continue;
        };
        let closes = |one: &&Policy| one.ingress.is_some() || one.egress.is_some();
        let mut closing = policies.iter().filter(closes);
        if let Some(policy) = closing.find(|one| one.selects(&identity)) {
            return Err(Error::Unjudged {
                policy: policy.key.clone(),
                container: attached.report.name.to_string(),
                network: endpoint.network_name.clone(),
                driver: network.spec.driver_name().to_owned(),
            });
        }
    }
    Ok(())
}
