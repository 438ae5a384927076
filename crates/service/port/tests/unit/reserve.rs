//! Which sockets reserve which ports.

use crate::bound_to;

use super::*;

fn on_loopback(ports: std::ops::RangeInclusive<u16>) -> PortBinding {
    let port = |number| Port::new(number).unwrap();
    PortBinding {
        target: "80/tcp".parse().unwrap(),
        host_address: Some(Ipv4Addr::LOCALHOST.into()),
        host_ports: Some(port(*ports.start())..=port(*ports.end())),
    }
}

fn asked(
    is_ours: &dyn Fn(IpAddr, u16, Protocol) -> bool,
    binding: &PortBinding,
) -> Result<Vec<Reserved>, Error> {
    let endpoint = EndpointId::from_bytes([7; 32]);
    reserve(
        binding,
        &Reservation {
            name: "web",
            endpoint: &endpoint,
            addresses: &every_address(),
            is_ours,
            parked: &Mutex::default(),
        },
    )
}

/// A port that something else listens on, for as long as the listener lives.
fn busy() -> (std::net::TcpListener, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn a_port_of_another_program_is_refused_by_name() {
    let (_listener, port) = busy();
    let error = asked(&|_, _, _| false, &on_loopback(port..=port))
        .unwrap_err()
        .to_string();
    let end = format!("listen tcp4 127.0.0.1:{port}: bind: address already in use");
    assert!(error.ends_with(&end), "{error}");
}

#[test]
fn a_port_of_another_container_is_refused_as_allocated() {
    let (_listener, port) = busy();
    let error = asked(&|_, _, _| true, &on_loopback(port..=port))
        .unwrap_err()
        .to_string();
    let start = "driver failed programming external connectivity on endpoint web (0707";
    let end = format!("Bind for 127.0.0.1:{port} failed: port is already allocated");
    assert!(error.starts_with(start) && error.ends_with(&end), "{error}");
}

#[test]
fn a_foreign_address_is_refused_as_such_whoever_has_the_port_on_ours() {
    let foreign = PortBinding {
        host_address: Some(Ipv4Addr::new(192, 0, 2, 77).into()),
        ..on_loopback(1..=1)
    };
    for taken in [true, false] {
        let error = asked(&|_, _, _| taken, &foreign).unwrap_err().to_string();
        assert!(
            error.ends_with("cannot assign requested address"),
            "{error}"
        );
    }
}

#[test]
fn a_range_gives_its_first_free_port() {
    let (_listener, port) = busy();
    let taken = move |_, number, _| number != port;
    assert!(asked(&taken, &on_loopback(port..=port)).is_err());
    let reserved = asked(
        &move |_, number, _| number == 40_001,
        &on_loopback(40_001..=40_009),
    )
    .unwrap();
    assert!(reserved[0].port.host_port.get() > 40_001);
}

#[test]
fn a_reserved_socket_says_what_it_reserves() {
    let binding = PortBinding {
        host_ports: None,
        ..on_loopback(1..=1)
    };
    let reserved = asked(&|_, _, _| false, &binding).unwrap();
    let (address, protocol) = bound_to(reserved[0].socket.as_ref().unwrap()).unwrap();
    assert_eq!(
        (address.port(), protocol),
        (reserved[0].port.host_port.get(), Protocol::Tcp)
    );
    assert!(address.port() >= 32768);
}
