//! A host of the test's own: a fresh network namespace with a service in it, and a machine outside.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd as _, OwnedFd},
    sync::mpsc,
    time::{Duration, Instant},
};

use hakone_base::{ContainerId, IfName, MacAddr, NetworkId};
use hakone_events::Bus;
use hakone_netlink::{
    Bridge, Link, LinkIndex, Peer, Socket, Veth, add_address, add_bridge, add_veth, bring_up,
    bring_up_named, default_route,
};
use hakone_netns::Netns;
use hakone_network::{
    BridgeOptions, Config, DriverKind, EndpointRequest, Error, NetworkMode, NetworkSpec,
    PoolRequest, Sandbox, SandboxReport, SandboxRequest, Service,
};
use tokio::runtime::Runtime;

/// How long a connection may take that is expected to succeed, and one that is expected to be dropped.
const SOON: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_millis(300);

/// The outside machine and the host's address towards it.
pub(crate) const OUTSIDE: &str = "192.0.2.2";
pub(crate) const LAN: &str = "192.0.2.1";

pub(crate) struct Lab {
    pub(crate) runtime: Runtime,
    pub(crate) service: Service,
    pub(crate) bus: Bus,
    pub(crate) config: Config,
    pub(crate) outside: Netns,
    host: Netns,
    _folder: tempfile::TempDir,
}

/// A container without processes: its namespace, kept alive by the test.
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    pub(crate) netns: Netns,
    pub(crate) sandbox: Sandbox,
    pub(crate) report: SandboxReport,
}

/// Runs a test on a host of its own and checks that nothing of the service is left there.
pub(crate) fn on_own_host(test: impl FnOnce(&mut Lab) + Send) {
    on_own_host_with(|_| {}, test);
}

pub(crate) fn on_own_host_with(
    configure: impl FnOnce(&mut Config) + Send,
    test: impl FnOnce(&mut Lab) + Send,
) {
    let run = |_: &Netns| {
        let mut lab = Lab::new(configure);
        test(&mut lab);
        lab.runtime.block_on(lab.service.purge()).unwrap();
        let left: Vec<Link> = links()
            .into_iter()
            .filter(|link| !link.kind.is_empty() && link.name != "lan0" && link.name != "lan1")
            .collect();
        assert_eq!(left, []);
    };
    Netns::create(run).unwrap();
}

impl Lab {
    fn new(configure: impl FnOnce(&mut Config)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("networks")).unwrap();
        configure(&mut config);
        let bus = Bus::default();
        let mut socket = Socket::open().unwrap();
        socket.execute([bring_up(LinkIndex(1))]).unwrap();
        let outside = outside(&mut socket);
        let service = open(&runtime, &config, &bus);
        runtime.block_on(service.settle()).unwrap();
        Self {
            runtime,
            service,
            bus,
            config,
            outside,
            host: Netns::current().unwrap(),
            _folder: folder,
        }
    }

    /// Replaces the service by a new one on the same host, as after a crash: nothing is said to the old one.
    pub(crate) fn crash(&mut self) {
        self.service.shutdown();
        self.service = open(&self.runtime, &self.config, &self.bus);
    }

    pub(crate) fn network(&self, name: &str, change: impl FnOnce(&mut NetworkSpec)) -> NetworkId {
        self.try_network(name, change).unwrap()
    }

    pub(crate) fn try_network(
        &self,
        name: &str,
        change: impl FnOnce(&mut NetworkSpec),
    ) -> Result<NetworkId, Error> {
        let mut spec = spec(name);
        change(&mut spec);
        self.runtime.block_on(self.service.create(spec))
    }

    /// Starts a container on networks; an empty list is the default bridge.
    pub(crate) fn run(&self, name: &str, networks: &[&str]) -> Container {
        self.try_run(request(name, networks)).unwrap()
    }

    pub(crate) fn try_run(&self, request: SandboxRequest) -> Result<Container, Error> {
        let id = request.container.clone();
        self.runtime.block_on(async {
            let mut sandbox = self.service.prepare(request).await?;
            let report = self.service.wire(&mut sandbox).await?;
            let netns = Netns::from(sandbox.netns().unwrap().try_clone_to_owned().unwrap());
            Ok(Container {
                id,
                netns,
                sandbox,
                report,
            })
        })
    }

    pub(crate) fn host(&self) -> &Netns {
        &self.host
    }

    /// Lets the outside machine send packets for a subnet to this host, as a neighbour on the LAN can.
    pub(crate) fn route_from_outside(&self) {
        let add = || {
            let mut socket = Socket::open().unwrap();
            let link = socket.link(&name("eth0")).unwrap().unwrap();
            socket
                .execute([default_route(LinkIndex(link.index), LAN.parse().unwrap())])
                .unwrap();
        };
        self.outside.on(add).unwrap();
    }
}

