//! What containers need of the other capabilities, as narrow traits that the binary joins.
//!
//! Calls are boxed futures so that the service holds `dyn` neighbours and stays one type; a start makes three of them.

use std::{
    collections::BTreeMap, fmt, future::Future, io, net::IpAddr, os::fd::OwnedFd, path::PathBuf,
    pin::Pin, sync::Arc,
};

use hakone_base::{ContainerId, Digest, ExposedPort, Fault};
use hakone_container_record::{Network, Replug, Sandbox};
use hakone_engine_api::wire;
use serde::{Deserialize, Serialize};

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A neighbour's refusal, with its own words and kind.
pub type Refusal = Box<dyn Fault + Send + Sync>;

/// The capabilities beside this one.
#[derive(Clone)]
pub struct Neighbours {
    /// Sandboxes and their wiring.
    pub networks: Arc<dyn Networks>,
    /// Root file systems.
    pub images: Arc<dyn Images>,
    /// Folders that outlive containers.
    pub volumes: Arc<dyn Volumes>,
    /// Supervisors.
    pub launcher: Arc<dyn Launcher>,
}

impl fmt::Debug for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Neighbours")
    }
}

/// Which network namespace a container lives in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    /// A namespace of its own, on the networks that `SandboxRequest::endpoints` lists.
    Networks,
    /// The host's.
    Host,
    /// A namespace of its own with nothing but loopback.
    None,
    /// That of another running container; needs nothing of the network service.
    Container(ContainerId),
}

/// What a container asks of the network service at start.
#[derive(Clone, Debug)]
pub struct SandboxRequest {
    /// Whose sandbox this is.
    pub container: ContainerId,
    /// Its name, without slash.
    pub name: String,
    /// Its host name.
    pub hostname: String,
    /// Its domain name, often empty.
    pub domainname: String,
    /// The labels that its user gave it, not its image.
    pub labels: BTreeMap<String, String>,
    /// Which namespace it gets.
    pub mode: NetworkMode,
    /// Network name or id, and the endpoint as the user asked for it; the first is the one of `NetworkMode`.
    pub endpoints: Vec<(String, wire::EndpointSettings)>,
    /// Ports that the image or the user exposes.
    pub exposed: Vec<ExposedPort>,
    /// Ports asked for on the host, only those that are exposed too.
    pub bindings: Vec<PortRequest>,
    /// Whether every exposed port gets an ephemeral host port.
    pub publish_all: bool,
    /// Whether ports of which neither request, network nor daemon names the host's address are for this machine alone.
    pub on_loopback: bool,
    /// Name servers; empty means the host's.
    pub dns: Vec<IpAddr>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// Resolver options.
    pub dns_options: Vec<String>,
    /// Lines for `/etc/hosts`, `name:address` or `name:host-gateway`.
    pub extra_hosts: Vec<String>,
    /// Links of the old kind: the container and the name it is known by here.
    pub links: Vec<(ContainerId, String)>,
    /// Kernel parameters of the namespace (`net.…`); the runtime sets them, the network may refuse conflicts.
    pub sysctls: BTreeMap<String, String>,
}

/// A wish for a host port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRequest {
    /// The container's side.
    pub target: ExposedPort,
    /// The host address; `None` means all.
    pub host_address: Option<IpAddr>,
    /// The host port or range, empty for an ephemeral one, as typed (`8080`, `8000-8010`).
    pub host_ports: String,
}

/// Contents of the three files that containers find in `/etc`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Etc {
    /// `/etc/hosts`.
    pub hosts: String,
    /// `/etc/resolv.conf`.
    pub resolv_conf: String,
}

/// A sandbox after one of its endpoints came or went.
#[derive(Clone, Debug, Default)]
pub struct Replugged {
    /// What it is now.
    pub sandbox: Sandbox,
    /// What it was to find in `/etc` before; an empty file is one nobody remembers.
    pub was: Etc,
    /// What it is to find in `/etc` now.
    pub etc: Etc,
}

/// Finishes a sandbox while the supervisor starts.
pub type Wiring = BoxFuture<'static, Result<Sandbox, Refusal>>;

/// A sandbox whose addresses and ports are decided and whose namespace exists, not yet wired.
pub struct Prepared {
    /// The namespace; `None` for the host's and for `container:`.
    pub namespace: Option<OwnedFd>,
    /// File contents, final.
    pub etc: Etc,
    /// Sockets that hold published ports; the supervisor keeps them while the daemon is away.
    pub held: Vec<OwnedFd>,
    /// The second half of the work.
    pub wiring: Wiring,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("etc", &self.etc)
            .finish_non_exhaustive()
    }
}

/// A running container that a new daemon found.
#[derive(Debug)]
pub struct Restoration {
    /// The same request as at start.
    pub request: SandboxRequest,
    /// Its init process.
    pub pid: i32,
    /// What the former daemon stored.
    pub sandbox: Sandbox,
    /// The sockets that the supervisor held.
    pub held: Vec<OwnedFd>,
}

/// What becomes of a container's published ports when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Anybody may have them.
    Freed,
    /// They stay its own: it runs again.
    Kept,
}

