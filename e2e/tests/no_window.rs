//! No window: whatever the engine does or suffers, no packet crosses from one network to another.

#[cfg(test)]
mod tests {
    use std::{
        net::UdpSocket,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        thread,
        time::Duration,
    };

    use hakone_e2e::{Api, Background, Engine, IMAGE, Lab, eventually};
    use rustix::process::Signal;

    /// Where the fresh container of each round appears.
    const FRESH: &str = "10.92.0.77";

    #[test]
    fn a_prober_sees_nothing_of_another_network_while_networks_containers_and_daemons_come_and_go()
    {
        let mut lab = Lab::new();
        lab.docker("network create --subnet 10.91.0.0/24 --ipv6 --subnet fd00:91::/64 red")
            .ok();
        lab.docker("network create --subnet 10.92.0.0/24 --ipv6 --subnet fd00:92::/64 blue")
            .ok();
        lab.probe("attacker", "--network red --ip 10.91.0.2");
        lab.probe("friend", "--network red --ip 10.91.0.3");
        lab.probe(
            "steady",
            "--network blue --ip 10.92.0.2 --ip6 fd00:92::2 -p 8080:80",
        );
        let (friend, steady) = (Listener::of(&lab, "friend"), Listener::of(&lab, "steady"));
        let targets = ["10.91.0.3", "10.92.0.2", "fd00:92::2", FRESH];
        let prober = Prober::start(&lab, "attacker", &targets);

        for round in 0..4 {
            lab.docker(&format!("network create other{round}")).ok();
            fresh(&mut lab);
            lab.docker(&format!(
                "network connect other{round} steady; docker network disconnect other{round} steady"
            ))
            .ok();
            lab.docker(&format!("network rm other{round}")).ok();
        }
        lab.stop(Signal::TERM);
        lab.start();
        fresh(&mut lab);
        lab.crash();
        fresh(&mut lab);
        lab.docker("restart -t 0 steady").ok();

        let sent = prober.stop();
        let (reached, leaked) = (friend.count(), steady.count());
        assert_eq!(leaked, 0, "of {sent} rounds of probes");
        assert!(
            reached * 10 > sent * 9,
            "the friend got {reached} of {sent}: the prober is no measure"
        );
    }

