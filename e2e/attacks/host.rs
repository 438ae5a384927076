//! From a container to what the host, its loopback and other containers keep for themselves: names, ports, secrets.

use std::{
    net::{TcpListener, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
};

use hakone_e2e::{Engine, IMAGE, Lab, eventually};

use crate::world::network;

/// `link_env_leak`: a link brings a name and not the passwords of who is linked.
#[test]
fn a_link_tells_nothing_of_the_others_environment() {
    let lab = Lab::new();
    lab.docker(&format!(
        "run -d --name db -e PASSWORD=hunter2 --expose 80 {IMAGE} sleep 1000"
    ))
    .ok();
    let client = format!("run --rm --link db:database {IMAGE} sh -c 'env; cat /etc/hosts'");
    let told = lab.docker(&client).ok();
    assert!(
        !told.contains("hunter2") && !told.contains("_ENV_"),
        "{told}"
    );
    assert!(told.contains("database"), "the control: {told}");
}

/// `published_loopback_from_container`, `cross_default_to_user`: by every address that a container could try.
#[test]
fn a_port_on_the_loopback_is_for_the_host_alone() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    lab.server("web", "--network red -p 127.0.0.1:8080:80");
    network(&lab, 2, "blue", "");
    lab.probe("same", "--network red");
    lab.probe(
        "other",
        "--network blue --cap-add NET_ADMIN --cap-add NET_RAW",
    );
    lab.probe("default", "");
    let web = lab.address("web", "red");
    for (from, gateway) in [
        ("same", "10.71.0.1"),
        ("other", "10.72.0.1"),
        ("default", "172.17.0.1"),
    ] {
        for address in [gateway, "10.99.0.1", "127.0.0.1", "10.71.0.1"] {
            let to = format!("{address}:8080");
            assert!(lab.is_kept_from(from, &to), "{from} reaches {to}");
        }
        let direct = format!("{web}:80");
        let judged = match from {
            "same" => lab.reaches(from, &direct),
            _ => lab.is_kept_from(from, &direct),
        };
        assert!(judged, "{from} by its address");
    }
    lab.docker("exec other sh -c 'ip route add 127.0.0.0/8 via 10.72.0.1 table 5; ip rule add pref 0 table 5; true'");
    assert!(
        lab.is_kept_from("other", "127.0.0.1:8080"),
        "led to the gateway"
    );
    assert!(lab.host.reaches("127.0.0.1:8080"), "the control");
    assert!(lab.outside.is_kept_from("10.99.0.1:8080"), "the outside");
}

/// `lan_unpublished_policy_accept`, and its twin of IPv6, on the default bridge: what is not published is nobody's.
#[test]
fn the_lan_reaches_no_container_by_its_own_address() {
    let lab = Lab::with(
        Engine::Hakone,
        "--bip 10.71.0.1/24 --ipv6 --fixed-cidr-v6 fd71::/64",
    );
    lab.host
        .sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; iptables -P FORWARD ACCEPT; ip6tables -P FORWARD ACCEPT")
        .ok();
    lab.server_on("web", "-p 8080:80", &[80, 81]);
    let web = lab.address("web", "bridge");
    let six = "inspect -f '{{(index .NetworkSettings.Networks \"bridge\").GlobalIPv6Address}}' web";
    let six = lab.docker(six).ok();
    for _ in ["at first", "after a flush"] {
        for address in [
            format!("{web}:81"),
            format!("{web}:80"),
            format!("[{six}]:81"),
            format!("[{six}]:80"),
        ] {
            assert!(lab.outside.is_kept_from(&address), "{address}");
        }
        assert!(lab.outside.reaches("10.99.0.1:8080"), "the control");
        lab.host.sh("nft flush ruleset").ok();
        eventually("our rules are back", || {
            lab.host.sh("nft list table inet hakone").code == 0
                && lab.outside.reaches("10.99.0.1:8080")
        });
    }
}

