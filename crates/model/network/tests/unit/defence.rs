//! What labels and options open and close.

use super::*;

fn parsed(pairs: &[(&str, &str)]) -> Result<Defences, Error> {
    let labels = pairs
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    Defences::parse(&labels.collect(), &BTreeMap::new())
}

#[test]
fn a_network_that_says_nothing_is_closed_where_docker_leaks_and_open_where_docker_promises() {
    let none = parsed(&[]).unwrap();
    assert_eq!(none, Defences::default());
    assert_eq!(
        (none.multicast, none.metadata),
        (Multicast::Denied, Metadata::Denied)
    );
    assert_eq!(none.host_access(false), HostAccess::All);
    assert_eq!(none.host_access(true), HostAccess::Ports(Vec::new()));
}

#[test]
fn each_word_is_read_and_an_unknown_one_refused() {
    let ports = parsed(&[(HARDENED, "true"), (HOST_ACCESS, "8080/tcp, 53/udp")]).unwrap();
    assert_eq!(
        ports.host_access(false),
        HostAccess::Ports(vec!["8080/tcp".parse().unwrap(), "53/udp".parse().unwrap()])
    );
    assert_eq!(
        parsed(&[(MULTICAST, "allow")]).unwrap().multicast,
        Multicast::Allowed
    );
    for (key, value) in [
        (MULTICAST, "yes"),
        (METADATA, ""),
        (HARDENED, "1"),
        (HOST_ACCESS, "all"),
    ] {
        assert!(parsed(&[(key, value)]).is_err(), "{key}={value}");
    }
}

#[test]
fn a_network_may_be_softer_than_the_daemon() {
    let soft = parsed(&[(HARDENED, "false")]).unwrap();
    assert_eq!(soft.host_access(true), HostAccess::All);
}

#[test]
fn a_name_beside_the_own_one_leads_astray_when_it_is_anothers_or_of_the_world_outside() {
    let members = ["web", "db"].into();
    for (alias, own, astray) in [
        ("api", "web", false),
        ("web", "web", false),
        ("Web", "web", false),
        ("db", "web", true),
        ("DB", "web", true),
        ("bank.example", "web", true),
        ("web.v1", "web.v1", false),
    ] {
        assert_eq!(leads_astray(alias, own, &members), astray, "{alias} {own}");
    }
}
