//! Plugs containers into networks and out of them: now if they run, at the next start else.
//!
//! A running container's record says what is about to change before anything is touched. A daemon that dies in between
//! leaves a successor who knows what to finish: what was being unplugged goes, and what was being plugged in stays if the
//! record came to know its endpoint. The names in `/etc` follow the record when an endpoint comes and precede it when one
//! goes, so that the lines to write or to take out are known at any moment.

use std::sync::Arc;

use hakone_engine_api::wire;
use tracing::warn;

use crate::{
    Error, Network, Replug, Replugged, bundle,
    container::Container,
    inner::Inner,
    record::{Record, Replugging},
};

impl Inner {
    /// Connects a container to a network.
    pub(crate) async fn connect_network(
        self: &Arc<Self>,
        container: &Arc<Container>,
        typed: &str,
        settings: wire::EndpointSettings,
    ) -> Result<(), Error> {
        let _operation = container.operation.lock().await;
        let network = self.neighbours.networks.lookup(typed)?;
        let runs = container.state().has_process();
        container.with(|record| may_connect(record, &network, runs))?;
        if !runs {
            self.neighbours.networks.check(&network.name, &settings)?;
            return container.change(|record| {
                let settings = wire::EndpointSettings {
                    dns_names: names(record, &network, settings.aliases.as_deref()),
                    ..settings
                };
                record.leave_network(&network);
                record.networks.insert(network.name.clone(), settings);
                record.sandbox = None;
            });
        }
        let pid = intend(container, Replug::Connect, &network)?;
        let networks = &self.neighbours.networks;
        let plugged = networks.connect(&container.id, pid, &network.name, settings.clone());
        let plugged = given_up(container, plugged.await)?;
        container.change(|record| {
            record.networks.insert(network.name.clone(), settings);
            record.sandbox = Some(plugged.sandbox.clone());
        })?;
        let named = bundle::change_names(&container.folder, &plugged.was, &plugged.etc);
        container.change(|record| record.replugging = None)?;
        named
    }

    /// Disconnects a container from a network.
    pub(crate) async fn disconnect_network(
        self: &Arc<Self>,
        container: &Arc<Container>,
        typed: &str,
        force: bool,
    ) -> Result<(), Error> {
        let _operation = container.operation.lock().await;
        let network = self.neighbours.networks.lookup(typed)?;
        let runs = container.state().has_process();
        if !container.with(|record| record.knows_network(&network.id, &network.name)) {
            let which = if runs { "network" } else { "the network" };
            return Err(Error::Supervisor(format!(
                "container {} is not connected to {which} {}",
                container.id, network.name
            )));
        }
        if !runs {
            return container.change(|record| {
                record.leave_network(&network);
                record.sandbox = None;
            });
        }
        let pid = intend(container, Replug::Disconnect, &network)?;
        let networks = &self.neighbours.networks;
        let unplugged = networks.disconnect(&container.id, pid, &network.name, force);
        let unplugged = given_up(container, unplugged.await)?;
        left(container, &network, unplugged)
    }

    /// Finishes for a running container what the death of a former daemon cut off.
    pub(crate) async fn finish_replugging(
        &self,
        container: &Container,
        pid: i32,
    ) -> Result<(), Error> {
        let Some(Replugging { change, network }) =
            container.with(|record| record.replugging.clone())
        else {
            return Ok(());
        };
        let networks = &self.neighbours.networks;
        let mended = networks
            .mend(&container.id, pid, &network.id, change)
            .await?;
        match change {
            Replug::Disconnect => left(container, &network, mended),
            Replug::Connect => {
                bundle::change_names(&container.folder, &mended.was, &mended.etc)?;
                container.change(|record| record.replugging = None)
            }
        }
    }
}

/// Ends, in the record of a container that runs no more, a change that nobody can finish in the kernel.
pub(crate) fn abandon_replugging(container: &Container) -> Result<(), Error> {
    let Some(Replugging { change, network }) = container.with(|record| record.replugging.clone())
    else {
        return Ok(());
    };
    container.change(|record| {
        record.replugging = None;
        match change {
            Replug::Disconnect => record.leave_network(&network),
            Replug::Connect => (),
        }
    })
}

/// The names that a container will have on a network of the user's.
fn names(record: &Record, network: &Network, aliases: Option<&[String]>) -> Option<Vec<String>> {
    if matches!(network.name.as_str(), "bridge" | "host" | "none") {
        return None;
    }
    let mut all = vec![record.name.to_string()];
    all.extend(aliases.unwrap_or_default().iter().cloned());
    all.push(record.id.short().to_owned());
    all.extend(
        record
            .config
            .hostname
            .clone()
            .filter(|name| !name.is_empty()),
    );
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|name| seen.insert(name.clone()));
    Some(all)
}

/// A container that does not run may change the settings of a network that it is on.
fn may_connect(record: &Record, network: &Network, runs: bool) -> Result<(), Error> {
    let mode = record.host.network_mode.as_deref().unwrap_or_default();
    if mode == "host" || mode.starts_with("container:") {
        return Err(Error::Invalid(format!(
            "container sharing network namespace with another container or host cannot be connected to any other network: {mode}"
        )));
    }
    if network.name == "host" {
        return Err(Error::Invalid(
            "container cannot be disconnected from host network or connected to host network"
                .to_owned(),
        ));
    }
    match runs && record.knows_network(&network.id, &network.name) {
        true => Err(Error::Forbidden(format!(
            "endpoint with name {} already exists in network {}",
            record.name, network.name
        ))),
        false => Ok(()),
    }
}

/// Says in the record what is about to change; gives the container's process.
fn intend(container: &Container, change: Replug, network: &Network) -> Result<i32, Error> {
    let network = network.clone();
    container.change(|record| record.replugging = Some(Replugging { change, network }))?;
    Ok(container.with(|record| record.run.pid))
}

/// Takes the intent back when the change was refused, which undoes itself.
fn given_up<T, E: Into<Error>>(container: &Container, outcome: Result<T, E>) -> Result<T, Error> {
    if outcome.is_err()
        && let Err(error) = container.change(|record| record.replugging = None)
    {
        warn!(container.id = %container.id, %error, "a refused change of networks stays in the record");
    }
    outcome.map_err(Into::into)
}

/// Records that a container left a network, after its names were taken from it.
fn left(container: &Container, network: &Network, unplugged: Replugged) -> Result<(), Error> {
    let named = bundle::change_names(&container.folder, &unplugged.was, &unplugged.etc);
    container.change(|record| {
        record.leave_network(network);
        record.sandbox = Some(unplugged.sandbox);
        record.replugging = None;
    })?;
    named
}