/// `host_net_port_hijack`: a container on the host's network takes no port that another publishes, nor does a death of the daemon free it.
#[test]
fn a_published_port_is_nobody_elses_while_its_container_runs() {
    let mut lab = Lab::new();
    lab.server("web", "-p 8080:80 -p 8081:81/udp");
    let taken = |lab: &Lab, when: &str| {
        for address in ["0.0.0.0", "127.0.0.1", "10.99.0.1", "[::]"] {
            let bound = lab.host.on(|| TcpListener::bind(format!("{address}:8080")));
            assert!(bound.is_err(), "{when}: {address}");
        }
        let thief =
            format!("run --rm --network host --user 1000 {IMAGE} sh -c 'timeout 1 nc -l -p 8080'");
        let told = lab.docker(&thief).stderr;
        assert!(told.contains("Address already in use"), "{when}: {told}");
        assert!(lab.outside.reaches("10.99.0.1:8080"), "{when}: the control");
    };
    taken(&lab, "at first");
    lab.stop(rustix::process::Signal::KILL);
    let bound = lab.host.on(|| TcpListener::bind("0.0.0.0:8080"));
    assert!(bound.is_err(), "without a daemon");
    lab.start();
    taken(&lab, "after the daemon's death");
}

/// Says that it is over, also when its test fails.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// `host_net_port_hijack`: nor does it get one while its container is restarted, by a command or by its policy; a container that
/// rests gives it up.
#[test]
fn a_published_port_is_nobody_elses_while_its_container_is_restarted() {
    let lab = Lab::new();
    lab.server("web", "-p 8080:80 -p 8081:81/udp");
    let policy = "-p 9090:90 --restart always";
    lab.docker(&format!("run -d --name again {policy} {IMAGE} sleep 0.3"))
        .ok();
    let free = |port: u16| {
        let bound = |address: &str| lab.host.on(|| TcpListener::bind((address, port)));
        bound("0.0.0.0").is_ok() || bound("127.0.0.1").is_ok() || bound("::").is_ok()
    };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let thief = scope.spawn(|| {
            let mut tries = 0;
            while !over.load(Ordering::SeqCst) {
                assert!(!free(8080), "taken after {tries} tries");
                assert!(!free(9090), "taken from a policy after {tries} tries");
                tries += 1;
            }
            tries
        });
        let ended = Ended(&over);
        for _ in 0..3 {
            lab.docker("restart -t 0 web").ok();
            eventually("the control: its server is back", || {
                lab.outside.reaches("10.99.0.1:8080")
            });
        }
        let restarts = "inspect -f {{.RestartCount}} again";
        eventually("its policy started it thrice", || {
            lab.docker(restarts).ok().trim().parse::<u32>().unwrap() >= 3
        });
        drop(ended);
        assert!(thief.join().unwrap() > 100);
    });
    // One that fails to come back, one that is stopped between two runs, and one that is stopped: all give theirs up.
    lab.docker("stop -t 0 web").ok();
    assert!(free(8080));
    lab.docker("stop -t 0 again").ok();
    assert!(free(9090));
    lab.docker("start web").ok();
    lab.docker("rm -f web").ok();
    assert!(free(8080));
    lab.docker(&format!("run -d --name fails {policy} {IMAGE} false"))
        .ok();
    eventually("it waits for its next run", || {
        let state = lab.docker("inspect -f {{.State.Status}} fails").ok();
        state.trim() == "restarting" && !free(9090)
    });
    lab.docker("rm -f fails").ok();
    assert!(free(9090));
}

/// `name_traversal`: names that are paths, of everything that has a name.
#[test]
fn no_name_is_a_path() {
    let lab = Lab::new();
    for name in [
        "../../x",
        "a/../../b",
        "/etc/x",
        "..",
        "a%2f..%2fb",
        ".",
        "a\\b",
    ] {
        for line in [
            format!("create --name '{name}' {IMAGE} true"),
            format!("network create '{name}'"),
            format!("volume create '{name}'"),
            format!("tag {IMAGE} '../{name}'"),
            format!(
                "run --rm -v '{name}/../..:/x' --mount type=volume,src='{name}',dst=/y {IMAGE} true"
            ),
        ] {
            assert_ne!(lab.docker(&line).code, 0, "{line}");
        }
    }
    let escaped = lab.shell("ls -d x b ../x ../b /etc/x data/x data/volumes/../x 2>/dev/null");
    assert_eq!(escaped.stdout, "");
}

