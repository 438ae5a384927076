//! Names: what the embedded resolver answers, asks and keeps to itself.

use std::net::{IpAddr, UdpSocket};

use crate::lab::{LAN, look_up, on_own_host, on_own_host_with, request};

const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;

#[test]
fn a_member_is_found_by_name_alias_and_short_id() {
    on_own_host(|lab| {
        lab.network("app", |_| {});
        let a = lab.run("a", &["app"]);
        let mut asked = request("db", &["app"]);
        if let hakone_network::NetworkMode::Networks(endpoints) = &mut asked.mode {
            endpoints[0].aliases = vec!["store".into()];
        }
        let db = lab.try_run(asked).unwrap();
        for name in ["db-c", "store", "DB-C", db.id.short(), "db-c.app"] {
            assert_eq!(
                look_up(&a.netns, name),
                (NO_ERROR, vec![db.address()]),
                "{name}"
            );
        }
    });
}

#[test]
fn a_member_of_another_network_and_a_released_one_have_no_name() {
    on_own_host(|lab| {
        lab.network("app", |_| {});
        lab.network("other", |_| {});
        let (a, b, c) = (
            lab.run("a", &["app"]),
            lab.run("b", &["app"]),
            lab.run("c", &["other"]),
        );
        assert_eq!(look_up(&a.netns, "c-c").0, NO_SUCH_NAME);
        assert_eq!(look_up(&a.netns, "b-c").1, [b.address()]);
        lab.runtime.block_on(lab.service.release(&b.id)).unwrap();
        assert_eq!(look_up(&a.netns, "b-c").0, NO_SUCH_NAME);
        drop(c);
    });
}

#[test]
fn a_renamed_container_has_its_new_name_alone() {
    on_own_host(|lab| {
        lab.network("app", |_| {});
        let (a, b) = (lab.run("a", &["app"]), lab.run("b", &["app"]));
        lab.service.rename(&b.id, &"fresh".parse().unwrap());
        assert_eq!(look_up(&a.netns, "fresh").1, [b.address()]);
        assert_eq!(look_up(&a.netns, "b-c").0, NO_SUCH_NAME);
    });
}

/// Answers every question with 203.0.113.7, from the host.
fn upstream() {
    let socket = UdpSocket::bind(format!("{LAN}:53")).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut answer = buffer.get(..length).unwrap().to_vec();
            answer.splice(2..8, [0x81, 0x80, 0, 1, 0, 1]);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7]);
            socket.send_to(&answer, from).unwrap();
        }
    });
}

#[test]
fn other_names_are_asked_from_the_host_and_internal_ones_never() {
    let ask_lan = |config: &mut hakone_network::Config| config.dns = vec![LAN.parse().unwrap()];
    on_own_host_with(ask_lan, |lab| {
        upstream();
        lab.network("app", |_| {});
        lab.network("inner", |spec| spec.internal = true);
        let (a, b) = (lab.run("a", &["app"]), lab.run("b", &["inner"]));
        let found: Vec<IpAddr> = vec!["203.0.113.7".parse().unwrap()];
        assert_eq!(look_up(&a.netns, "www.example.org"), (NO_ERROR, found));
        assert_eq!(look_up(&b.netns, "www.example.org").0, SERVER_FAILURE);
        assert_eq!(look_up(&a.netns, "mistyped").0, NO_SUCH_NAME);
    });
}

#[test]
fn the_container_may_have_port_53_for_itself() {
    on_own_host(|lab| {
        lab.network("app", |_| {});
        let a = lab.run("a", &["app"]);
        let own = a
            .netns
            .on(|| UdpSocket::bind("0.0.0.0:53").unwrap())
            .unwrap();
        assert_eq!(look_up(&a.netns, "a-c").1, [a.address()]);
        drop(own);
    });
}

#[test]
fn the_default_bridge_has_no_resolver_and_the_files_say_where_to_ask() {
    let settings =
        |config: &mut hakone_network::Config| config.dns = vec!["192.0.2.53".parse().unwrap()];
    on_own_host_with(settings, |lab| {
        lab.network("app", |_| {});
        let (plain, named) = (lab.run("p", &[]), lab.run("n", &["app"]));
        let conf = |report: &hakone_network::SandboxReport| report.resolv_conf.clone().unwrap();
        assert!(conf(&plain.report).contains("nameserver 192.0.2.53\n"));
        assert!(conf(&named.report).contains("nameserver 127.0.0.11\n"));
        assert_eq!(
            named.report.resolver.unwrap().upstreams,
            ["192.0.2.53".parse::<IpAddr>().unwrap()]
        );
        let line = format!("{}\tp\n", plain.report.endpoints[0].ipv4.unwrap().address);
        assert!(plain.report.hosts.unwrap().ends_with(&line));
    });
}
