//! The service's public face: every call that the Engine API makes on containers.

use std::future::Future;

use hakone_base::ContainerId;
use hakone_engine_api::{Filters, wire};
use hakone_events::Bus;
use serde_json::Value;

use crate::{
    AttachOptions, AttachStream, Config, Counts, CreateRequest, Created, Error, ExecStarted,
    ImageUse, ListOptions, LogOptions, LogStream, Neighbours, Pruned, RemoveOptions, Size,
    StopOptions, WaitCondition, Waited,
};

/// A handle on the container service; clones share it.
#[derive(Clone, Debug)]
pub struct Service {
    config: Config,
}

impl Service {
    /// The keys that list filters may have.
    pub const LIST_FILTERS: &[&str] = &[
        "ancestor",
        "before",
        "exited",
        "expose",
        "health",
        "id",
        "is-task",
        "isolation",
        "label",
        "name",
        "network",
        "publish",
        "since",
        "status",
        "volume",
    ];
    /// The keys that prune filters may have.
    pub const PRUNE_FILTERS: &[&str] = &["label", "label!", "until"];

    /// Reads all records, takes over running containers, applies restart policies.
    pub async fn open(
        config: Config,
        _neighbours: Neighbours,
        _events: Bus,
    ) -> Result<Self, Error> {
        Ok(Self { config })
    }
    /// Stops watching; containers go on.
    pub async fn close(&self) {}
    /// Makes a container.
    pub async fn create(&self, _request: CreateRequest) -> Result<Created, Error> {
        Err(Error::Closing)
    }
    /// Starts a container.
    pub async fn start(&self, _container: &str) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Stops a container.
    pub async fn stop(&self, _container: &str, _options: StopOptions) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Stops and starts a container.
    pub async fn restart(&self, _container: &str, _options: StopOptions) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Sends a signal, SIGKILL by default.
    pub async fn kill(&self, _container: &str, _signal: Option<&str>) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Freezes a container.
    pub async fn pause(&self, _container: &str) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Thaws a container.
    pub async fn unpause(&self, _container: &str) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Gives a container another name.
    pub async fn rename(&self, _container: &str, _name: &str) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Arms a wait; the wait itself is the future given back.
    pub fn wait(
        &self,
        _container: &str,
        _condition: WaitCondition,
    ) -> Result<impl Future<Output = Waited> + Send + use<>, Error> {
        Ok(std::future::pending())
    }
    /// Removes a container.
    pub async fn remove(&self, _container: &str, _options: RemoveOptions) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Removes all containers that do not run and pass the filters.
    pub async fn prune(&self, _filters: Filters) -> Result<Pruned, Error> {
        Err(Error::Closing)
    }
    /// Lists containers, newest first, each in the API's shape.
    pub async fn list(&self, _options: ListOptions) -> Result<Vec<Value>, Error> {
        Err(Error::Closing)
    }
    /// Shows all of a container in the API's shape.
    pub async fn inspect(&self, _container: &str, _size: bool) -> Result<Value, Error> {
        Err(Error::Closing)
    }
    /// Reads a container's log.
    pub async fn logs(&self, _container: &str, _options: LogOptions) -> Result<LogStream, Error> {
        Err(Error::Closing)
    }
    /// Attaches to a container, before or after its start.
    pub async fn attach(
        &self,
        _container: &str,
        _options: AttachOptions,
    ) -> Result<AttachStream, Error> {
        Err(Error::Closing)
    }
    /// Resizes a container's terminal.
    pub async fn resize(&self, _container: &str, _size: Size) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Notes a command to be run in a container; gives its id.
    pub async fn exec_create(
        &self,
        _container: &str,
        _config: wire::ExecConfig,
    ) -> Result<String, Error> {
        Err(Error::Closing)
    }
    /// Runs it.
    pub async fn exec_start(
        &self,
        _exec: &str,
        _config: wire::ExecStartConfig,
    ) -> Result<ExecStarted, Error> {
        Err(Error::Closing)
    }
    /// Resizes its terminal.
    pub async fn exec_resize(&self, _exec: &str, _size: Size) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Shows it in the API's shape.
    pub fn exec_inspect(&self, _exec: &str) -> Result<Value, Error> {
        Err(Error::Closing)
    }
    /// Plugs a container into a network, at once if it runs, else at its next start.
    pub async fn connect_network(
        &self,
        _container: &str,
        _network: &str,
        _settings: wire::EndpointSettings,
    ) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Unplugs a container from a network.
    pub async fn disconnect_network(
        &self,
        _container: &str,
        _network: &str,
        _force: bool,
    ) -> Result<(), Error> {
        Err(Error::Closing)
    }
    /// Finds a container by id, name, or id prefix.
    pub fn lookup(&self, _container: &str) -> Result<ContainerId, Error> {
        Err(Error::Closing)
    }
    /// Counts containers by state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
    /// Tells which containers use which images.
    #[must_use]
    pub fn image_uses(&self) -> Vec<ImageUse> {
        Vec::new()
    }
}
