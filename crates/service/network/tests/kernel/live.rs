//! Connecting and disconnecting while a container runs.

use hakone_network::EndpointRequest;

use crate::lab::{Container, Lab, OUTSIDE, ask, is_cut_off, look_up, on_own_host, serve};

fn connect(
    lab: &Lab,
    container: &Container,
    network: &str,
) -> Result<hakone_network::SandboxReport, hakone_network::Error> {
    let init = container.init();
    let endpoint = EndpointRequest {
        network: network.into(),
        ..EndpointRequest::default()
    };
    lab.runtime
        .block_on(lab.service.connect(&container.id, init.number, endpoint))
}

fn disconnect(
    lab: &Lab,
    container: &Container,
    network: &str,
) -> Result<hakone_network::SandboxReport, hakone_network::Error> {
    let init = container.init();
    lab.runtime
        .block_on(lab.service.disconnect(&container.id, init.number, network))
}

#[test]
fn a_connected_container_reaches_the_network_until_it_is_disconnected() {
    on_own_host(|lab| {
        lab.network("one", |_| {});
        lab.network("two", |_| {});
        let (a, b) = (lab.run("a", &["one"]), lab.run("b", &["two"]));
        b.echo(80);
        assert!(is_cut_off(&a.netns, b.at(80)));
        let report = connect(lab, &a, "two").unwrap();
        assert_eq!(
            report.endpoints[1].interface.as_ref().unwrap().as_str(),
            "eth1"
        );
        assert!(ask(&a.netns, b.at(80)).is_some());
        assert_eq!(look_up(&a.netns, "b-c").1, [b.address()]);
        assert_eq!(disconnect(lab, &a, "two").unwrap().endpoints.len(), 1);
        assert!(is_cut_off(&a.netns, b.at(80)));
    });
}

#[test]
fn the_way_out_moves_to_the_network_that_is_left() {
    on_own_host(|lab| {
        lab.network("one", |_| {});
        serve(&lab.outside, format!("{OUTSIDE}:80").parse().unwrap());
        let a = lab.run("a", &[]);
        connect(lab, &a, "one").unwrap();
        disconnect(lab, &a, "bridge").unwrap();
        assert!(ask(&a.netns, format!("{OUTSIDE}:80").parse().unwrap()).is_some());
        assert_eq!(
            look_up(&a.netns, "a-c").0,
            0,
            "the first network with names brought a resolver"
        );
    });
}

#[test]
fn refusals_are_dockers() {
    on_own_host(|lab| {
        lab.network("ok1", |_| {});
        let a = lab.run("a", &["ok1"]);
        let text = |result: Result<hakone_network::SandboxReport, hakone_network::Error>| {
            result.unwrap_err().to_string()
        };
        assert_eq!(
            text(connect(lab, &a, "ok1")),
            "endpoint with name a-c already exists in network ok1"
        );
        assert_eq!(text(connect(lab, &a, "nonet")), "network nonet not found");
        let expected = format!("container {} is not connected to network bridge", a.id);
        assert_eq!(text(disconnect(lab, &a, "bridge")), expected);
    });
}

#[test]
fn each_comes_with_its_event() {
    on_own_host(|lab| {
        lab.network("one", |_| {});
        let mut events = lab.bus.subscribe().live;
        let a = lab.run("a", &[]);
        connect(lab, &a, "one").unwrap();
        disconnect(lab, &a, "one").unwrap();
        let seen: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        let shown: Vec<_> = seen
            .iter()
            .map(|e| (e.action.as_str(), e.attributes["name"].as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("connect", "bridge"),
                ("connect", "one"),
                ("disconnect", "one")
            ]
        );
        assert!(seen.iter().all(
            |e| e.attributes["container"] == a.id.as_str() && e.attributes["type"] == "bridge"
        ));
    });
}
