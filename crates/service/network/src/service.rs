//! The service: networks and sandboxes behind one handle.

use std::{
    collections::BTreeMap,
    os::fd::{BorrowedFd, OwnedFd},
    sync::Arc,
};

use hakone_base::{ContainerId, ContainerName, NetworkId};
use hakone_engine_api::{Filters, wire};
use hakone_events::Bus;

use crate::{Config, EndpointRequest, Error, NetworkSpec, SandboxReport, SandboxRequest};

/// The network service; clones share it.
///
/// Every method that changes something runs on a thread of its own to the end, also when the caller's future is dropped.
#[derive(Clone, Debug)]
pub struct Service {}

/// A sandbox between [`Service::prepare`] and the container's start.
///
/// Dropped before it was wired, it gives back everything that it holds. Afterwards it only keeps the namespace alive until
/// the supervisor has it.
#[derive(Debug)]
pub struct Sandbox {
    netns: Option<OwnedFd>,
    ports: Vec<Arc<OwnedFd>>,
    report: SandboxReport,
}

impl Sandbox {
    /// Gives the namespace for the supervisor; `None` when the container uses the host's or another's.
    #[must_use]
    pub fn netns(&self) -> Option<BorrowedFd<'_>> {
        todo!()
    }

    /// Gives the sockets that reserve the published ports, for the supervisor to hold while the daemon is away.
    #[must_use]
    pub fn held(&self) -> &[Arc<OwnedFd>] {
        &self.ports
    }

    /// Tells what was decided: known before the kernel has it.
    #[must_use]
    pub fn report(&self) -> &SandboxReport {
        &self.report
    }
}

impl Service {
    /// Reads the network records, makes the default networks and their bridges. Blocks.
    ///
    /// Call [`Service::restore`] for each living container and then [`Service::settle`].
    ///
    /// # Errors
    /// When the records' folder or the kernel's network interfaces cannot be used.
    pub fn open(config: Config, events: Bus) -> Result<Self, Error> {
        todo!()
    }

    /// Creates a network.
    ///
    /// # Errors
    /// When the name is taken, the addresses overlap, or the bridge cannot be made.
    pub async fn create(&self, spec: NetworkSpec) -> Result<NetworkId, Error> {
        todo!()
    }

    /// Removes a network and its bridge; gives its id.
    ///
    /// # Errors
    /// When there is no such network, it is predefined, or it has endpoints.
    pub async fn remove(&self, network: &str) -> Result<NetworkId, Error> {
        todo!()
    }

    /// Removes the user-defined networks without endpoints that pass; gives their names.
    ///
    /// # Errors
    /// When a filter's value is wrong.
    pub async fn prune(&self, filters: &Filters) -> Result<Vec<String>, Error> {
        todo!()
    }

    /// Lists the networks that pass: `dangling driver id label name scope type`.
    ///
    /// # Errors
    /// When a filter's value is wrong.
    pub fn list(&self, filters: &Filters) -> Result<Vec<wire::Network>, Error> {
        todo!()
    }

    /// Shows a network with its endpoints.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn inspect(&self, network: &str) -> Result<wire::NetworkInspect, Error> {
        todo!()
    }

    /// Finds a network by name, id or unambiguous id prefix; gives id and name.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn resolve(&self, network: &str) -> Result<(NetworkId, String), Error> {
        todo!()
    }

    /// Connects a running container; `init` is its first process as the host numbers it.
    ///
    /// # Errors
    /// When there is no such network, the container is on it already, or the addresses cannot be had.
    pub async fn connect(
        &self,
        container: &ContainerId,
        init: i32,
        endpoint: EndpointRequest,
    ) -> Result<SandboxReport, Error> {
        todo!()
    }

    /// Disconnects a running container.
    ///
    /// # Errors
    /// When there is no such network or the container is not on it.
    pub async fn disconnect(
        &self,
        container: &ContainerId,
        init: i32,
        network: &str,
    ) -> Result<SandboxReport, Error> {
        todo!()
    }

    /// Decides addresses, reserves the published ports for real and makes the namespace.
    ///
    /// # Errors
    /// When a network is missing, an address cannot be had, or a port is busy.
    pub async fn prepare(&self, request: SandboxRequest) -> Result<Sandbox, Error> {
        todo!()
    }

    /// Makes interfaces, routes, rules and resolver; nothing gets through before the rules are loaded.
    ///
    /// # Errors
    /// When the kernel refuses; everything is given back then.
    pub async fn wire(&self, sandbox: &mut Sandbox) -> Result<SandboxReport, Error> {
        todo!()
    }

    /// Gives back a sandbox's addresses, rules and ports; without one, does nothing.
    ///
    /// # Errors
    /// When the firewall cannot be changed; the rest is given back all the same.
    pub async fn release(&self, container: &ContainerId) -> Result<(), Error> {
        todo!()
    }

    /// Takes back the sandbox of a container that outlived the daemon, with the sockets its supervisor held.
    ///
    /// # Errors
    /// When the container's namespace cannot be entered.
    pub async fn restore(
        &self,
        container: &ContainerId,
        init: i32,
        report: SandboxReport,
        held: Vec<OwnedFd>,
    ) -> Result<(), Error> {
        todo!()
    }

    /// Ends the start: loads the rules of all that was restored and removes what nobody owns any more.
    ///
    /// # Errors
    /// When the firewall cannot be loaded.
    pub async fn settle(&self) -> Result<(), Error> {
        todo!()
    }

    /// Tells the resolvers that a container has another name.
    pub fn rename(&self, container: &ContainerId, name: &ContainerName) {
        todo!()
    }

    /// Gives the present report of a container's sandbox.
    #[must_use]
    pub fn sandbox(&self, container: &ContainerId) -> Option<SandboxReport> {
        todo!()
    }

    /// Stops proxies and resolvers; bridges, interfaces and rules stay for the containers that go on.
    pub async fn shutdown(&self) {
        todo!()
    }

    /// Removes every bridge, interface and rule of ours from the host; for demos and tests.
    ///
    /// # Errors
    /// All that could not be removed, the first as the error.
    pub async fn purge(&self) -> Result<(), Error> {
        todo!()
    }
}
