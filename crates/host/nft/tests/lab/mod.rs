//! A host, its containers and a neighbour on the LAN, each a network namespace of its own; gone when the value is.
#![expect(
    clippy::unwrap_used,
    reason = "a lab that cannot be built is a failed test"
)]
#![expect(clippy::disallowed_methods, reason = "tests may call ip")]

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::{AsFd as _, AsRawFd as _},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use hakone_netns::{Netns, write_sysctl};
use hakone_nft::Firewall;
use hakone_policy::{Bridge, Endpoint, Origin, Topology, compile};

/// What every place listens on: ports of containers, published ports, and one that is neither.
pub(crate) const PORTS: [u16; 6] = [80, 81, 8000, 8001, 8002, 22];
/// The neighbour, by its own addresses and by those of the far world.
pub(crate) const NEIGHBOUR: [&str; 4] =
    ["192.0.2.9", "2001:db8::9", "198.51.100.9", "2001:db8:9::9"];

/// How long to wait for a packet that must arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// The whole world of a test.
pub(crate) struct Lab {
    /// The host first, then the neighbour, then the containers.
    pub(crate) places: Vec<Place>,
    /// The bridges whose members reach each other through the host.
    judged: Vec<Origin>,
    firewall: Firewall,
}

/// A network namespace with listeners.
pub(crate) struct Place {
    pub(crate) netns: Netns,
    pub(crate) origin: Origin,
    pub(crate) addresses: Vec<IpAddr>,
    sockets: Vec<(u16, UdpSocket)>,
}

/// Where a numbered probe arrived, at which port, and from whom.
pub(crate) type Arrivals = BTreeMap<u32, (usize, u16, IpAddr)>;

impl Lab {
    /// Builds a world around a topology and loads its rules before any container is there.
    ///
    /// `bridge_calls_ip` is the kernel's `bridge-nf-call-iptables`, which takes bridged packets through the rules too.
    pub(crate) fn new(
        topology: &Topology,
        host_addresses: &[IpAddr],
        bridge_calls_ip: bool,
    ) -> Self {
        let gateways = topology.bridges.iter().flat_map(|bridge| &bridge.gateways);
        let addresses = gateways.chain(host_addresses).copied().collect();
        let host = Place::new(Origin::Host, addresses);
        host.run(|| {
            write_sysctl("net.ipv4.ip_forward", "1").unwrap();
            write_sysctl("net.ipv6.conf.all.forwarding", "1").unwrap();
            let calls = if bridge_calls_ip { "1" } else { "0" };
            for family in ["ip", "ip6"] {
                write_sysctl(&format!("net.bridge.bridge-nf-call-{family}tables"), calls).ok();
            }
        });
        let mut firewall = host.run(|| Firewall::open().unwrap());
        firewall.load(&compile(topology)).unwrap();
        let mut lab = Self {
            firewall,
            places: vec![host],
            judged: judged(topology),
        };
        lab.add_neighbour(topology);
        for bridge in &topology.bridges {
            lab.add_bridge(bridge);
            for endpoint in &bridge.endpoints {
                lab.add_container(bridge, endpoint);
            }
        }
        lab.await_ports();
        lab
    }

    /// Brings the rules to those of another topology of the same places; flows begin anew.
    pub(crate) fn update(&mut self, topology: &Topology) {
        self.firewall.update(&compile(topology)).unwrap();
        self.judged = judged(topology);
        self.host()
            .run(|| hakone_nft::forget_unwanted(|_| true).unwrap());
    }

    /// Reports whether what a place sends to its own bridge goes through the host.
    pub(crate) fn is_judged(&self, place: &Place) -> bool {
        self.judged.contains(&place.origin)
    }

    /// Waits until all these probes arrived, then reads what else came.
    pub(crate) fn arrivals(&self, awaited: &[u32]) -> Arrivals {
        let mut arrivals = Arrivals::new();
        self.await_arrivals(awaited, &mut arrivals);
        arrivals
    }

