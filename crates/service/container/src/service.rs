//! The service's public face: every call that the Engine API makes on containers.
//!
//! Calls that change something run in tasks of the service's own: a caller that leaves at any await leaves no half work.
//! All of them are cancellation safe in that sense; those that only read are so by nature.

use std::{
    fs,
    future::Future,
    sync::{Arc, atomic::Ordering},
};

use hakone_base::{ContainerId, Digest, Secret};
use hakone_container_record::{Entry, LIST_FILTERS, PRUNE_FILTERS};
use hakone_control::Link;
use hakone_engine_api::{Filters, wire};
use hakone_events::Bus;
use hakone_spec::Defaults;
use hakone_supervision::{Request, WindowSize};
use serde_json::Value;

use crate::{
    AttachOptions, AttachStream, Config, Counts, CreateRequest, Created, Error, ExecStarted,
    Glance, ImageUse, Inside, ListOptions, LogOptions, LogStream, Neighbours, Probes, Pruned,
    RemoveOptions, Size, StopOptions, WaitCondition, Waited,
    container::{Container, hold},
    exec, facts,
    inner::{Inner, blocking, share},
    remap::Ranges,
    state::State,
    table::Table,
    wait,
};

/// A handle on the container service; clones share it.
#[derive(Clone, Debug)]
pub struct Service(Arc<Inner>);

impl Service {
    /// The keys that list filters may have.
    pub const LIST_FILTERS: &[&str] = LIST_FILTERS;
    /// The keys that prune filters may have.
    pub const PRUNE_FILTERS: &[&str] = PRUNE_FILTERS;

    /// Gives what containers get that ask for nothing.
    #[must_use]
    pub fn defaults(&self) -> &Defaults {
        &self.0.defaults
    }

    /// Reads all records, takes over running containers, applies restart policies.
    ///
    /// # Errors
    /// When the data root cannot be read.
    pub async fn open(config: Config, neighbours: Neighbours, events: Bus) -> Result<Self, Error> {
        let run = config.run_root.join("containers");
        fs::create_dir_all(&run).map_err(Error::host("make", &run))?;
        let facts = facts::read(None);
        let defaults = config.defaults(facts.cgroup)?;
        let ranges = Ranges::read(config.userns_remap.as_deref())?;
        let inner = Arc::new(Inner {
            config,
            neighbours,
            events,
            table: Table::default(),
            facts,
            defaults,
            ranges,
            projects: Arc::default(),
            probes: Default::default(),
            closing: tokio::sync::watch::Sender::new(false),
        });
        inner.restore().await?;
        Ok(Self(inner))
    }

    /// Ends restarts; containers and their supervisors go on without us.
    pub async fn close(&self) {
        self.0.closing.send_replace(true);
        let parent = self.0.config.cgroup_parent.clone();
        let removed = blocking(move || {
            hakone_cgroup::remove_parent(&parent);
            Ok(())
        });
        removed.await.ok();
    }

    /// Makes a container.
    ///
    /// # Errors
    /// When the image is missing, the name taken, or the request refused.
    pub async fn create(&self, request: CreateRequest) -> Result<Created, Error> {
        let inner = share(&self.0);
        Inner::own(async move { inner.create(request).await }).await
    }

