//! The service: networks and sandboxes behind one handle.

use std::{
    collections::BTreeMap,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use hakone_base::{ContainerId, ContainerName, EventKind, ExposedPort, NetworkId, Timestamp};
use hakone_engine_api::{Filters, wire};
use hakone_events::Bus;
use hakone_network_plugin::{Ledger, Plugins};
use hakone_network_policy::{Document, PolicyKey};
use hakone_nft::{Claim, Owner};
use hakone_policy::Consent;
use hakone_reach::World;
use hakone_resolver::Directory;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::{runtime::Handle, sync::Notify, task::AbortHandle};

use crate::{
    Applied, Backend, Config, CutOff, EndpointReport, EndpointRequest, Error, Explanation,
    NetworkSpec, SandboxReport, SandboxRequest, Watcher,
    chains::Brought,
    filter, guard,
    host::{Begun, Host},
    links, network, policy, remote,
    resolver::Kept,
    sandbox::{self, Published, Sandbox, Survivor},
    state::{Attached, Stage, State},
    sweep, switched, topology, view, world,
};

/// The network service; clones share it.
///
/// Every method that changes something runs to its end on a thread of its own, also when the caller's future is dropped.
#[derive(Clone, Debug)]
pub struct Service {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) events: Bus,
    pub(crate) runtime: Handle,
    pub(crate) state: Mutex<State>,
    /// Held by whoever changes policies, before all others.
    pub(crate) policy_edits: Mutex<()>,
    /// Held by whoever edits the administrator's chains, before all others: what was brought into them last.
    pub(crate) chains: Mutex<Option<Brought>>,
    /// Taken before the state where both are needed.
    pub(crate) host: Mutex<Host>,
    /// Who asks plugins, and what they hold.
    pub(crate) plugins: Plugins,
    /// Answers the containers' questions.
    pub(crate) resolver: hakone_resolver::Server,
    /// The names of the present state, as far as somebody asked.
    pub(crate) directory: Mutex<Option<Kept<Directory>>>,
    /// What policies make of flows beside the rules, at one generation of the state.
    consent: Mutex<(u64, Arc<Consent>)>,
    pub(crate) strays: Arc<Notify>,
    pub(crate) settled: AtomicBool,
    /// The right to keep the rules of this network namespace.
    owner: Mutex<Option<Owner>>,
    /// How often rules that another program changed were put back.
    pub(crate) repairs: AtomicU64,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Service {
    /// Reads the network records, makes the default networks and all bridges. Blocks; call it on a runtime's thread.
    ///
    /// Call [`Service::restore`] for each living container and then [`Service::settle`]: until then, the rules that an
    /// earlier daemon left stay as they are.
    ///
    /// # Errors
    /// When the records' folder or the kernel's interfaces cannot be used.
    pub fn open(config: Config, events: Bus) -> Result<Self, Error> {
        let owner = config.firewall.then(own_rules).transpose()?.flatten();
        let inner = Arc::new(Inner {
            owner: Mutex::new(owner),
            host: Mutex::new(Host::open(&config)?),
            plugins: Plugins {
                folders: config.plugins.clone(),
                runtime: Handle::current(),
                ledger: Ledger::open(&config.folder)?,
            },
            config,
            events,
            runtime: Handle::current(),
            state: Mutex::default(),
            policy_edits: Mutex::default(),
            chains: Mutex::default(),
            resolver: hakone_resolver::Server::start()?,
            directory: Mutex::default(),
            consent: Mutex::default(),
            strays: Arc::default(),
            settled: AtomicBool::new(false),
            repairs: AtomicU64::new(0),
            tasks: Mutex::default(),
        });
        policy::open(&inner)?;
        network::open(&inner)?;
        let sweeping = inner.runtime.spawn(sweep::run(
            Arc::downgrade(&inner),
            Arc::clone(&inner.strays),
        ));
        let monitor = lock(&inner.host).monitor()?;
        let guarding = monitor
            .map(|monitor| guard::start(&inner, monitor))
            .transpose()?;
        let chains = lock(&inner.host).chains.clone();
        let silent = chains.is_some_and(|chains| chains.is_silent());
        let looking = silent.then(|| inner.runtime.spawn(guard::look(Arc::downgrade(&inner))));
        let asked = Arc::clone(&lock(&inner.host).asked);
        let switched = switched::run(Arc::downgrade(&inner), asked);
        let switched = inner.runtime.spawn(switched);
        let parameters = links::look_at_parameters(Arc::downgrade(&inner));
        let parameters = inner.runtime.spawn(parameters);
        let links = links::start(&inner)?;
        let tasks = guarding.into_iter().chain(looking);
        let tasks = tasks.chain([sweeping, switched, parameters, links]);
        lock(&inner.tasks).extend(tasks.map(|task| task.abort_handle()));
        Ok(Self { inner })
    }

    /// Creates a network.
    ///
    /// # Errors
    /// When the name is taken, the addresses overlap, or the bridge cannot be made.
    pub async fn create(&self, spec: NetworkSpec) -> Result<NetworkId, Error> {
        self.run(move |service| network::create(service, spec))
            .await
    }

    /// Removes a network and its bridge; gives its id.
    ///
    /// # Errors
    /// When there is no such network, it is predefined, or it has endpoints.
    pub async fn remove(&self, network: &str) -> Result<NetworkId, Error> {
        let network = network.to_owned();
        self.run(move |service| network::remove(service, &network))
            .await
    }

    /// Removes the user-defined networks without endpoints that pass (`label label! until`); gives their names.
    ///
    /// # Errors
    /// When a filter's value is wrong.
    pub async fn prune(&self, filters: &Filters) -> Result<Vec<String>, Error> {
        let filters = filters.clone();
        self.run(move |service| network::prune(service, &filters))
            .await
    }

    /// Lists the networks that pass (`dangling driver id label name scope type`), newest first.
    ///
    /// # Errors
    /// When a filter's value is wrong.
    pub fn list(&self, filters: &Filters) -> Result<Vec<wire::Network>, Error> {
        let state = lock(&self.inner.state);
        let mut found = Vec::new();
        for network in state.networks.values() {
            if filter::lists(filters, &state, network)? {
                found.push(network);
            }
        }
        found.sort_by_key(|network| std::cmp::Reverse(network.created));
        Ok(found.into_iter().map(view::summary).collect())
    }

    /// Shows a network with its endpoints.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn inspect(&self, network: &str) -> Result<wire::NetworkInspect, Error> {
        let state = lock(&self.inner.state);
        Ok(view::inspect(&state, state.network(network)?))
    }

    /// Says what a network does not allow of an endpoint, before anything is made; one that is not there allows everything.
    ///
    /// # Errors
    /// When its settings do not fit the network.
    pub fn check(&self, asked: &EndpointRequest) -> Result<(), Error> {
        let state = lock(&self.inner.state);
        match state.network(&asked.network) {
            Ok(network) => {
                sandbox::check(network, asked)?;
                sandbox::check_aliases(&state, network, asked, self.inner.config.hardened)
            }
            Err(_) => Ok(()),
        }
    }

    /// Finds a network by name, id or unambiguous id prefix; gives id and name.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn resolve(&self, network: &str) -> Result<(NetworkId, String), Error> {
        let state = lock(&self.inner.state);
        let found = state.network(network)?;
        Ok((found.id.clone(), found.name().to_owned()))
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
        let container = container.clone();
        self.run(move |service| sandbox::connect(service, &container, init, &endpoint))
            .await
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
        let (container, network) = (container.clone(), network.to_owned());
        self.run(move |service| sandbox::disconnect(service, &container, init, &network))
            .await
    }

    /// Finishes a change that a daemon's death cut off, after [`Service::restore`] and before [`Service::settle`]; gives
    /// the sandbox as its files were told of it, and as it is.
    ///
    /// # Errors
    /// When the container was not restored or its namespace cannot be entered.
    pub async fn mend(
        &self,
        container: &ContainerId,
        init: i32,
        cut: CutOff,
    ) -> Result<(SandboxReport, SandboxReport), Error> {
        let container = container.clone();
        self.run(move |service| sandbox::mend(service, &container, init, &cut))
            .await
    }

    /// Decides addresses, reserves the published ports for real and makes the namespace.
    ///
    /// # Errors
    /// When a network is missing, an address cannot be had, or a port is busy.
    pub async fn prepare(&self, request: SandboxRequest) -> Result<Sandbox, Error> {
        self.run(move |service| sandbox::prepare(service, &request))
            .await
    }

    /// Makes interfaces, routes, rules and resolver; nothing gets through before the rules are loaded.
    ///
    /// # Errors
    /// When the kernel refuses; everything is given back then.
    pub async fn wire(&self, sandbox: &mut Sandbox) -> Result<SandboxReport, Error> {
        match sandbox.take_wiring() {
            Some(wiring) => {
                self.run(move |service| sandbox::wire(service, wiring))
                    .await
            }
            None => Ok(sandbox.report().clone()),
        }
    }

    /// Gives back a sandbox's addresses, rules and ports; without one, does nothing.
    ///
    /// # Errors
    /// When the firewall cannot be changed; the rest is given back all the same.
    pub async fn release(&self, container: &ContainerId) -> Result<(), Error> {
        let container = container.clone();
        self.run(move |service| sandbox::release(service, &container, Published::Freed))
            .await
    }

    /// As [`Service::release`], but the published ports stay the container's for its next run: closed, and nobody else's until
    /// [`Service::prepare`] or [`Service::free_ports`].
    ///
    /// # Errors
    /// As [`Service::release`].
    pub async fn rest(&self, container: &ContainerId) -> Result<(), Error> {
        let container = container.clone();
        self.run(move |service| sandbox::release(service, &container, Published::Kept))
            .await
    }

    /// Gives up the ports of a container that rested and does not run again; without any, does nothing.
    pub fn free_ports(&self, container: &ContainerId) {
        sandbox::free_ports(&self.inner, container);
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
        let container = container.clone();
        let survivor = Survivor {
            container,
            init,
            report,
            held,
        };
        self.run(move |service| sandbox::restore(service, survivor))
            .await
    }

    /// Ends the start: loads the rules of all that was restored and removes what nobody owns any more.
    ///
    /// # Errors
    /// When the firewall cannot be loaded.
    pub async fn settle(&self) -> Result<(), Error> {
        self.run(|service| {
            service.settled.store(true, Ordering::Release);
            let mut host = lock(&service.host);
            host.load_rules(&service.state)?;
            host.load_relays(&service.state)?;
            links::mend_all(service, &mut host);
            host.leave_other_backend();
            host.forget_unowned(&service.state);
            host.cut_flows(&service.state, Begun::ByTheseRules);
            drop(host);
            sweep::sweep(service)
        })
        .await?;
        // Plugins may be slow, or not there yet: nobody waits for them.
        let inner = Arc::clone(&self.inner);
        let reconciling = move || remote::reconcile(&inner);
        drop(self.inner.runtime.spawn_blocking(reconciling));
        Ok(())
    }

    /// Applies the policies of a text, YAML or JSON: all of them, or none. Not cancellable: it ends what it began.
    ///
    /// # Errors
    /// When the text says what no policy says, or the rules cannot be loaded.
    pub async fn apply_policies(&self, text: String) -> Result<Vec<Applied>, Error> {
        self.run(move |service| policy::apply(service, &text)).await
    }

    /// Says what applying a text would change.
    ///
    /// # Errors
    /// When the text says what no policy says.
    pub fn diff_policies(&self, text: &str) -> Result<Vec<Applied>, Error> {
        policy::diff(&self.inner, text)
    }

    /// Removes a policy, `NAMESPACE/NAME`; gives its name.
    ///
    /// # Errors
    /// When there is no such policy.
    pub async fn remove_policy(&self, name: &str) -> Result<PolicyKey, Error> {
        let name = name.to_owned();
        self.run(move |service| policy::remove(service, &name))
            .await
    }

    /// Gives the policies as they were written, by their names.
    #[must_use]
    pub fn policies(&self) -> Vec<Document> {
        let state = lock(&self.inner.state);
        let stored = state.policies.values();
        stored.map(|stored| stored.document.clone()).collect()
    }

    /// Gives a policy as it was written.
    ///
    /// # Errors
    /// When there is no such policy.
    pub fn policy(&self, name: &str) -> Result<Document, Error> {
        let key = policy::key(name);
        let state = lock(&self.inner.state);
        let stored = state.policies.get(&key);
        stored
            .map(|stored| stored.document.clone())
            .ok_or(Error::NoPolicy(key))
    }

    /// Says why one container, or address, reaches a port of another, or does not.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn explain(&self, from: &str, to: &str, port: ExposedPort) -> Result<Explanation, Error> {
        policy::explain(&self.inner, from, to, port)
    }

    /// Tells the resolvers that a container has another name.
    pub fn rename(&self, container: &ContainerId, name: &ContainerName) {
        let mut state = lock(&self.inner.state);
        state.changed();
        if let Some(attached) = state.sandboxes.get_mut(container) {
            sandbox::rename(&mut attached.report, container, name);
        }
        drop(state);
        // Policies know containers by their names, too.
        let inner = Arc::clone(&self.inner);
        if !inner.consent().is_given() {
            self.inner
                .runtime
                .spawn_blocking(move || policy::renew(&inner));
        }
        let inner = Arc::clone(&self.inner);
        drop(
            self.inner
                .runtime
                .spawn_blocking(move || lock(&inner.host).tell_watcher(&inner.state)),
        );
    }

    /// Tells a watcher of all who are on networks whenever that changes. Call it before [`Service::settle`].
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        lock(&self.inner.host).watch(watcher);
    }

    /// Gives the present report of a container's sandbox.
    #[must_use]
    pub fn sandbox(&self, container: &ContainerId) -> Option<SandboxReport> {
        let state = lock(&self.inner.state);
        state
            .sandboxes
            .get(container)
            .map(|attached| attached.report.clone())
    }

    /// Names where the rules stand, as `docker info` shows it; `none` when they are none of ours.
    #[must_use]
    pub fn firewall_backend(&self) -> &'static str {
        let config = &self.inner.config;
        match (config.firewall, config.backend) {
            (false, _) => "none",
            (true, Backend::Nftables) => "nftables",
            (true, Backend::Iptables) => "iptables",
        }
    }

    /// Describes all that is wanted and all that the host is, for asking the model who reaches whom.
    ///
    /// # Errors
    /// When the kernel does not list links, addresses or routes.
    pub async fn world(&self) -> Result<World, Error> {
        self.run(|service| world::of(service)).await
    }

    /// Tells how often rules that another program changed were put back.
    #[must_use]
    pub fn repairs(&self) -> u64 {
        self.inner.repairs.load(Ordering::Relaxed)
    }

    /// Stops proxies and resolvers; bridges, interfaces and rules stay for the containers that go on.
    pub fn shutdown(&self) {
        lock(&self.inner.tasks)
            .drain(..)
            .for_each(|task| task.abort());
        for attached in lock(&self.inner.state).sandboxes.values_mut() {
            attached.stop();
        }
        lock(&self.inner.owner).take();
    }

    /// Removes every bridge, interface and rule of ours from the host; for demos and tests.
    ///
    /// # Errors
    /// The first failure; what can be removed is removed all the same.
    pub async fn purge(&self) -> Result<(), Error> {
        self.run(network::purge).await
    }

    /// Runs blocking work to its end, whatever becomes of the caller.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Inner>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        let running = self.inner.runtime.spawn_blocking(move || work(&inner));
        running.await.unwrap_or(Err(Error::Stopped))
    }
}