impl Container {
    pub(crate) fn address(&self) -> IpAddr {
        self.report
            .endpoints
            .first()
            .unwrap()
            .addresses()
            .next()
            .unwrap()
    }

    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address(), port)
    }

    /// Answers every connection with the client's address, until the test ends.
    pub(crate) fn echo(&self, port: u16) {
        serve(
            &self.netns,
            SocketAddr::new("0.0.0.0".parse().unwrap(), port),
        );
    }

    pub(crate) fn echo_v6(&self, port: u16) {
        serve(&self.netns, SocketAddr::new("::".parse().unwrap(), port));
    }

    /// Gives the number of a thread inside, which stands for the container's first process.
    pub(crate) fn init(&self) -> Init {
        let (told, tell) = (mpsc::channel::<i32>(), mpsc::channel::<()>());
        let netns = Netns::from(self.netns.as_fd().try_clone_to_owned().unwrap());
        let (sender, stay) = (told.0, tell.1);
        std::thread::spawn(move || {
            netns.on(move || {
                sender
                    .send(rustix::thread::gettid().as_raw_nonzero().get())
                    .unwrap();
                stay.recv().ok();
            })
        });
        Init {
            number: told.1.recv().unwrap(),
            _stay: tell.0,
        }
    }

    pub(crate) fn held(&self) -> Vec<OwnedFd> {
        self.sandbox
            .held()
            .iter()
            .map(|socket| socket.try_clone().unwrap())
            .collect()
    }
}

pub(crate) struct Init {
    pub(crate) number: i32,
    _stay: mpsc::Sender<()>,
}

pub(crate) fn serve(netns: &Netns, address: SocketAddr) {
    let listener = netns.on(|| TcpListener::bind(address).unwrap()).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut client, from)) = listener.accept() {
            client.write_all(from.ip().to_string().as_bytes()).ok();
        }
    });
}

/// Connects and gives what the server saw as the client's address; `None` when nothing answers.
pub(crate) fn ask(from: &Netns, to: SocketAddr) -> Option<String> {
    ask_within(from, to, SOON)
}

/// Reports whether packets to an address vanish.
pub(crate) fn is_cut_off(from: &Netns, to: SocketAddr) -> bool {
    ask_within(from, to, NEVER).is_none()
}

fn ask_within(from: &Netns, to: SocketAddr, patience: Duration) -> Option<String> {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&to, patience).ok()?;
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    };
    from.on(ask).unwrap()
}

/// Asks the embedded resolver for an A record; gives the response code and the addresses.
pub(crate) fn look_up(from: &Netns, name: &str) -> (u8, Vec<IpAddr>) {
    from.on(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect("127.0.0.11:53").unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.send(&question(name)).unwrap();
        let mut buffer = [0; 1500];
        let length = socket.recv(&mut buffer).unwrap();
        addresses(buffer.get(..length).unwrap(), question(name).len())
    })
    .unwrap()
}