/// Sandboxes and their wiring.
pub trait Networks: Send + Sync + 'static {
    /// Finds a network by name or id.
    fn lookup(&self, network: &str) -> Result<Network, Refusal>;

    /// Says what a network does not allow of an endpoint; one that is not there allows everything.
    fn check(&self, network: &str, settings: &wire::EndpointSettings) -> Result<(), Refusal>;

    /// Decides addresses, reserves ports, makes the namespace.
    fn prepare(&self, request: SandboxRequest) -> BoxFuture<'_, Result<Prepared, Refusal>>;

    /// Takes a running container over from a former daemon.
    fn restore(&self, running: Restoration) -> BoxFuture<'_, Result<Sandbox, Refusal>>;

    /// Plugs a running container, whose init is `pid`, into one more network.
    fn connect<'a>(
        &'a self,
        container: &'a ContainerId,
        pid: i32,
        network: &'a str,
        settings: wire::EndpointSettings,
    ) -> BoxFuture<'a, Result<Replugged, Refusal>>;

    /// Unplugs a running container, whose init is `pid`.
    fn disconnect<'a>(
        &'a self,
        container: &'a ContainerId,
        pid: i32,
        network: &'a str,
        force: bool,
    ) -> BoxFuture<'a, Result<Replugged, Refusal>>;

    /// Finishes a change of the network with this id that a former daemon's death cut off; the container is restored.
    fn mend<'a>(
        &'a self,
        container: &'a ContainerId,
        pid: i32,
        network: &'a str,
        change: Replug,
    ) -> BoxFuture<'a, Result<Replugged, Refusal>>;

    /// Gives back all that a container has; idempotent, never fails from the caller's view.
    fn release<'a>(&'a self, container: &'a ContainerId, ports: Ports) -> BoxFuture<'a, ()>;

    /// Gives up the ports that were kept for a next run, which does not come.
    fn free_ports(&self, container: &ContainerId);

    /// A container got another name.
    fn rename<'a>(&'a self, container: &'a ContainerId, name: &'a str) -> BoxFuture<'a, ()>;
}

/// An image, ready to be a root file system.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// Its id.
    pub id: Digest,
    /// Its configuration.
    pub config: wire::ImageConfig,
    /// Unpacked layers, lowest first, immutable.
    pub layers: Vec<PathBuf>,
    /// Bytes of all layers.
    pub size: u64,
}

/// Root file systems.
pub trait Images: Send + Sync + 'static {
    /// Finds an image by reference, id, or id prefix.
    fn resolve<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<ResolvedImage, Refusal>>;

    /// Describes the manifest of an image, if it can be read. Blocks for a small file.
    fn manifest(&self, image: &Digest) -> Option<wire::OciDescriptor>;

    /// Reports whether `image` is `ancestor` or was built upon it (the list filter `ancestor`).
    fn descends(&self, image: &Digest, ancestor: &str) -> bool;
}

/// A volume asked for by a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Its name; `None` makes an anonymous one.
    pub name: Option<String>,
    /// Driver; empty means `local`.
    pub driver: String,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Where its files are on the host.
    pub path: PathBuf,
}

/// A volume on its way into a container.
#[derive(Clone, Copy, Debug)]
pub struct Mounting<'a> {
    /// The volume's name.
    pub name: &'a str,
    /// Whose it becomes.
    pub container: &'a ContainerId,
    /// Where it is inside.
    pub destination: &'a str,
    /// Whether the container may write.
    pub writable: bool,
}

/// Folders that outlive containers.
pub trait Volumes: Send + Sync + 'static {
    /// Makes a volume, or finds the one of that name, and notes that `container` refers to it.
    fn claim<'a>(
        &'a self,
        request: VolumeRequest,
        container: &'a ContainerId,
    ) -> BoxFuture<'a, Result<Volume, Refusal>>;

    /// Makes the files reachable for a start; tells whether the volume is still empty.
    fn mount<'a>(&'a self, mounting: Mounting<'a>) -> BoxFuture<'a, Result<bool, Refusal>>;

    /// Goes on with a mount that an earlier daemon made, without a question to whoever keeps the files.
    fn take_up<'a>(&'a self, mounting: Mounting<'a>) -> BoxFuture<'a, Result<(), Refusal>>;

    /// Reports whether a volume shows a folder of the host, whose owners are the host's.
    fn is_of_host(&self, name: &str) -> bool;

    /// Reports whether the file system bounds what a volume's files take.
    fn is_bounded(&self, name: &str) -> bool;

    /// Ends a mount.
    fn unmount<'a>(&'a self, name: &'a str, container: &'a ContainerId) -> BoxFuture<'a, ()>;

    /// Forgets that `container` refers to the volume; `remove` also deletes it if nobody else does.
    fn disclaim<'a>(
        &'a self,
        name: &'a str,
        container: &'a ContainerId,
        remove: bool,
    ) -> BoxFuture<'a, ()>;
}

/// One start of a supervisor.
#[derive(Debug)]
pub struct Launch {
    /// Its order.
    pub order: PathBuf,
    /// The listening control socket.
    pub listener: OwnedFd,
    /// The container's network namespace, if it has one of its own.
    pub namespace: Option<OwnedFd>,
    /// Where its own complaints go; `/dev/null` if absent.
    pub complaints: Option<OwnedFd>,
}

/// Starts supervisors: our own binary in another role.
pub trait Launcher: Send + Sync + 'static {
    /// Starts one and gives its process id; called where blocking is allowed. Reaping it is the launcher's.
    ///
    /// # Errors
    /// When the process cannot be started.
    fn launch(&self, launch: Launch) -> io::Result<u32>;
}
