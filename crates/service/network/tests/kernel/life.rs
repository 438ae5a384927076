//! What a crash, a restart and an end leave behind.

use hakone_base::PublishedPort;
use hakone_network::PortBinding;

use crate::lab::{LAN, OUTSIDE, ask, is_cut_off, links, look_up, on_own_host, request, until};

#[test]
fn after_a_crash_everything_goes_on_and_is_known() {
    on_own_host(|lab| {
        lab.network("app", |_| {});
        let mut asked = request("web", &["app"]);
        let target = "80/tcp".parse().unwrap();
        let port = 8080.try_into().unwrap();
        asked.exposed.push(target);
        asked.bindings.push(PortBinding {
            target,
            host_address: None,
            host_ports: Some(port..=port),
        });
        let (web, probe) = (lab.try_run(asked).unwrap(), lab.run("probe", &["app"]));
        web.echo(80);
        let (held, inits) = (web.held(), [web.init(), probe.init()]);
        let published = format!("{LAN}:8080").parse().unwrap();

        lab.crash();
        assert_eq!(
            ask(&lab.outside, published).as_deref(),
            Some(OUTSIDE),
            "the rules outlive the daemon"
        );
        lab.runtime.block_on(async {
            lab.service
                .restore(&web.id, inits[0].number, web.report.clone(), held)
                .await
                .unwrap();
            lab.service
                .restore(&probe.id, inits[1].number, probe.report.clone(), Vec::new())
                .await
                .unwrap();
            lab.service.settle().await.unwrap();
        });
        assert_eq!(ask(&lab.outside, published).as_deref(), Some(OUTSIDE));
        assert!(ask(lab.host(), "127.0.0.1:8080".parse().unwrap()).is_some());
        assert_eq!(look_up(&probe.netns, "web-c").1, [web.address()]);
        let shown = lab.service.inspect("app").unwrap().containers.unwrap();
        assert_eq!(shown.len(), 2);
        let fresh = lab.run("fresh", &["app"]);
        assert_ne!(fresh.address(), web.address());
        assert_ne!(fresh.address(), probe.address());
    });
}

#[test]
fn a_container_that_died_with_the_daemon_leaves_nothing() {
    on_own_host(|lab| {
        let a = lab.run("a", &[]);
        let port = a.report.endpoints[0].port.clone().unwrap();
        let is_there = || links().iter().any(|link| link.name == port.as_str());
        lab.crash();
        assert!(is_there());
        lab.runtime.block_on(lab.service.settle()).unwrap();
        assert!(!is_there());
        assert_eq!(
            lab.run("b", &[]).address(),
            a.address(),
            "its address is free"
        );
    });
}

#[test]
fn a_sandbox_that_was_never_wired_gives_everything_back() {
    on_own_host(|lab| {
        let mut asked = request("a", &[]);
        asked.exposed.push("80/tcp".parse().unwrap());
        asked.publish_all = true;
        let sandbox = lab.runtime.block_on(lab.service.prepare(asked)).unwrap();
        let port: PublishedPort = sandbox.report().published[0];
        let address = sandbox.report().endpoints[0].ipv4.unwrap().address;
        drop(sandbox);
        assert!(std::net::TcpListener::bind(("0.0.0.0", port.host_port.get())).is_ok());
        assert_eq!(
            lab.run("b", &[]).report.endpoints[0].ipv4.unwrap().address,
            address
        );
    });
}

#[test]
fn a_release_lets_the_kernel_take_the_interfaces_away() {
    on_own_host(|lab| {
        let a = lab.run("a", &[]);
        let id = a.id.clone();
        lab.runtime.block_on(lab.service.release(&id)).unwrap();
        lab.runtime.block_on(lab.service.release(&id)).unwrap();
        drop(a);
        until("the end of the interface", || {
            !links().iter().any(|link| link.name.starts_with("hk"))
        });
    });
}

#[test]
fn an_interface_that_a_strangers_namespace_keeps_is_swept() {
    on_own_host(|lab| {
        let a = lab.run("a", &[]);
        lab.runtime.block_on(lab.service.release(&a.id)).unwrap();
        until("the sweep", || {
            !links().iter().any(|link| link.name.starts_with("hk"))
        });
        assert!(is_cut_off(&a.netns, format!("{LAN}:1").parse().unwrap()));
    });
}
