//! One daemon alone keeps the rules of a network namespace.

use std::{
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    sync::Mutex,
};

use hakone_network::{Error, Service};

use crate::lab::{Lab, on_own_host, on_own_host_with};

/// Opens a second service on the same host, with records of its own.
fn second(lab: &Lab, firewall: bool) -> Result<Service, Error> {
    let mut config = lab.config.clone();
    config.folder = lab.config.folder.join("second");
    config.bridge = "second0".parse().unwrap();
    config.firewall = firewall;
    let _entered = lab.runtime.enter();
    Service::open(config, lab.bus.clone())
}

#[test]
fn a_second_daemon_is_refused_and_told_of_the_first() {
    on_own_host(|lab| {
        let own = std::process::id();
        let refused = second(lab, true).map(drop);
        assert!(
            matches!(refused, Err(Error::Owned { process }) if process == own),
            "{refused:?}"
        );
        lab.service.shutdown();
        lab.crash();
    });
}

#[test]
fn a_daemon_without_rules_of_its_own_may_be_there_too() {
    on_own_host(|lab| {
        let second = second(lab, false).unwrap();
        lab.runtime.block_on(second.purge()).unwrap();
        // Its purge took all interfaces of ours with it; the first one's are made again.
        lab.crash();
    });
}

/// Holds names for as long as the test runs.
static HELD: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// Somebody in the host's network who is no daemon, as a container may be, keeps nobody from starting.
#[test]
fn a_mark_whose_holder_cannot_be_asked_keeps_no_daemon_away() {
    let squat = |_: &mut hakone_network::Config| {
        let name = SocketAddr::from_abstract_name("hakone/firewall").unwrap();
        let mark = UnixListener::bind_addr(&name).unwrap();
        // Shut down, it takes no question; the name stays taken for as long as the test runs.
        rustix::net::shutdown(&mark, rustix::net::Shutdown::Both).unwrap();
        HELD.lock().unwrap().push(mark);
    };
    on_own_host_with(squat, |lab| {
        lab.network("red", |_| {});
    });
}
