//! Links, addresses, routes and neighbours on the running kernel, in namespaces of the test's own; needs root.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::os::fd::AsFd as _;

use hakone_base::{IfName, MacAddr};
use hakone_netlink::{
    Bridge, Error, LinkIndex, Peer, Port, Socket, Veth, add_address, add_bridge, add_forwarding,
    add_neighbour, add_veth, bring_up, configure_port, default_route, delete_link,
    delete_neighbour, rename, set_isolated, set_mtu,
};
use hakone_netns::Netns;

/// A host and a container, each with a socket inside.
struct Lab {
    host: Socket,
    inside: Socket,
    container: Netns,
}

impl Lab {
    fn new() -> Self {
        let open = |_: &Netns| Socket::open().unwrap();
        let (_, host) = Netns::create(open).unwrap();
        let (container, inside) = Netns::create(open).unwrap();
        Self {
            host,
            inside,
            container,
        }
    }

    fn bridge(&mut self) -> LinkIndex {
        let bridge = name("br0");
        let new = Bridge {
            name: &bridge,
            mac: None,
            mtu: 1500,
        };
        self.host.execute([add_bridge(&new)]).unwrap();
        let link = LinkIndex(self.host.link(&bridge).unwrap().unwrap().index);
        self.host.execute([bring_up(link)]).unwrap();
        link
    }

    /// Makes a pair and gives both numbers.
    fn pair(&mut self, bridge: LinkIndex) -> (LinkIndex, LinkIndex) {
        let (port, eth0) = (name("port0"), name("eth0"));
        let peer = Peer {
            name: &eth0,
            mac: mac(),
            netns: self.container.as_fd(),
        };
        let veth = Veth {
            name: &port,
            bridge: Some(bridge),
            mtu: 1400,
            peer,
        };
        self.host
            .execute([add_veth(&veth), configure_port(&port, closed())])
            .unwrap();
        let link = self.host.link(&port).unwrap().unwrap();
        assert_eq!(link.master, Some(bridge));
        (LinkIndex(link.index), link.peer.unwrap())
    }
}

fn name(text: &str) -> IfName {
    text.parse().unwrap()
}

fn mac() -> MacAddr {
    MacAddr::new([2, 0x42, 10, 9, 0, 2])
}

fn closed() -> Port {
    Port {
        isolated: true,
        learning: false,
        unicast_flood: false,
        multicast_flood: false,
        guard: true,
        hairpin: false,
        suppresses_neighbours: false,
    }
}

#[test]
fn a_bridge_is_made_with_its_options() {
    let mut lab = Lab::new();
    let link = lab.bridge();
    let found = lab.host.links().unwrap();
    let bridge = found.iter().find(|found| found.index == link.0).unwrap();
    assert_eq!(
        (bridge.kind.as_str(), bridge.mtu, bridge.up),
        ("bridge", 1500, true)
    );
}

#[test]
fn an_endpoint_takes_two_batches() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    let (port, eth0) = lab.pair(bridge);
    lab.host
        .execute([
            add_address(bridge, "10.9.0.1/24".parse().unwrap()),
            add_forwarding(port, mac()),
            add_neighbour(bridge, "10.9.0.2".parse().unwrap(), mac()),
            bring_up(port),
        ])
        .unwrap();
    lab.inside
        .execute([
            add_address(eth0, "10.9.0.2/24".parse().unwrap()),
            add_address(eth0, "fd00::2/64".parse().unwrap()),
            bring_up(eth0),
            default_route(eth0, "10.9.0.1".parse().unwrap()),
            default_route(eth0, "fd00::1".parse().unwrap()),
        ])
        .unwrap();
    let link = lab.inside.link(&name("eth0")).unwrap().unwrap();
    assert_eq!((link.mac, link.mtu, link.up), (Some(mac()), 1400, true));
    let addresses = lab.inside.addresses().unwrap();
    assert!(
        addresses
            .iter()
            .any(|found| found.address == "fd00::2/64".parse().unwrap())
    );
    let routes = lab.inside.routes().unwrap();
    let gateways: Vec<_> = routes.iter().filter_map(|route| route.gateway).collect();
    assert_eq!(gateways.len(), 2);
}

#[test]
fn a_refusal_names_action_and_object_and_the_rest_is_done() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    let taken = name("br0");
    let again = Bridge {
        name: &taken,
        mac: None,
        mtu: 1500,
    };
    let error = lab
        .host
        .execute([add_bridge(&again), set_mtu(bridge, 1300)])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not add bridge br0: File exists (os error 17)"
    );
    assert_eq!(lab.host.link(&taken).unwrap().unwrap().mtu, 1300);
    lab.host
        .execute([add_bridge(&again).unless_exists()])
        .unwrap();
}

#[test]
fn what_is_missing_is_no_error_when_it_may_be() {
    let mut lab = Lab::new();
    assert!(matches!(lab.host.link(&name("none0")), Ok(None)));
    assert!(matches!(
        lab.host.execute([delete_link(&name("none0"))]),
        Err(Error::Refused { .. })
    ));
    lab.host
        .execute([delete_link(&name("none0")).unless_missing()])
        .unwrap();
}

#[test]
fn deleting_one_end_deletes_both() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    lab.pair(bridge);
    lab.host
        .execute([
            set_isolated(&name("port0"), false),
            delete_link(&name("port0")),
        ])
        .unwrap();
    assert!(lab.inside.link(&name("eth0")).unwrap().is_none());
}

#[test]
fn a_link_is_renamed_and_a_neighbour_forgotten() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    let address = "10.9.0.2".parse().unwrap();
    lab.host
        .execute([
            add_neighbour(bridge, address, mac()),
            delete_neighbour(bridge, address),
        ])
        .unwrap();
    let (port, _) = lab.pair(bridge);
    lab.host.execute([rename(port, &name("other0"))]).unwrap();
    assert!(lab.host.link(&name("other0")).unwrap().is_some());
}
