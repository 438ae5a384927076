//! Plugs containers into networks and out of them: now if they run, at the next start else.

use std::sync::Arc;

use hakone_engine_api::wire;

use crate::{Error, Replugged, Sandbox, bundle, container::Container, inner::Inner};

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
        let (running, mode, name, known) = container.with(|record| {
            let mode = record.host.network_mode.clone().unwrap_or_default();
            let known = record.knows_network(&network.id, &network.name);
            (record.state.has_process(), mode, record.name.clone(), known)
        });
        if mode == "host" || mode.starts_with("container:") {
            return Err(Error::Invalid(format!(
                "container sharing network namespace with another container or host cannot be connected to any other network: {mode}"
            )));
        }
        if known {
            return Err(Error::Forbidden(format!(
                "endpoint with name {name} already exists in network {}",
                network.name
            )));
        }
        let sandbox = match running {
            true => {
                let networks = &self.neighbours.networks;
                let pid = container.with(|record| record.run.pid);
                let plugged = networks.connect(&container.id, pid, &network.name, settings.clone());
                Some(adopt(container, plugged.await?)?)
            }
            false => None,
        };
        container.change(|record| {
            record.networks.insert(network.name.clone(), settings);
            record.sandbox = sandbox;
        })
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
        let (running, known) = container.with(|record| {
            let known = record.knows_network(&network.id, &network.name);
            (record.state.has_process(), known)
        });
        if !known {
            return Err(Error::Supervisor(format!(
                "container {} is not connected to network {}",
                container.id, network.name
            )));
        }
        let sandbox = match running {
            true => {
                let networks = &self.neighbours.networks;
                let pid = container.with(|record| record.run.pid);
                let unplugged = networks.disconnect(&container.id, pid, &network.name, force);
                Some(adopt(container, unplugged.await?)?)
            }
            false => None,
        };
        container.change(|record| {
            let names = [network.name.as_str(), network.id.as_str()];
            record
                .networks
                .retain(|name, _| !names.contains(&name.as_str()));
            record.sandbox = sandbox;
        })
    }
}

/// Lets a running container see its names as they are now.
fn adopt(container: &Container, replugged: Replugged) -> Result<Sandbox, Error> {
    bundle::write_names(&container.folder, &replugged.etc)?;
    Ok(replugged.sandbox)
}
