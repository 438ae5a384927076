//! What a request for a network is read as, and what of it is refused.

use super::*;

fn parse(request: wire::NetworkCreateRequest) -> Result<NetworkSpec, Error> {
    request.try_into()
}

fn named(name: &str) -> wire::NetworkCreateRequest {
    wire::NetworkCreateRequest {
        name: name.into(),
        ..Default::default()
    }
}

#[test]
fn the_names_of_default_networks_are_taken() {
    let error = parse(named("host")).unwrap_err().to_string();
    assert_eq!(
        error,
        "operation is not permitted on predefined host network "
    );
}

#[test]
fn an_empty_driver_is_the_bridge() {
    let spec = parse(wire::NetworkCreateRequest {
        driver: Some(String::new()),
        ..named("n1")
    })
    .unwrap();
    assert_eq!(
        (spec.driver, spec.ipv4, spec.ipv6),
        (DriverKind::Bridge, true, false)
    );
}

#[test]
fn bridge_options_are_parsed_once() {
    let option = |key: &str, value: &str| (format!("com.docker.network.{key}"), value.to_owned());
    let options = [
        option("bridge.enable_icc", "false"),
        option("driver.mtu", "1400"),
        option("bridge.name", "br9"),
    ];
    let spec = parse(wire::NetworkCreateRequest {
        options: Some(options.into()),
        ..named("n1")
    })
    .unwrap();
    assert_eq!((spec.bridge.icc, spec.bridge.mtu), (false, Some(1400)));
    assert_eq!(spec.bridge.name, Some("br9".parse().unwrap()));
}

#[test]
fn a_wrong_option_is_refused() {
    for (key, value) in [
        ("bridge.enable_icc", "maybe"),
        ("driver.mtu", "-1"),
        ("bridge.name", "a/b"),
    ] {
        let options = [(format!("com.docker.network.{key}"), value.to_owned())];
        assert!(
            parse(wire::NetworkCreateRequest {
                options: Some(options.into()),
                ..named("n1")
            })
            .is_err()
        );
    }
}