    /// Something that changes rules, by its name.
    type Change = (&'static str, fn(&mut Lab));

    /// What happens again and again; whoever adds something that changes rules adds it here.
    const CHANGES: [Change; 6] = [
        ("a network comes and goes", network_comes_and_goes),
        ("a container starts", fresh),
        ("policies come, change and go", policies),
        ("a bridge is torn down and put back", torn_down),
        ("the daemon restarts", restart),
        ("the daemon is killed", Lab::crash),
    ];

    /// How often each happens: `HAKONE_WINDOW_REPETITIONS`, for longer runs and shorter ones.
    fn repetitions() -> u32 {
        let asked = std::env::var("HAKONE_WINDOW_REPETITIONS").ok();
        asked.and_then(|text| text.parse().ok()).unwrap_or(100)
    }

    fn network_comes_and_goes(lab: &mut Lab) {
        let mut api = Api::open(&lab.path("engine.sock")).unwrap();
        let made = api.call("POST", "/networks/create", r#"{"Name":"other"}"#);
        assert_eq!(made.unwrap().0, 201);
        let gone = api.call("DELETE", "/networks/other", "");
        assert_eq!(gone.unwrap().0, 204);
    }

    /// On both networks: the first policy replaces the tables, the second changes a group, the last leaves.
    fn policies(lab: &mut Lab) {
        let mut api = Api::open(&lab.path("engine.sock")).unwrap();
        for (from, expected) in [
            ("{}", "created"),
            (r#"{"ports":[{"protocol":"UDP"}]}"#, "configured"),
        ] {
            let policy = |namespace: &str| {
                format!(
                    r#"{{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{{"name":"p","namespace":"{namespace}"}},"spec":{{"podSelector":{{}},"ingress":[{from}]}}}}"#
                )
            };
            let both = [policy("red"), policy("blue")].join(",");
            let list = format!(r#"{{"kind":"List","items":[{both}]}}"#);
            let (status, body) = api.call("POST", "/hakone/policies", &list).unwrap();
            assert!(status == 200 && body.contains(expected), "{status} {body}");
        }
        for name in ["red/p", "blue/p"] {
            let gone = api.call("DELETE", &format!("/hakone/policies/{name}"), "");
            assert_eq!(gone.unwrap().0, 204);
        }
    }

    /// By another program; its port comes back when rules know it.
    fn torn_down(lab: &mut Lab) {
        let find = "ip -o addr show to 10.92.0.1 | cut -d' ' -f2";
        let bridge = lab.host.sh(find).ok();
        lab.host.sh(&format!("ip link del {bridge}")).ok();
        eventually("the bridge has its port again", || {
            let ports = format!("ip -o link show master {bridge} up");
            lab.host.sh(&ports).stdout.contains("hk") && !lab.host.sh(find).stdout.is_empty()
        });
    }

    fn restart(lab: &mut Lab) {
        lab.stop(Signal::TERM);
        lab.start();
    }

    #[test]
    fn a_hundred_times_each_nothing_gets_through_and_what_may_get_through_does() {
        for (backend, share) in [("nftables", 1), ("iptables", 5)] {
            let repetitions = repetitions().div_ceil(share);
            let mut lab = Lab::with(Engine::Hakone, &format!("--firewall-backend {backend}"));
            lab.docker("network create --subnet 10.91.0.0/24 --ipv6 --subnet fd00:91::/64 red")
                .ok();
            lab.docker("network create --subnet 10.92.0.0/24 --ipv6 --subnet fd00:92::/64 blue")
                .ok();
            lab.probe("attacker", "--network red --ip 10.91.0.2");
            lab.probe("friend", "--network red --ip 10.91.0.3");
            lab.probe("steady", "--network blue --ip 10.92.0.2 --ip6 fd00:92::2");
            let (friend, steady) = (Listener::of(&lab, "friend"), Listener::of(&lab, "steady"));
            let targets = ["10.91.0.3", "10.92.0.2", "fd00:92::2", FRESH];
            let prober = Prober::start(&lab, "attacker", &targets);
            for (name, change) in CHANGES {
                let before = prober.rounds();
                (0..repetitions).for_each(|_| change(&mut lab));
                let rounds = prober.rounds() - before;
                println!("{backend}: {name}, {repetitions} times: {rounds} rounds of probes");
                assert_eq!(
                    steady.count(),
                    0,
                    "{backend}: {name}: of {rounds} rounds of probes"
                );
            }
            let (sent, reached) = (prober.stop(), friend.count());
            assert!(
                reached * 10 > sent * 9,
                "the friend got {reached} of {sent}: the prober is no measure"
            );
        }
    }

    #[test]
    fn members_of_a_quiet_network_see_nothing_of_each_other_whatever_bridges_pass_on() {
        let mut lab = Lab::new();
        lab.docker("network create -o com.docker.network.bridge.enable_icc=false --subnet 10.92.0.0/24 --ipv6 --subnet fd00:92::/64 quiet").ok();
        lab.probe("steady", "--network quiet --ip 10.92.0.2 --ip6 fd00:92::2");
        lab.probe("attacker", "--network quiet --ip 10.92.0.3");
        skip_discovery(&lab);
        let steady = Listener::of(&lab, "steady");
        let prober = Prober::start(&lab, "attacker", &["10.92.0.2", "fd00:92::2", FRESH]);
        for bridged in ["1", "0"] {
            let set = |family: &str| {
                lab.host.sh(&format!(
                    "sysctl -qw net.bridge.bridge-nf-call-{family}={bridged}"
                ))
            };
            set("iptables");
            set("ip6tables");
            fresh_on(&lab, "quiet");
        }
        lab.crash();
        fresh_on(&lab, "quiet");
        assert!(lab.pings("attacker", "10.99.0.2"), "out");
        let sent = prober.stop();
        assert_eq!(steady.count(), 0, "of {sent} rounds of probes");
        assert!(sent > 1000, "{sent} rounds are no measure");
    }

    /// Tells the attacker its victims' Ethernet addresses, so that it need not ask for them.
    fn skip_discovery(lab: &Lab) {
        let mac = |name| {
            let network = "(index .NetworkSettings.Networks \"quiet\")";
            lab.docker(&format!("inspect -f '{{{{{network}.MacAddress}}}}' {name}"))
                .ok()
        };
        let steady = mac("steady");
        let fresh = "02:42:0a:5c:00:4d".to_owned();
        let pid = lab.docker("inspect -f '{{.State.Pid}}' attacker").ok();
        for (to, mac) in [
            ("10.92.0.2", &steady),
            ("fd00:92::2", &steady),
            (FRESH, &fresh),
        ] {
            lab.shell(&format!(
                "nsenter --net=/proc/{pid}/ns/net ip neigh replace {to} lladdr {mac} dev eth0"
            ))
            .ok();
        }
    }

    fn fresh(lab: &mut Lab) {
        fresh_on(lab, "blue");
    }

    /// Starts a container in the prober's sights and lets it count the datagrams it got, to open ports and closed ones.
    fn fresh_on(lab: &Lab, network: &str) {
        let count = "sleep 0.3; grep ^Udp: /proc/net/snmp";
        let line = format!(
            "run --rm --network {network} --ip {FRESH} -p 8099:99/udp {IMAGE} sh -c '{count}'"
        );
        let counters = lab.docker(&line).ok();
        let mut lines = counters
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        for (name, value) in names.iter().zip(values) {
            if ["InDatagrams", "NoPorts"].contains(name) {
                assert_eq!(value, "0", "{name} of a container that just started");
            }
        }
    }

    /// Counts the datagrams that a container gets on port 9.
    struct Listener {
        count: Arc<AtomicU64>,
        _counting: Background,
    }

    impl Listener {
        fn of(lab: &Lab, name: &str) -> Self {
            let socket = lab.inside(name, || UdpSocket::bind("[::]:9").unwrap());
            let patience = Some(Duration::from_millis(100));
            socket.set_read_timeout(patience).unwrap();
            let count = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&count);
            let counting = Background::run(move || {
                let got = socket.recv(&mut [0; 16]);
                counter.fetch_add(got.map_or(0, |_| 1), Ordering::Relaxed);
            });
            Self {
                count,
                _counting: counting,
            }
        }

        fn count(&self) -> u64 {
            self.count.load(Ordering::Relaxed)
        }
    }

    /// Sends to port 9 of every target, some thousand rounds a second.
    struct Prober {
        rounds: Arc<AtomicU64>,
        sending: Background,
    }

    impl Prober {
        fn start(lab: &Lab, from: &str, targets: &[&str]) -> Self {
            let sockets: Vec<UdpSocket> =
                lab.inside(from, || targets.iter().map(|to| towards(to)).collect());
            let rounds = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&rounds);
            let sending = Background::run(move || {
                // A neighbour that is not there refuses some; the next round asks again.
                let sent = sockets
                    .iter()
                    .filter_map(|socket| socket.send(b"probe").ok());
                let any = sent.count() > 0;
                counter.fetch_add(any.into(), Ordering::Relaxed);
                thread::sleep(Duration::from_micros(300));
            });
            Self { rounds, sending }
        }

        fn rounds(&self) -> u64 {
            self.rounds.load(Ordering::Relaxed)
        }

        /// Ends it and gives the number of rounds.
        fn stop(self) -> u64 {
            drop(self.sending);
            self.rounds.load(Ordering::Relaxed)
        }
    }

    fn towards(target: &str) -> UdpSocket {
        let (own, target) = match target.contains(':') {
            true => ("[::]:0", format!("[{target}]:9")),
            false => ("0.0.0.0:0", format!("{target}:9")),
        };
        let socket = UdpSocket::bind(own).unwrap();
        socket.connect(target).unwrap();
        // A datagram that waits for a neighbour must not hold up the next.
        socket.set_nonblocking(true).unwrap();
        socket
    }
}
