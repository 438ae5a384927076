//! The kernel tells what flows and what our rules drop; a flood is cut off, and what was cut off is counted.
#![expect(
    clippy::indexing_slicing,
    reason = "places of a lab that the test built"
)]
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[expect(dead_code, reason = "other tests ask for more of the lab")]
mod lab;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use hakone_base::{ContainerId, EndpointId, MacAddr, NetworkId};
use hakone_flow_model::{Notice, Refusal, notices};
use hakone_network_policy::{Facts, Identity, Labels};
use hakone_nft::Witness;
use hakone_policy::{
    Access, Bridge, Endpoint, HostAccess, Icc, Metadata, Multicast, Options, Telling, Topology,
};
use lab::Lab;

/// The host, the neighbour, then two members of the first network and one of the second.
const MEMBER: usize = 2;
const OTHER_MEMBER: usize = 3;

fn endpoint(network: u8, number: u8) -> Endpoint {
    let id = network * 8 + number;
    Endpoint {
        id: EndpointId::from_bytes([id; 32]),
        container: ContainerId::from_bytes([id; 32]),
        identity: Identity::of(Facts {
            container: &ContainerId::from_bytes([id; 32]),
            name: "member",
            labels: &Labels::new(),
            network: "witness",
            network_labels: &Labels::new(),
        }),
        port: format!("hk{network}{number}").parse().unwrap(),
        mac: MacAddr::new([2, 0x42, 172, network, 0, number]),
        addresses: vec![IpAddr::from([172, network, 0, number])],
        published: Vec::new(),
    }
}

fn bridge(number: u8, members: &[u8]) -> Bridge {
    Bridge {
        network: NetworkId::from_bytes([number; 32]),
        name: format!("br-{number}").parse().unwrap(),
        mac: MacAddr::new([2, 0x42, 172, number, 0, 1]),
        subnets: vec![format!("172.{number}.0.0/16").parse().unwrap()],
        gateways: vec![IpAddr::from([172, number, 0, 1])],
        internal: false,
        icc: Icc::Allowed,
        multicast: Multicast::Denied,
        metadata: Metadata::Denied,
        host_access: HostAccess::All,
        access: Access::default(),
        masquerade: true,
        endpoints: members
            .iter()
            .map(|member| endpoint(number, *member))
            .collect(),
        links: Vec::new(),
    }
}

fn world() -> (Lab, Witness) {
    let topology = Topology {
        bridges: vec![bridge(18, &[2, 3]), bridge(19, &[2])],
        options: Options {
            telling: Telling::Told,
            ..Options::default()
        },
        resolvers: Vec::new(),
        policies: Vec::new(),
        resolved: Vec::new(),
    };
    let lab = Lab::new(&topology, &[IpAddr::from([192, 0, 2, 1])], false);
    let witness = lab.places[0].run(Witness::open).unwrap();
    (lab, witness)
}

/// Reads until something passes.
fn heard(witness: &mut Witness, passes: impl Fn(&Notice) -> bool) -> Notice {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut all = Vec::new();
        witness
            .read(|datagram| all.extend(notices(datagram)))
            .unwrap();
        if let Some(found) = all.into_iter().find(&passes) {
            return found;
        }
        assert!(Instant::now() < deadline, "nothing was told");
        std::thread::yield_now();
    }
}

fn told(notice: &Notice) -> Option<&Refusal> {
    match notice {
        Notice::Told(refusal) => Some(refusal),
        Notice::Began(_) | Notice::Ended(_) => None,
    }
}

#[test]
fn a_drop_is_told_with_its_rule_its_port_and_its_packet() {
    let (lab, mut witness) = world();
    let other = IpAddr::from([172, 19, 0, 2]);
    lab.places[MEMBER].send(1, None, (other, 80));
    let words = "entering: between networks";
    let notice = heard(&mut witness, |one| {
        told(one).is_some_and(|one| one.words == words)
    });
    let refusal = told(&notice).unwrap();
    assert_eq!(refusal.packet.destination, Some(other));
    assert_eq!(refusal.packet.destination_port, Some(80));
    assert!(refusal.interface.is_some() && refusal.sequence.is_some());

    let stolen = IpAddr::from([172, 18, 0, 9]);
    lab.places[MEMBER].steal(stolen);
    lab.places[MEMBER].send(2, Some(stolen), (IpAddr::from([172, 18, 0, 3]), 80));
    let forged = heard(&mut witness, |one| {
        told(one).is_some_and(|one| one.packet.source == Some(stolen))
    });
    let forged = told(&forged).unwrap();
    assert_eq!(forged.words, "from_ip: forged source");
    assert_eq!(
        forged.packet.ether,
        Some(MacAddr::new([2, 0x42, 172, 18, 0, 2]))
    );
}

#[test]
fn what_begins_is_told_by_connection_tracking_and_between_members_by_the_bridge() {
    let (lab, mut witness) = world();
    lab.places[0].send(1, None, (IpAddr::from([172, 18, 0, 2]), 80));
    heard(
        &mut witness,
        |one| matches!(one, Notice::Began(flow) if flow.original.destination_port == Some(80)),
    );
    lab.places[MEMBER].send(2, None, (lab.places[OTHER_MEMBER].addresses[0], 81));
    let began = heard(&mut witness, |one| {
        told(one).is_some_and(Refusal::is_beginning)
    });
    assert_eq!(told(&began).unwrap().packet.destination_port, Some(81));
    assert_eq!(
        lab.arrivals(&[2]).get(&2).map(|arrival| arrival.0),
        Some(OTHER_MEMBER)
    );
}

#[test]
fn a_flood_is_told_within_its_pace_and_counted_beyond() {
    let (lab, mut witness) = world();
    let other = IpAddr::from([172, 19, 0, 2]);
    let sent = 2000;
    lab.places[MEMBER].send_many(0..sent, (other, 80));
    let chain = "refused_entering_between_networks";
    let words = "entering: between networks";
    let ours = |one: &Notice| told(one).is_some_and(|one| one.words == words);
    let beyond = || {
        let counters = lab.places[0].run(|| witness.untold().unwrap());
        counters
            .into_iter()
            .find(|(name, _)| name == chain)
            .map_or(0, |(_, count)| count)
    };
    let untold = beyond();
    assert!(untold > 1000 && untold < u64::from(sent), "{untold}");
    let mut within = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while within + untold < u64::from(sent) && Instant::now() < deadline {
        let mut all = Vec::new();
        witness
            .read(|datagram| all.extend(notices(datagram)))
            .unwrap();
        within += u64::try_from(all.iter().filter(|one| ours(one)).count()).unwrap();
    }
    assert_eq!(within + untold, u64::from(sent), "each is told or counted");
}

#[test]
fn two_cannot_listen_to_one_log() {
    let (lab, _witness) = world();
    assert!(lab.places[0].run(Witness::open).is_err());
}