    /// Starts a container.
    ///
    /// # Errors
    /// When it runs already ([`Error::NotModified`]) or cannot be started; then nothing of the start is left.
    pub async fn start(&self, container: &str) -> Result<(), Error> {
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.start(&container).await }).await
    }

    /// Starts a container with variables that are in no record and on no disk: its next start does not have them.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        &self,
        container: &str,
        environment: Vec<Secret<String>>,
    ) -> Result<(), Error> {
        let (inner, container) = self.find(container)?;
        *hold(&container.lent) = environment;
        Inner::own(async move { inner.start(&container).await }).await
    }

    /// Stops a container.
    ///
    /// # Errors
    /// When it does not run ([`Error::NotModified`]) or does not die.
    pub async fn stop(&self, container: &str, options: StopOptions) -> Result<(), Error> {
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.stop(&container, &options).await }).await
    }

    /// Stops a container if it runs, and starts it.
    ///
    /// # Errors
    /// As [`Self::stop`] and [`Self::start`].
    pub async fn restart(&self, container: &str, options: StopOptions) -> Result<(), Error> {
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.restart(&container, &options).await }).await
    }

    /// Sends a signal, SIGKILL by default.
    ///
    /// # Errors
    /// When the container does not run or the signal is none.
    pub async fn kill(&self, container: &str, signal: Option<&str>) -> Result<(), Error> {
        let killed = self.kill_found(container, signal.map(str::to_owned)).await;
        killed.map_err(|error| Error::Kill {
            container: container.to_owned(),
            source: Box::new(error),
        })
    }

    async fn kill_found(&self, container: &str, signal: Option<String>) -> Result<(), Error> {
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.kill(&container, signal.as_deref()).await }).await
    }

    /// Freezes a container.
    ///
    /// # Errors
    /// When it does not run or is frozen.
    pub async fn pause(&self, container: &str) -> Result<(), Error> {
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.pause(&container).await }).await
    }

    /// Thaws a container.
    ///
    /// # Errors
    /// When it is not frozen.
    pub async fn unpause(&self, container: &str) -> Result<(), Error> {
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.unpause(&container).await }).await
    }

    /// Changes limits and restart policy; gives what the user should know.
    ///
    /// # Errors
    /// When a limit is refused, or contradicts what is set.
    pub async fn update(
        &self,
        container: &str,
        body: wire::ContainerUpdateBody,
    ) -> Result<Vec<String>, Error> {
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.update(&container, body).await }).await
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// When the name is none, its own, or taken.
    pub async fn rename(&self, container: &str, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.rename(&container, &name).await }).await
    }

    /// Arms a wait at once; the wait itself is the future given back.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn wait(
        &self,
        container: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = Waited> + Send + use<>, Error> {
        let container = self.0.table.lookup(container)?;
        Ok(wait::arm(&container, condition))
    }

    /// Removes a container.
    ///
    /// # Errors
    /// When it runs and `force` is not given, or cannot be removed.
    pub async fn remove(&self, container: &str, options: RemoveOptions) -> Result<(), Error> {
        if options.link {
            let (inner, name) = (share(&self.0), container.to_owned());
            return Inner::own(async move { inner.unlink(&name).await }).await;
        }
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.remove(&container, options).await }).await
    }

    /// Removes all containers that do not run and pass the filters.
    ///
    /// # Errors
    /// When a filter's value is refused.
    pub async fn prune(&self, filters: Filters) -> Result<Pruned, Error> {
        let inner = share(&self.0);
        Inner::own(async move { inner.prune(&filters).await }).await
    }

    /// Lists containers, newest first, each in the API's shape.
    ///
    /// # Errors
    /// When a filter's value is refused.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<Entry>, Error> {
        self.0.list(&options).await
    }

    /// Shows all of a container in the API's shape.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn inspect(&self, container: &str, size: bool) -> Result<Value, Error> {
        let container = self.0.table.lookup(container)?;
        Ok(self.0.inspect(&container, size).await)
    }

    /// Reads a container's log.
    ///
    /// # Errors
    /// When no stream is chosen or the log driver keeps nothing.
    pub async fn logs(&self, container: &str, options: LogOptions) -> Result<LogStream, Error> {
        self.0.logs(container, options)
    }

    /// Attaches to a container, before or after its start.
    ///
    /// # Errors
    /// When its state does not allow it.
    pub async fn attach(
        &self,
        container: &str,
        options: AttachOptions,
    ) -> Result<AttachStream, Error> {
        self.0.attach(container, options).await
    }

    /// Resizes a container's terminal.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn resize(&self, container: &str, size: Size) -> Result<(), Error> {
        let (inner, container) = self.find(container)?;
        container.state().needs_process(&container.id)?;
        // Without a terminal there is nothing to resize, and that is no error.
        if !container.with(crate::record::Record::terminal) {
            return Ok(());
        }
        let request = Request::Resize(WindowSize {
            rows: size.rows,
            cols: size.cols,
        });
        exec::resized(Link::ask(&container.run_folder, &request).await)?;
        let attributes = [
            ("height", size.rows.to_string()),
            ("width", size.cols.to_string()),
        ];
        inner.announce(&container, "resize", &attributes);
        Ok(())
    }

    /// Notes a command to be run in a container; gives its id.
    ///
    /// # Errors
    /// When the container's state does not allow it or there is no command.
    pub async fn exec_create(
        &self,
        container: &str,
        config: wire::ExecConfig,
    ) -> Result<String, Error> {
        Ok(self.0.exec_create(container, config)?.to_string())
    }

    /// Runs it. A failure to start is told on the stream of an attached client, as Docker does.
    ///
    /// # Errors
    /// When there is no such command, or a detached one could not be started.
    pub async fn exec_start(
        &self,
        exec: &str,
        config: wire::ExecStartConfig,
    ) -> Result<ExecStarted, Error> {
        let (inner, exec) = (share(&self.0), exec.to_owned());
        Inner::own(async move { inner.exec_start(&exec, config).await }).await
    }

    /// Resizes its terminal.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn exec_resize(&self, exec: &str, size: Size) -> Result<(), Error> {
        self.0.exec_resize(exec, size).await
    }

    /// Shows it in the API's shape.
    ///
    /// # Errors
    /// When there is no such command.
    pub fn exec_inspect(&self, exec: &str) -> Result<Value, Error> {
        self.0.exec_inspect(exec)
    }

    /// Reports whether a command has a terminal, which decides the content type of its stream.
    ///
    /// # Errors
    /// When there is no such command.
    pub fn exec_terminal(&self, exec: &str) -> Result<bool, Error> {
        Ok(self.0.exec(exec)?.1.terminal())
    }

    /// Plugs a container into a network, at once if it runs, else at its next start.
    ///
    /// # Errors
    /// When it shares another's namespace, is on the network already, or the network refuses.
    pub async fn connect_network(
        &self,
        container: &str,
        network: &str,
        settings: wire::EndpointSettings,
    ) -> Result<(), Error> {
        let network = network.to_owned();
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.connect_network(&container, &network, settings).await }).await
    }

    /// Unplugs a container from a network.
    ///
    /// # Errors
    /// When it is not on the network.
    pub async fn disconnect_network(
        &self,
        container: &str,
        network: &str,
        force: bool,
    ) -> Result<(), Error> {
        let network = network.to_owned();
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.disconnect_network(&container, &network, force).await }).await
    }

    /// Holds a container open for whoever looks into it; [`Self::leave`] lets it go.
    ///
    /// # Errors
    /// When there is no such container, or its volumes cannot be reached.
    pub async fn enter(&self, container: &str) -> Result<Inside, Error> {
        let (inner, container) = self.find(container)?;
        Inner::own(async move { inner.enter(&container).await }).await
    }

    /// Lets a container go.
    pub async fn leave(&self, inside: Inside) {
        self.0.leave(inside).await;
    }

    /// Tells how a container stands now, without holding it.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn glance(&self, container: &str) -> Result<Glance, Error> {
        Ok(self.0.glance(&*self.0.table.lookup(container)?))
    }

    /// Announces what another capability did to a container.
    pub fn announce(&self, id: &ContainerId, action: &str, extra: &[(&str, String)]) {
        if let Ok(container) = self.0.table.lookup(id.as_str()) {
            self.0.announce(&container, action, extra);
        }
    }

    /// Finds a container by id, name, or id prefix.
    ///
    /// # Errors
    /// When none or several fit.
    pub fn lookup(&self, container: &str) -> Result<ContainerId, Error> {
        Ok(self.0.table.lookup(container)?.id.clone())
    }

    /// Counts health probes since the daemon's start.
    #[must_use]
    pub fn probes(&self) -> Probes {
        Probes {
            total: self.0.probes.total.load(Ordering::Relaxed),
            failed: self.0.probes.failed.load(Ordering::Relaxed),
        }
    }

    /// Counts containers by state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for container in self.0.table.all() {
            match container.state() {
                State::Running | State::Restarting => counts.running += 1,
                State::Paused => counts.paused += 1,
                State::Created | State::Removing | State::Exited | State::Dead => {
                    counts.stopped += 1;
                }
            }
        }
        counts
    }

    /// Tells which containers use which images.
    #[must_use]
    pub fn image_uses(&self) -> Vec<ImageUse> {
        let all = self.0.table.all().into_iter();
        all.flat_map(|container| container.with(uses)).collect()
    }

    fn find(&self, typed: &str) -> Result<(Arc<Inner>, Arc<Container>), Error> {
        Ok((share(&self.0), self.0.table.lookup(typed)?))
    }
}

/// The image that a container is of, and those that it shows besides.
fn uses(record: &hakone_container_record::Record) -> Vec<ImageUse> {
    let one = |image: Digest, reference: &str| ImageUse {
        container: record.id.clone(),
        image,
        reference: reference.to_owned(),
        running: record.state.is_running(),
    };
    let mounted = record.mounts.iter().filter_map(|mount| {
        let image = mount.image.as_ref()?;
        Some(one(mount.source.parse().ok()?, &image.reference))
    });
    let own = one(record.image.clone(), &record.image_reference);
    std::iter::once(own).chain(mounted).collect()
}