    /// Adds what arrives until these probes are among it.
    pub(crate) fn await_arrivals(&self, awaited: &[u32], arrivals: &mut Arrivals) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for (index, place) in self.places.iter().enumerate() {
                place.drain(index, arrivals);
            }
            let complete = awaited.iter().all(|probe| arrivals.contains_key(probe));
            if complete || Instant::now() > deadline {
                return;
            }
            thread::yield_now();
        }
    }

    fn add_neighbour(&mut self, topology: &Topology) {
        let addresses = NEIGHBOUR.map(|text| text.parse().unwrap()).to_vec();
        let place = Place::new(Origin::Interface("eth0".parse().unwrap()), addresses);
        self.cable("eth0", &place.netns);
        self.host().ip("addr add 192.0.2.1/24 dev eth0
            addr add 2001:db8::1/64 dev eth0 nodad
            link set eth0 up
            route add default via 192.0.2.9
            route add default via 2001:db8::9");
        let mut commands = String::from(
            "addr add 192.0.2.9/24 dev eth0
            addr add 2001:db8::9/64 dev eth0 nodad
            addr add 198.51.100.9/32 dev lo
            addr add 2001:db8:9::9/128 dev lo nodad
            link set eth0 up\n",
        );
        for subnet in topology.bridges.iter().flat_map(|bridge| &bridge.subnets) {
            let host = if subnet.is_ipv6() {
                "2001:db8::1"
            } else {
                "192.0.2.1"
            };
            commands += &format!("route add {subnet} via {host}\n");
        }
        place.ip(&commands);
        self.places.push(place);
    }

    fn add_bridge(&self, bridge: &Bridge) {
        let name = &bridge.name;
        let mut commands = format!("link add {name} address {} type bridge\n", bridge.mac);
        for (gateway, subnet) in bridge.gateways.iter().zip(&bridge.subnets) {
            let nodad = if gateway.is_ipv6() { "nodad" } else { "" };
            commands += &format!(
                "addr add {gateway}/{} dev {name} {nodad}\n",
                subnet.prefix_len()
            );
        }
        self.host()
            .ip(&(commands + &format!("link set {name} up\n")));
    }

    fn add_container(&mut self, bridge: &Bridge, endpoint: &Endpoint) {
        let origin = Origin::Interface(bridge.name.clone());
        let place = Place::new(origin, endpoint.addresses.clone());
        let port = endpoint.port.as_str();
        self.cable(port, &place.netns);
        self.host().ip(&format!(
            "link set {port} master {} up\nlink set {port} type bridge_slave hairpin on\n",
            bridge.name
        ));
        let mut commands = format!("link set eth0 address {} up\n", endpoint.mac);
        for (subnet, gateway) in bridge.subnets.iter().zip(&bridge.gateways) {
            let mut own = endpoint.addresses.iter();
            let own = own.find(|own| subnet.contains(**own)).unwrap();
            let nodad = if own.is_ipv6() { "nodad" } else { "" };
            commands += &format!("addr add {own}/{} dev eth0 {nodad}\n", subnet.prefix_len());
            commands += &format!("route add default via {gateway}\n");
            // Who claims another's address would not find the gateway by it, and what waits for it would be lost.
            let mac = bridge.mac;
            commands += &format!("neigh add {gateway} lladdr {mac} dev eth0 nud permanent\n");
        }
        for other in bridge.endpoints.iter().filter(|one| one.id != endpoint.id) {
            let own = other.addresses.iter();
            let in_subnet = |own: &&IpAddr| bridge.subnets.iter().any(|net| net.contains(**own));
            for own in own.filter(in_subnet) {
                let mac = other.mac;
                commands += &format!("neigh add {own} lladdr {mac} dev eth0 nud permanent\n");
            }
        }
        place.ip(&commands);
        self.places.push(place);
    }

    /// Plugs a machine without an address into a bridge, by a port that is not ours; gives its place.
    pub(crate) fn plug_in(&mut self, bridge: &Bridge) -> usize {
        let place = Place::new(Origin::Interface(bridge.name.clone()), Vec::new());
        self.cable("ear", &place.netns);
        self.host()
            .ip(&format!("link set ear master {} up\n", bridge.name));
        place.ip("link set eth0 up\n");
        self.places.push(place);
        self.await_ports();
        self.places.len() - 1
    }

    /// Waits until every bridge forwards what its ports receive: the kernel lets a port in some time after its far end is up.
    fn await_ports(&self) {
        let deadline = Instant::now() + PATIENCE;
        let ports = || {
            let mut ip = Command::new("ip");
            let output = ip
                .args(["-d", "-o", "link", "show", "type", "bridge_slave"])
                .output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        loop {
            let said = self.host().run(ports);
            if said.lines().all(|port| port.contains("state forwarding")) {
                return;
            }
            assert!(Instant::now() < deadline, "{said}");
            thread::yield_now();
        }
    }

    /// Lays a cable from the host's `name` to `eth0` of the other end.
    fn cable(&self, name: &str, end: &Netns) {
        let path = format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            end.as_fd().as_raw_fd()
        );
        self.host().ip(&format!(
            "link add {name} type veth peer name far-end
            link set far-end netns {path} name eth0\n"
        ));
    }

    fn host(&self) -> &Place {
        self.places.first().unwrap()
    }
}