impl Inner {
    /// Gives back a sandbox that was never wired: the kernel knows nothing of it.
    pub(crate) fn forget(self: &Arc<Self>, container: &ContainerId) {
        let mut state = lock(&self.state);
        let unwired = |attached: &&mut Attached| attached.stage == Stage::Prepared;
        if let Some(attached) = state.sandboxes.get_mut(container).filter(unwired) {
            attached.close();
            let removed = state.sandboxes.remove(container);
            let endpoints = removed.into_iter().flat_map(|one| one.report.endpoints);
            let endpoints = endpoints.map(|endpoint| endpoint.id).collect();
            drop(state);
            remote::give_back_soon(self, endpoints);
        }
    }

    /// Gives what the policies of the present state make of flows, made anew after a change.
    pub(crate) fn consent(&self) -> Arc<Consent> {
        self.consent_of(&lock(&self.state))
    }

    /// The same, for who has the state already.
    pub(crate) fn consent_of(&self, state: &State) -> Arc<Consent> {
        let mut kept = lock(&self.consent);
        if kept.0 != state.generation {
            let topology = topology::of(state, &topology::Given::default());
            *kept = (state.generation, Arc::new(Consent::of(&topology)));
        }
        Arc::clone(&kept.1)
    }

    /// Publishes that an endpoint came or went.
    pub(crate) fn announce(
        &self,
        action: &str,
        container: &ContainerId,
        endpoint: &EndpointReport,
    ) {
        let driver = lock(&self.state)
            .networks
            .get(&endpoint.network)
            .map_or_else(
                || "bridge".to_owned(),
                |network| network.spec.driver_name().to_owned(),
            );
        let attributes = BTreeMap::from([
            ("container".to_owned(), container.to_string()),
            ("name".to_owned(), endpoint.network_name.clone()),
            ("type".to_owned(), driver),
        ]);
        self.events.publish(
            EventKind::Network,
            action,
            endpoint.network.as_str(),
            attributes,
        );
    }

    /// Asks for strays to be looked for once things are quiet.
    pub(crate) fn sweep_soon(&self) {
        self.strays.notify_one();
    }
}

/// Takes the right to keep the rules; goes on without it where no daemon has it.
fn own_rules() -> Result<Option<Owner>, Error> {
    match Owner::take().map_err(Error::Owner)? {
        Claim::Ours(owner) => Ok(Some(owner)),
        Claim::Anothers { process } => Err(Error::Owned { process }),
        Claim::Nobodys => {
            tracing::warn!("somebody else than a daemon holds the mark of our rules");
            Ok(None)
        }
    }
}

/// Locks; a thread that panicked leaves values that are still whole, for each change is made in one piece.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the present time.
pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Gives random bytes of the kernel.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The kernel never fails requests of up to 256 bytes once it has booted.
    if getrandom(&mut bytes[..], GetRandomFlags::empty()).is_err() {
        tracing::error!("the kernel gives no random bytes");
    }
    bytes
}