pub(crate) fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(label.len().try_into().unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// Reads A records whose names are compressed or repeated; enough for the resolver's own answers.
fn addresses(answer: &[u8], question: usize) -> (u8, Vec<IpAddr>) {
    let number = |bytes: &[u8]| u16::from_be_bytes(bytes.try_into().unwrap());
    let count = number(answer.get(6..8).unwrap());
    let mut rest = answer.get(question..).unwrap();
    let mut found = Vec::new();
    for _ in 0..count {
        let name = match rest.first().unwrap() {
            0xc0.. => 2,
            _ => rest.iter().position(|byte| *byte == 0).unwrap() + 1,
        };
        let data = name + 10;
        let end = data + usize::from(number(rest.get(name + 8..data).unwrap()));
        let address: [u8; 4] = rest.get(data..end).unwrap().try_into().unwrap();
        found.push(IpAddr::from(address));
        rest = rest.get(end..).unwrap();
    }
    (answer.get(3).unwrap() & 15, found)
}

/// Lists the host's interfaces.
pub(crate) fn links() -> Vec<Link> {
    Socket::open().unwrap().links().unwrap()
}

pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < SOON, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn spec(name: &str) -> NetworkSpec {
    NetworkSpec {
        name: name.parse().unwrap(),
        driver: DriverKind::Bridge,
        plugin: None,
        ipam_driver: None,
        config_only: false,
        config_from: None,
        pattern: Vec::new(),
        internal: false,
        attachable: false,
        ipv4: true,
        ipv6: false,
        pools: Vec::new(),
        ipam_options: Default::default(),
        options: Default::default(),
        bridge: BridgeOptions::default(),
        macvlan: Default::default(),
        ipvlan: Default::default(),
        labels: Default::default(),
    }
}

pub(crate) fn pool(subnet: &str) -> PoolRequest {
    PoolRequest {
        subnet: Some(subnet.parse().unwrap()),
        ..PoolRequest::default()
    }
}

pub(crate) fn request(name: &str, networks: &[&str]) -> SandboxRequest {
    let mut bytes = [0; 32];
    bytes
        .get_mut(..name.len())
        .unwrap()
        .copy_from_slice(name.as_bytes());
    let endpoint = |network: &&str| EndpointRequest {
        network: (*network).to_owned(),
        ..EndpointRequest::default()
    };
    SandboxRequest {
        container: ContainerId::from_bytes(bytes),
        name: format!("{name}-c").parse().unwrap(),
        hostname: name.to_owned(),
        domainname: String::new(),
        labels: Default::default(),
        mode: NetworkMode::Networks(networks.iter().map(endpoint).collect()),
        exposed: Vec::new(),
        bindings: Vec::new(),
        publish_all: false,
        on_loopback: false,
        dns: Vec::new(),
        dns_search: Vec::new(),
        dns_options: Vec::new(),
        extra_hosts: Vec::new(),
        links: Vec::new(),
        sysctls: Default::default(),
    }
}

pub(crate) fn name(text: &str) -> IfName {
    text.parse().unwrap()
}

fn open(runtime: &Runtime, config: &Config, bus: &Bus) -> Service {
    let _entered = runtime.enter();
    Service::open(config.clone(), bus.clone()).unwrap()
}

/// Joins a machine to the host by a bridge that is none of ours.
fn outside(socket: &mut Socket) -> Netns {
    let lan = name("lan0");
    socket
        .execute([add_bridge(&Bridge {
            name: &lan,
            mac: None,
            mtu: 1500,
        })])
        .unwrap();
    let bridge = LinkIndex(socket.link(&lan).unwrap().unwrap().index);
    let (netns, mut inside) = Netns::create(|_| Socket::open().unwrap()).unwrap();
    let peer = Peer {
        name: &name("eth0"),
        mac: MacAddr::new([2, 0, 0, 0, 0, 9]),
        netns: netns.as_fd(),
    };
    let veth = Veth {
        name: &name("lan1"),
        bridge: Some(bridge),
        mtu: 1500,
        peer,
    };
    let host = format!("{LAN}/24").parse().unwrap();
    socket
        .execute([
            add_veth(&veth),
            add_address(bridge, host),
            bring_up(bridge),
            bring_up_named(&name("lan1")),
        ])
        .unwrap();
    let link = LinkIndex(inside.link(&name("eth0")).unwrap().unwrap().index);
    inside
        .execute([
            bring_up(LinkIndex(1)),
            add_address(link, format!("{OUTSIDE}/24").parse().unwrap()),
            bring_up(link),
        ])
        .unwrap();
    netns
}