/// `vxlan_inject_from_container`: frames for an overlay network come from its peers, and no container is one.
#[test]
fn no_container_injects_frames_into_the_hosts_tunnels() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    for (name, flags) in [("user", "--network red --cap-add NET_RAW"), ("default", "")] {
        lab.probe(name, flags);
    }
    let listen = |port: u16| {
        let socket = lab.host.on(|| UdpSocket::bind(("0.0.0.0", port)).unwrap());
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let (tunnels, control) = ([4789, 8472, 6081].map(listen), listen(4790));
    for (name, gateway) in [("user", "10.71.0.1"), ("default", "172.17.0.1")] {
        let socket = lab.inside(name, || UdpSocket::bind("0.0.0.0:0").unwrap());
        for address in [gateway, "10.99.0.1"] {
            for port in [4789, 8472, 6081] {
                socket.send_to(b"frame", (address, port)).ok();
            }
        }
        eventually("the control arrives", || {
            socket.send_to(b"frame", (gateway, 4790)).ok();
            control.recv(&mut [0; 8]).is_ok()
        });
        for tunnel in &tunnels {
            assert!(tunnel.recv(&mut [0; 8]).is_err(), "{name}");
        }
    }
}

/// `vxlan_to_other_hosts`: another host of an overlay knows its peers by their address, and masquerading lends a container this host's.
#[test]
fn no_container_injects_frames_into_other_hosts_tunnels() {
    for backend in ["nftables", "iptables"] {
        let lab = Lab::with(Engine::Hakone, &format!("--firewall-backend {backend}"));
        network(&lab, 1, "red", "");
        let plain = "-o com.docker.network.bridge.enable_ip_masquerade=false";
        network(&lab, 2, "plain", plain);
        lab.probe("mallory", "--network red --cap-add NET_RAW");
        lab.probe("itself", "--network plain");
        reaches_no_tunnel(&lab, "10.99.0.2", "0.0.0.0");
        reaches_no_tunnel(&lab, "[fd99::2]", "[::]");
    }
}

fn reaches_no_tunnel(lab: &Lab, address: &str, any: &str) {
    let listen = |port: u16| {
        let at = format!("{address}:{port}");
        let socket = lab.outside.on(|| UdpSocket::bind(at).unwrap());
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let (tunnels, control) = ([4789, 8472, 6081].map(listen), listen(4790));
    let sender = |name: &str, port: u16| {
        lab.inside(name, || UdpSocket::bind(format!("{any}:{port}")).unwrap())
    };
    let send = |from: &UdpSocket, port: u16| from.send_to(b"frame", format!("{address}:{port}"));
    for own in [0, 4789] {
        let socket = sender("mallory", own);
        for port in [4789, 8472, 6081] {
            send(&socket, port).ok();
        }
        eventually("the control arrives", || {
            send(&socket, 4790).ok();
            control.recv(&mut [0; 8]).is_ok()
        });
    }
    for tunnel in &tunnels {
        assert!(tunnel.recv(&mut [0; 8]).is_err(), "{address}");
    }
    let itself = sender("itself", 0);
    eventually("under its own address it may", || {
        send(&itself, 4789).ok();
        tunnels[0].recv(&mut [0; 8]).is_ok()
    });
}

/// `unlimited_logs`: a line without an end, of a container that names no option.
#[test]
fn a_flood_of_output_is_rotated_without_any_option() {
    let lab = Lab::new();
    let flood = "head -c 230000000 /dev/zero | tr '\\000' a";
    lab.docker(&format!("run -d --name loud {IMAGE} sh -c \"{flood}\""))
        .ok();
    lab.docker("wait loud").ok();
    let sizes = lab.shell("stat -c %s data/containers/*/*-json.log*").ok();
    let sizes: Vec<u64> = sizes.lines().map(|line| line.parse().unwrap()).collect();
    assert!(sizes.len() > 1, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size < 201 << 20), "{sizes:?}");
}
