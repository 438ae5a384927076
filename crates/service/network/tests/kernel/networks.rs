//! Networks: created, shown, removed.

use hakone_engine_api::Filters;
use hakone_network::Error;

use crate::lab::{links, on_own_host, on_own_host_with, pool};

const KEYS: &[&str] = &[
    "name", "type", "dangling", "label", "label!", "until", "id", "driver", "scope",
];

fn filters(text: &str) -> Filters {
    Filters::parse(text, KEYS).unwrap()
}

#[test]
fn the_default_networks_are_there_with_ids_that_stay() {
    on_own_host(|lab| {
        let names = |lab: &crate::lab::Lab| {
            let mut list: Vec<_> = lab
                .service
                .list(&filters(""))
                .unwrap()
                .into_iter()
                .map(|n| (n.name.unwrap(), n.id.unwrap()))
                .collect();
            list.sort();
            list
        };
        let before = names(lab);
        assert_eq!(
            before
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>(),
            ["bridge", "host", "none"]
        );
        lab.crash();
        assert_eq!(names(lab), before);
        let bridge = lab.service.inspect("bridge").unwrap();
        let pool = &bridge.ipam.unwrap().config.unwrap()[0];
        assert_eq!(
            (pool.subnet.as_deref(), pool.gateway.as_deref()),
            (Some("172.17.0.0/16"), Some("172.17.0.1"))
        );
        assert_eq!(
            bridge.options.unwrap()["com.docker.network.bridge.name"],
            "hakone0"
        );
    });
}

#[test]
fn refusals_are_dockers() {
    on_own_host(|lab| {
        let id = lab.network("n1", |spec| spec.pools = vec![pool("10.1.0.0/24")]);
        let text = |result: Result<_, Error>| {
            result
                .map(|_: hakone_base::NetworkId| ())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            text(lab.try_network("n1", |_| {})),
            "network with name n1 already exists"
        );
        let overlap = lab.try_network("n2", |spec| spec.pools = vec![pool("10.1.0.128/25")]);
        assert_eq!(
            text(overlap),
            "Pool overlaps with other one on this address space"
        );
        let remove = |name: &str| text(lab.runtime.block_on(lab.service.remove(name)));
        assert_eq!(
            remove("bridge"),
            "bridge is a pre-defined network and cannot be removed"
        );
        assert_eq!(remove("nope"), "network nope not found");
        let _member = lab.run("a", &["n1"]);
        assert_eq!(
            remove("n1"),
            format!("error while removing network: network n1 id {id} has active endpoints")
        );
    });
}

#[test]
fn a_removed_network_leaves_no_bridge_and_its_subnet_is_free() {
    on_own_host(|lab| {
        let id = lab.network("n1", |spec| spec.pools = vec![pool("10.1.0.0/24")]);
        let bridge = format!("br-{}", id.short());
        let is_there = || links().iter().any(|link| link.name == bridge);
        assert!(is_there());
        lab.runtime
            .block_on(lab.service.remove(id.short()))
            .unwrap();
        assert!(!is_there());
        lab.network("n2", |spec| spec.pools = vec![pool("10.1.0.0/24")]);
    });
}

#[test]
fn a_network_is_restored_with_its_bridge() {
    on_own_host(|lab| {
        let id = lab.network("n1", |spec| spec.bridge.mtu = Some(1400));
        lab.crash();
        let link = links()
            .into_iter()
            .find(|link| link.name == format!("br-{}", id.short()))
            .unwrap();
        assert_eq!((link.mtu, link.up), (1400, true));
        assert_eq!(lab.service.resolve("n1").unwrap().0, id);
    });
}

#[test]
fn prune_takes_the_unused_ones() {
    on_own_host(|lab| {
        lab.network("used", |_| {});
        lab.network("idle", |_| {});
        lab.network("kept", |spec| {
            spec.labels.insert("keep".into(), "1".into());
        });
        let _member = lab.run("a", &["used"]);
        let pruned = lab
            .runtime
            .block_on(lab.service.prune(&filters(r#"{"label!":["keep"]}"#)))
            .unwrap();
        assert_eq!(pruned, ["idle"]);
        let custom = lab
            .service
            .list(&filters(r#"{"type":["custom"]}"#))
            .unwrap();
        assert_eq!(custom.len(), 2);
    });
}

#[test]
fn a_fixed_address_needs_a_subnet_of_the_users() {
    on_own_host(|lab| {
        lab.network("own", |spec| spec.pools = vec![pool("10.1.0.0/24")]);
        lab.network("any", |_| {});
        let asking = |network: &str| {
            let mut request = crate::lab::request("a", &[network]);
            if let hakone_network::NetworkMode::Networks(endpoints) = &mut request.mode {
                endpoints[0].ipv4 = Some("10.1.0.77".parse().unwrap());
            }
            lab.try_run(request)
        };
        let error = asking("any").err().unwrap().to_string();
        assert_eq!(
            error,
            "invalid config for network any: invalid endpoint settings:\nuser specified IP address is supported only when connecting to networks with user configured subnets"
        );
        let a = asking("own").unwrap();
        assert_eq!(
            a.report.endpoints[0].mac.unwrap().to_string(),
            "02:42:0a:01:00:4d"
        );
    });
}

#[test]
fn the_default_bridge_follows_the_configuration() {
    let configure = |config: &mut hakone_network::Config| {
        config.bridge = "hk-test0".parse().unwrap();
        config.bip = Some("10.200.0.1/24".parse().unwrap());
        config.mtu = Some(1300);
    };
    on_own_host_with(configure, |lab| {
        let a = lab.run("a", &[]);
        let v4 = a.report.endpoints[0].ipv4.unwrap();
        assert_eq!(
            (v4.address.to_string(), v4.gateway.unwrap().to_string()),
            ("10.200.0.2".into(), "10.200.0.1".into())
        );
        let link = links()
            .into_iter()
            .find(|link| link.name == "hk-test0")
            .unwrap();
        assert_eq!(link.mtu, 1300);
    });
}