/// Finds the bridges with an endpoint that some policy selects.
fn judged(topology: &Topology) -> Vec<Origin> {
    let selected = |endpoint: &Endpoint| {
        let mut policies = topology.policies.iter();
        policies.any(|policy| {
            (policy.ingress.is_some() || policy.egress.is_some())
                && policy.selects(&endpoint.identity)
        })
    };
    let bridges = topology.bridges.iter();
    let judged = bridges.filter(|bridge| bridge.endpoints.iter().any(selected));
    judged
        .map(|bridge| Origin::Interface(bridge.name.clone()))
        .collect()
}

impl Place {
    fn new(origin: Origin, addresses: Vec<IpAddr>) -> Self {
        let (netns, sockets) = Netns::create(|_| {
            for name in ["ipv4.conf.all.rp_filter", "ipv4.conf.default.rp_filter"] {
                write_sysctl(&format!("net.{name}"), "0").unwrap();
            }
            for name in ["all", "default"] {
                write_sysctl(&format!("net.ipv6.conf.{name}.accept_dad"), "0").unwrap();
            }
            PORTS
                .map(|port| (port, listen(port)))
                .into_iter()
                .collect::<Vec<_>>()
        })
        .unwrap();
        let place = Self {
            netns,
            origin,
            addresses,
            sockets,
        };
        place.ip("link set lo up\n");
        place
    }

    /// Sends a numbered datagram from an address of this place, or from whichever the kernel takes.
    pub(crate) fn send(&self, number: u32, source: Option<IpAddr>, to: (IpAddr, u16)) {
        let any: IpAddr = match to.0 {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let source = SocketAddr::new(source.unwrap_or(any), 0);
        let socket = self.run(|| UdpSocket::bind(source).unwrap());
        // The kernel reports what the host's own rules drop; whether it arrived is asked of the receivers alone.
        socket.send_to(&number.to_be_bytes(), to).ok();
    }

    /// Sends numbered datagrams, each from a port of its own, without leaving the namespace in between.
    pub(crate) fn send_many(&self, numbers: impl Iterator<Item = u32> + Send, to: (IpAddr, u16)) {
        self.run(|| {
            for number in numbers {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
                socket.send_to(&number.to_be_bytes(), to).ok();
            }
        });
    }

    /// Takes an address that is not this place's.
    pub(crate) fn steal(&self, address: IpAddr) {
        let (prefix, nodad) = if address.is_ipv6() {
            (128, "nodad")
        } else {
            (32, "")
        };
        self.ip(&format!("addr add {address}/{prefix} dev lo {nodad}\n"));
    }

    pub(crate) fn run<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        self.netns.on(run).unwrap()
    }

    pub(crate) fn ip(&self, commands: &str) {
        let output = self.run(|| {
            let mut ip = Command::new("ip");
            ip.args(["-batch", "-"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = ip.spawn().unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(commands.as_bytes())
                .unwrap();
            child.wait_with_output().unwrap()
        });
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\n{said}");
    }

    fn drain(&self, index: usize, arrivals: &mut Arrivals) {
        for (port, socket) in &self.sockets {
            while let Some((number, from)) = receive(socket) {
                arrivals.insert(number, (index, *port, from));
            }
        }
    }
}

fn receive(socket: &UdpSocket) -> Option<(u32, IpAddr)> {
    let mut bytes = [0; 4];
    match socket.recv_from(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        received => {
            let from = received.unwrap().1;
            Some((u32::from_be_bytes(bytes), from.ip().to_canonical()))
        }
    }
}

fn listen(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}
