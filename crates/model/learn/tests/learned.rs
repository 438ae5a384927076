//! What is learned allows what was seen, and nothing of it can be left out.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the whole file is tests"
)]

use std::net::IpAddr;

use hakone_base::{ContainerId, Protocol, Timestamp};
use hakone_flow_model::{Direction as Way, End, Event, Party, Record, Verdict};
use hakone_learn::{Lesson, Person};
use hakone_network_policy::{
    Direction, Facts, Flow, Identity, Labels, Party as Side, Policy, judge, of_labels, parse,
};
use proptest::{collection::vec, prelude::*};

/// A name, the project and service, the network.
type Row = (
    &'static str,
    Option<(&'static str, &'static str)>,
    &'static str,
);

/// Containers of two projects and one of none, on one network each.
const PEOPLE: [Row; 5] = [
    ("shop-web-1", Some(("shop", "web")), "shop_net"),
    ("shop-web-2", Some(("shop", "web")), "shop_net"),
    ("shop-db-1", Some(("shop", "db")), "shop_net"),
    ("bank-api-1", Some(("bank", "api")), "bank_net"),
    ("lone", None, "red"),
];

fn people() -> Vec<Person> {
    let person = |(number, (name, service, network)): (u8, &Row)| {
        let labels = service.map(|(project, service)| {
            [
                ("com.docker.compose.project", project),
                ("com.docker.compose.service", service),
            ]
        });
        let labels = labels.into_iter().flatten();
        Person {
            id: ContainerId::from_bytes([number; 32]),
            name: (*name).to_owned(),
            labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            networks: vec![(*network).to_owned()],
        }
    };
    (1..).zip(&PEOPLE).map(person).collect()
}

fn identity(person: &Person) -> Identity {
    Identity::of(Facts {
        container: &person.id,
        name: &person.name,
        labels: &person.labels,
        network: &person.networks[0],
        network_labels: &Labels::new(),
    })
}

/// Someone by number: a container, or an address outside.
fn address(who: usize) -> IpAddr {
    [10, 0, 0, u8::try_from(who).unwrap() + 1].into()
}

fn end(who: usize, port: u16) -> End {
    let people = people();
    let person = people.get(who);
    let party = |id: String, name: &str| Party {
        id,
        name: name.to_owned(),
    };
    End {
        address: Some(address(who)),
        port: Some(port),
        container: person.map(|one| party(one.id.to_string(), &one.name)),
        network: person.map(|one| party("net".into(), &one.networks[0])),
        ..End::default()
    }
}

type Step = (usize, usize, Protocol, u16);

fn line((from, to, protocol, port): Step) -> Record {
    Record {
        verdict: Some(Verdict::Allowed),
        protocol: Some(protocol.as_str().to_owned()),
        source: Some(end(from, 40_000)),
        destination: Some(end(to, port)),
        ..Record::new(Timestamp::from_nanos(1), Event::Begin)
    }
}

fn lesson(steps: &[Step]) -> Lesson {
    let mut lesson = Lesson::default();
    people().into_iter().for_each(|person| lesson.teach(person));
    for step in steps {
        lesson.hear(&line(*step));
    }
    lesson
}

fn allows(policies: &[Policy], (from, to, protocol, port): Step) -> bool {
    let people: Vec<Identity> = people().iter().map(identity).collect();
    let side = |who: usize| Side {
        address: address(who),
        identity: people.get(who),
        names: &[],
    };
    let flow = Flow {
        from: side(from),
        to: side(to),
        protocol: protocol.number(),
        port: Some(port),
    };
    [Direction::Egress, Direction::Ingress]
        .iter()
        .all(|way| judge(policies, *way, &flow).is_allowed())
}

fn policies(documents: &[serde_json::Value]) -> Vec<Policy> {
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    let parsed = parse(&texts.join("\n---\n")).unwrap();
    parsed.into_iter().map(|(_, policy)| policy).collect()
}

fn any_step() -> impl Strategy<Value = Step> {
    let protocols = prop::sample::select(vec![Protocol::Tcp, Protocol::Udp]);
    (0..8_usize, 0..8_usize, protocols, 80..84_u16)
        .prop_filter("two ends, one of them ours", |(from, to, ..)| {
            from != to && (*from < 5 || *to < 5)
        })
}

proptest! {
    #[test]
    fn all_that_was_seen_is_allowed_and_what_no_service_did_is_not(
        steps in vec(any_step(), 0..12),
        other in any_step(),
    ) {
        let lesson = lesson(&steps);
        let policies = policies(&lesson.documents());
        for step in &steps {
            prop_assert!(allows(&policies, *step), "{step:?}");
        }
        // Both webs are one service; all others are themselves.
        let same = |one: usize| if one == 1 { 0 } else { one };
        let plain = |(from, to, protocol, port): Step| (same(from), same(to), protocol, port);
        let was_seen = steps.iter().any(|step| plain(*step) == plain(other));
        prop_assert_eq!(allows(&policies, other), was_seen, "{:?}", other);
    }

    #[test]
    fn labels_say_what_the_documents_say(steps in vec(any_step(), 0..12), other in any_step()) {
        let lesson = lesson(&steps);
        let labels = lesson.labels();
        let of_person = |person: &Person| {
            let identity = identity(person);
            let service = person.labels.get("com.docker.compose.service").unwrap_or(&person.name);
            let stated = &labels[&format!("{}/{service}", identity.namespace)];
            let stated = stated.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
            of_labels(&person.id, &identity.namespace, &stated).unwrap().unwrap()
        };
        let stated: Vec<Policy> = people().iter().map(of_person).collect();
        prop_assert_eq!(allows(&stated, other), allows(&policies(&lesson.documents()), other));
    }
}

#[test]
fn an_answer_that_is_told_from_the_other_side_teaches_nothing() {
    let mut lesson = lesson(&[(0, 2, Protocol::Udp, 53)]);
    let mut back = line((2, 0, Protocol::Udp, 40_000));
    back.source = Some(end(2, 53));
    lesson.hear(&back);
    let policies = policies(&lesson.documents());
    assert!(!allows(&policies, (2, 0, Protocol::Udp, 40_000)));
    assert!(allows(&policies, (0, 2, Protocol::Udp, 53)));
}

#[test]
fn what_was_dropped_or_has_no_ports_is_not_learned_and_the_latter_is_noted() {
    let mut lesson = lesson(&[]);
    let mut dropped = line((0, 2, Protocol::Tcp, 80));
    (dropped.event, dropped.verdict) = (Event::Drop, Some(Verdict::Dropped));
    let mut ping = line((0, 2, Protocol::Tcp, 80));
    ping.protocol = Some("icmp".into());
    for record in [dropped, ping] {
        lesson.hear(&record);
    }
    assert!(!allows(
        &policies(&lesson.documents()),
        (0, 2, Protocol::Tcp, 80)
    ));
    assert_eq!(lesson.notes().count(), 1);
}

#[test]
fn who_speaks_to_other_machines_may_ask_for_their_names() {
    let mut lesson = lesson(&[]);
    let outbound = Record {
        direction: Some(Way::Outbound),
        ..line((0, 7, Protocol::Tcp, 443))
    };
    lesson.hear(&outbound);
    let policies = policies(&lesson.documents());
    assert!(allows(&policies, (0, 6, Protocol::Udp, 53)));
    assert!(!allows(&policies, (2, 6, Protocol::Udp, 53)));
}
