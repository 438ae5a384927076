//! Networks and addresses of plugins: a real driver with bridges and cables of its own, and one that is out of its mind.

#[cfg(test)]
mod tests {
    use std::{
        path::PathBuf,
        process::{Child, Command, Stdio},
        time::Instant,
    };

    use hakone_e2e::{Engine, IMAGE, Lab, eventually};

    /// A plugin on a laboratory's host that runs until it is dropped.
    struct Plugin {
        child: Child,
        log: PathBuf,
    }

    impl Plugin {
        fn start(lab: &Lab, manner: &str) -> Self {
            let sockets = lab.path("plugins");
            std::fs::create_dir_all(&sockets).unwrap();
            let socket = sockets.join("cloud.sock");
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plugin.py");
            #[expect(
                clippy::disallowed_methods,
                reason = "tests start programs as a shell would"
            )]
            let child = Command::new("nsenter")
                .arg(format!("--net=/run/netns/{}", lab.host.name()))
                .args(["python3", script])
                .args([&socket, &sockets])
                .arg(manner)
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            eventually("the plugin listens", || {
                std::os::unix::net::UnixStream::connect(&socket).is_ok()
            });
            let log = sockets.join("log");
            Self { child, log }
        }

        fn log(&self) -> String {
            std::fs::read_to_string(&self.log).unwrap_or_default()
        }

        /// How often a question was asked.
        fn count(&self, question: &str) -> usize {
            self.log().matches(&format!("[\"{question}\"")).count()
        }
    }

    impl Drop for Plugin {
        fn drop(&mut self) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a note of a laboratory may be torn"
    )]
    fn lab() -> Lab {
        // Only the laboratory knows its folder, so the sockets are named relative to it.
        let sockets = tempfile::Builder::new()
            .prefix("plugins-")
            .tempdir_in("/tmp");
        let sockets = sockets.unwrap().keep();
        let lab = Lab::with(
            Engine::Hakone,
            &format!("--plugin-sockets {}", sockets.display()),
        );
        std::fs::remove_dir(&sockets).unwrap();
        std::os::unix::fs::symlink(lab.path("plugins"), &sockets).unwrap();
        std::fs::write(lab.path("sockets"), sockets.display().to_string()).unwrap();
        // What a plugin's bridge switches passes no rules of IP, as on hosts without `br_netfilter`; a dockerd that ran here before
        // may have loaded it, and then it is the plugin that would have to let it pass.
        let seen = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        lab.host.sh(&format!("[ ! -e {seen} ] || echo 0 >{seen}"));
        lab
    }

    /// Takes the link away that led to the laboratory.
    fn done(lab: Lab) {
        let sockets = std::fs::read_to_string(lab.path("sockets")).unwrap();
        drop(lab);
        std::fs::remove_file(sockets).unwrap();
    }

    #[test]
    fn a_network_of_a_plugin_is_made_joined_and_given_back() {
        let mut lab = lab();
        let plugin = Plugin::start(&lab, "");
        lab.docker("network create -d cloud --subnet 10.77.0.0/24 -o color=red sky")
            .ok();
        let shown = lab
            .docker(
                "network inspect sky -f '{{.Driver}} {{.Scope}} {{(index .IPAM.Config 0).Subnet}}'",
            )
            .ok();
        assert_eq!(shown, "cloud local 10.77.0.0/24");
        lab.docker(&format!(
            "run -d --name web --network sky -p 8080:80 -p 53/udp {IMAGE} sleep 600"
        ))
        .ok();
        assert!(
            plugin.log().contains("\"color\": \"red\"")
                && plugin.log().contains("\"HostPort\": 8080"),
            "{}",
            plugin.log()
        );
        let inside = lab.docker("exec web sh -c 'ip -o addr; ip route'").ok();
        for part in [
            "net0",
            "10.77.0.2/24",
            "default via 10.77.0.1",
            "10.222.0.0/16",
        ] {
            assert!(inside.contains(part), "{part}: {inside}");
        }
        ports(&lab);
        moves(&mut lab);
        let count = |verb: &str| plugin.count(&format!("NetworkDriver.{verb}"));
        assert_eq!(
            (
                count("CreateEndpoint"),
                count("Join"),
                count("Leave"),
                count("DeleteEndpoint")
            ),
            (4, 4, 4, 4),
            "{}",
            plugin.log()
        );
        // Whatever ended it: its own end, a disconnect, a kill, a removal by the next daemon.
        let back = std::fs::read_to_string(lab.path("plugins/back")).unwrap();
        assert_eq!(
            back, "yes yes yes yes ",
            "what was lent goes back to the host"
        );
        assert_eq!(count("RevokeExternalConnectivity"), 1);
        lab.docker("network rm sky").ok();
        assert_eq!((count("CreateNetwork"), count("DeleteNetwork")), (1, 1));
        refusals(&lab);
        drop(plugin);
        done(lab);
    }

    /// What the driver says that it publishes is shown, also by another daemon; what nobody asked for is not.
    fn ports(lab: &Lab) {
        let shown = lab.docker("port web").ok();
        assert_eq!(shown, "53/udp -> 0.0.0.0:49999\n80/tcp -> 0.0.0.0:8080");
        let listed = |filter: &str| {
            lab.docker(&format!("ps --filter {filter} --format '{{{{.Ports}}}}'"))
                .ok()
        };
        let both = listed("publish=8080");
        assert!(both.contains("0.0.0.0:8080->80/tcp"), "{both}");
        assert_eq!(listed("publish=22"), "");
        // No rule of ours is about them, and nobody of ours listens there.
        let sockets = lab.host.sh("ss -Hlnut").ok();
        assert!(
            !sockets.contains(":8080 ") && !sockets.contains(":49999 "),
            "{sockets}"
        );
    }

    /// What a driver refuses, or no driver does, is told and leaves nothing.
    fn refusals(lab: &Lab) {
        let failed = lab.docker("network create -d cloud -o fail=1 full");
        assert!(
            failed.stderr.contains("no room for networks"),
            "{}",
            failed.stderr
        );
        assert!(!lab.docker("network ls").ok().contains("full"));
        let absent = lab.docker("network create -d nosuch net");
        assert!(
            absent.stderr.contains("plugin \"nosuch\" not found"),
            "{}",
            absent.stderr
        );
    }

    /// Members of `sky` speak, come and go, and the daemon dies among them.
    fn moves(lab: &mut Lab) {
        // By name, over the plugin's own bridge.
        let ping = format!("run --rm --network sky {IMAGE} ping -c 1 -W 2 web");
        lab.docker(&ping).ok();
        // A running one goes there and comes back; its interface is the plugin's again.
        lab.docker(&format!("run -d --name late {IMAGE} sleep 600"))
            .ok();
        lab.docker("network connect sky late").ok();
        assert!(lab.pings("late", "web"));
        lab.docker("network disconnect sky late").ok();
        lab.docker(&format!(
            "run -d --name brief --network sky {IMAGE} sleep 600"
        ))
        .ok();
        lab.docker("kill brief").ok();
        lab.docker("rm brief").ok();
        assert!(!lab.docker("exec late ip -o addr").ok().contains("10.77."));
        // A daemon that was killed finds what is joined.
        lab.crash();
        assert!(lab.pings("web", "10.77.0.1"));
        assert!(lab.docker("port web 80").ok().contains(":8080"));
        let used = lab.docker("network rm sky");
        assert!(
            used.stderr.contains("has active endpoints"),
            "{}",
            used.stderr
        );
        lab.docker("rm -f web late").ok();
    }

    #[test]
    fn a_plugin_gives_the_addresses_of_a_bridge_and_has_them_back() {
        let mut lab = lab();
        let plugin = Plugin::start(&lab, "");
        lab.docker("network create --ipam-driver cloud --ipam-opt floor=3 flat")
            .ok();
        lab.docker(&format!(
            "run -d --name one --network flat {IMAGE} sleep 600"
        ))
        .ok();
        let address = "inspect -f '{{.NetworkSettings.Networks.flat.IPAddress}}'";
        assert_eq!(lab.docker(&format!("{address} one")).ok(), "10.88.0.42");
        let pinned = format!("run -d --name two --network flat {IMAGE} sleep 600");
        lab.docker(&pinned).ok();
        assert_eq!(lab.docker(&format!("{address} two")).ok(), "10.88.0.43");
        assert!(lab.pings("two", "one"));
        // It forgets, and is told after a restart.
        lab.stop(rustix::process::Signal::KILL);
        drop(plugin);
        let plugin = Plugin::start(&lab, "");
        let before = plugin.log().len();
        lab.start();
        eventually("the plugin knows again", || {
            let log = plugin.log();
            log.get(before..).unwrap_or_default().contains("10.88.0.43")
        });
        lab.docker("rm -f one two").ok();
        lab.docker("network rm flat").ok();
        assert!(
            plugin.log().contains("\"floor\": \"3\""),
            "{}",
            plugin.log()
        );
        assert!(
            plugin.count("IpamDriver.ReleaseAddress") >= 3,
            "{}",
            plugin.log()
        );
        assert_eq!(
            plugin.count("IpamDriver.ReleasePool"),
            1,
            "{}",
            plugin.log()
        );
        // The default bridge has that subnet already.
        let taken = lab.docker("network create --ipam-driver cloud --subnet 172.17.0.0/24 over");
        assert!(
            taken.code != 0 && taken.stderr.contains("overlap"),
            "{}",
            taken.stderr
        );
        assert_eq!(
            plugin.count("IpamDriver.ReleasePool"),
            2,
            "{}",
            plugin.log()
        );
        drop(plugin);
        done(lab);
    }

    #[test]
    fn a_plugin_out_of_its_mind_gets_nothing_of_the_host() {
        let lab = lab();
        let mut plugin = Plugin::start(&lab, "");
        lab.docker("network create -d cloud --subnet 10.77.0.0/24 sky")
            .ok();
        lab.host
            .sh("ip link add trunk type veth peer name far; ip link add link trunk name upon type macvlan")
            .ok();
        for (manner, said) in [
            ("uplink", "the host has an address on it"),
            ("bridge", "it is the host's own"),
            ("parent", "other interfaces of the host stand on it"),
            ("route", "is not the plugin's to set"),
            ("address", "changed"),
            ("babble", "cloud"),
            ("broken", "cloud"),
        ] {
            drop(plugin);
            plugin = Plugin::start(&lab, manner);
            let run = lab.docker(&format!("run --rm --network sky {IMAGE} true"));
            let failed = run.code != 0 && run.stderr.contains(said);
            assert!(failed, "{manner}: {}", run.stderr);
            assert!(lab.host.sh("ip link show cable0").ok().contains("UP"));
            assert_eq!(lab.docker("ps -aq").ok(), "");
        }
        for manner in ["twice", "outside"] {
            drop(plugin);
            plugin = Plugin::start(&lab, manner);
            lab.docker(&format!(
                "network create --ipam-driver cloud --subnet 10.66.0.0/24 {manner}"
            ))
            .ok();
            lab.docker(&format!(
                "run -d --name first --network {manner} {IMAGE} sleep 600"
            ));
            let second = lab.docker(&format!(
                "run -d --name second --network {manner} {IMAGE} sleep 600"
            ));
            assert_ne!(second.code, 0, "{manner}");
            lab.docker("rm -f first second");
            lab.docker(&format!("network rm {manner}")).ok();
        }
        drop(plugin);
        let plugin = Plugin::start(&lab, "");
        lab.host.sh("ip link del upon; ip link del trunk").ok();
        lab.docker("network rm sky").ok();
        drop(plugin);
        done(lab);
    }

    #[test]
    fn a_plugin_that_hangs_holds_up_no_other_network_and_what_it_held_is_given_back() {
        let mut lab = lab();
        let plugin = Plugin::start(&lab, "stall");
        lab.docker("network create -d cloud --subnet 10.77.0.0/24 sky")
            .ok();
        lab.docker(&format!(
            "create --name stuck --network sky {IMAGE} sleep 600"
        ))
        .ok();
        lab.shell("((docker start stuck; touch ended) >/dev/null 2>&1 &)");
        eventually("the plugin hangs", || {
            plugin.count("NetworkDriver.CreateEndpoint") == 1
        });
        lab.docker("network create other").ok();
        lab.docker(&format!("run --rm --network other {IMAGE} true"))
            .ok();
        lab.docker("network inspect sky").ok();
        lab.docker("network rm other").ok();
        assert!(!lab.path("ended").exists(), "all that while it hung");
        // Killed in the middle: the next daemon gives back what may have been made.
        lab.stop(rustix::process::Signal::KILL);
        drop(plugin);
        let plugin = Plugin::start(&lab, "");
        lab.start();
        eventually("the endpoint is given back", || {
            plugin.count("NetworkDriver.DeleteEndpoint") == 1
        });
        lab.docker("rm -f stuck").ok();
        lab.docker("network rm sky").ok();
        drop(plugin);
        done(lab);
    }

    /// A datagram to each of 600 addresses of its link that nobody has.
    const SEARCH: &str = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
        [s.sendto(b'?', ('10.77.%d.%d' % (1 + n // 200, 2 + n % 200), 9)) for n in range(600)]";

    #[test]
    fn a_member_of_a_plugins_network_searches_it_within_the_pace_of_all() {
        let lab = lab();
        let plugin = Plugin::start(&lab, "");
        lab.docker("network create -d cloud --subnet 10.77.0.0/16 sky")
            .ok();
        lab.probe("mallory", "--network sky");
        lab.probe("honest", "--network sky");
        let pid = lab.docker("inspect -f '{{.State.Pid}}' mallory").ok();
        let inside = |line: &str| lab.shell(&format!("nsenter --net=/proc/{pid}/ns/net {line}"));
        // What goes beyond the pace is not permitted; the longer it takes, the more that lets through.
        let begun = Instant::now();
        inside(&format!("python3 -c \"{SEARCH}\" 2>/dev/null; true")).ok();
        let asked = "ip -4 neigh show nud incomplete nud failed | wc -l";
        let asked = inside(asked).ok().parse::<u64>().unwrap();
        let most = 260 + 32 * begun.elapsed().as_secs();
        assert!((20..most).contains(&asked), "{asked} asked for");
        // What it asks for and what it answers come out of its pace, which comes back; nobody else's was touched.
        assert!(lab.pings("honest", "10.77.0.1"));
        for (from, to) in [("mallory", "10.77.0.1"), ("honest", "mallory")] {
            let ping = format!("exec {from} ping -c 1 -W 2 {to}");
            eventually("the pace is back", || lab.docker(&ping).code == 0);
        }
        lab.docker("rm -f mallory honest").ok();
        lab.docker("network rm sky").ok();
        drop(plugin);
        done(lab);
    }

    #[test]
    fn an_address_that_was_given_while_the_daemon_died_goes_back_and_nobody_elses_does() {
        let mut lab = lab();
        let plugin = Plugin::start(&lab, "");
        lab.docker("network create --ipam-driver cloud --subnet 10.88.0.0/24 flat")
            .ok();
        let run = |name: &str, address: &str| {
            format!("run -d --name {name} --network flat {address} {IMAGE} sleep 600")
        };
        lab.docker(&run("here", "--ip 10.88.0.77")).ok();
        std::fs::File::create(lab.path("plugins/mute")).unwrap();
        // Asked for by name, one of them somebody's; and one that is left to the plugin.
        for (name, address) in [
            ("lost", "--ip 10.88.0.99"),
            ("thief", "--ip 10.88.0.77"),
            ("any", ""),
        ] {
            let line = run(name, address);
            lab.shell(&format!(
                "docker -H unix://engine.sock {line} >/dev/null 2>&1 &"
            ));
        }
        let asked = |text: &str| plugin.log().matches(text).count();
        eventually("the plugin was asked", || {
            asked("\"Address\": \"10.88.0.99\"") == 1
                && plugin.log().contains("\"Address\": \"\", \"Options\": {}")
        });
        lab.crash();
        std::fs::remove_file(lab.path("plugins/mute")).unwrap();
        let released = |address: &str| {
            let back = format!(
                "[\"IpamDriver.ReleaseAddress\", {{\"PoolID\": \"p-10.88.0.0/24\", \"Address\": \"{address}\"}}]"
            );
            plugin.log().contains(&back)
        };
        eventually("the address goes back", || released("10.88.0.99"));
        eventually("the log tells of the other one", || {
            lab.log().contains("its answer was not heard")
        });
        assert!(!released("10.88.0.77"), "{}", plugin.log());
        assert!(!released("10.88.0.1"), "{}", plugin.log());
        lab.docker("rm -f lost thief any").ok();
        lab.docker(&run("again", "--ip 10.88.0.99")).ok();
        lab.docker("rm -f again here").ok();
        eventually("what ended goes back", || released("10.88.0.77"));
        lab.docker("network rm flat").ok();
        drop(plugin);
        done(lab);
    }

    #[test]
    fn what_is_changed_on_a_plugins_bridge_stays_and_on_ours_with_its_addresses_is_put_back() {
        let lab = lab();
        let plugin = Plugin::start(&lab, "");
        lab.docker("network create -d cloud --subnet 10.77.0.0/24 sky")
            .ok();
        lab.docker("network create --ipam-driver cloud flat").ok();
        lab.probe("web", "--network sky");
        lab.probe("one", "--network flat");
        lab.probe("two", "--network flat");
        let host = |line: &str| lab.host.sh(line).ok();
        let gateway = host("ip -o addr show to 10.88.0.0/24");
        let mut words = gateway.split_whitespace();
        let (ours, gateway) = (words.nth(1).unwrap(), words.nth(1).unwrap());
        // As a driver would: a cable out of its bridge, the bridge without its address and down, with another MTU and flags.
        let cable = host("ip -o link | grep -o 'rv[0-9a-f]*@' | tr -d @");
        let bridge = host("ip -o link show type bridge | grep -o 'rb[0-9a-f]*' | head -n1");
        host(&format!(
            "bridge link set dev {cable} isolated on learning off; ip link set {cable} nomaster; \
             ip addr flush dev {bridge}; ip link set {bridge} down mtu 1400"
        ));
        // Told in order: whoever put this back has seen all that.
        host(&format!("ip addr del {gateway} dev {ours}"));
        eventually("our bridge has its address again", || {
            host(&format!("ip -o addr show dev {ours}")).contains(gateway)
        });
        host(&format!("ip link del {ours}"));
        eventually("our bridge has its members again", || {
            lab.docker("exec one ping -c 1 -W 1 two").code == 0
        });
        let left = host(&format!(
            "ip -o addr show dev {bridge}; ip -o link show {bridge}; ip -o link show {cable}"
        ));
        assert!(
            !left.contains("10.77.0.1")
                && left.contains("mtu 1400")
                && left.contains("state DOWN")
                && !left.contains("master"),
            "{left}"
        );
        let log = lab.log();
        let mended: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("put back"))
            .collect();
        assert!(mended.len() >= 2, "{log}");
        for line in mended {
            assert!(!line.contains(&bridge) && !line.contains(&cable), "{line}");
        }
        lab.docker("rm -f web one two").ok();
        lab.docker("network rm sky flat").ok();
        drop(plugin);
        done(lab);
    }

    #[test]
    fn policies_are_refused_where_a_plugin_carries_the_packets() {
        let lab = lab();
        let plugin = Plugin::start(&lab, "");
        lab.docker("network create -d cloud --subnet 10.77.0.0/24 sky")
            .ok();
        let refused = lab.docker(&format!(
            "run --rm --network sky --label dev.hakone.ingress=none {IMAGE} true"
        ));
        assert!(
            refused.code != 0
                && refused
                    .stderr
                    .contains("of driver cloud: policies judge nothing there"),
            "{}",
            refused.stderr
        );
        lab.docker("network rm sky").ok();
        drop(plugin);
        done(lab);
    }

    #[test]
    fn a_network_that_only_configures_others_is_their_pattern() {
        let lab = Lab::new();
        lab.docker("network create --config-only --subnet 10.55.0.0/24 --label team=blue -o com.docker.network.bridge.enable_icc=false plan")
            .ok();
        lab.docker("network create --config-from plan --internal made")
            .ok();
        let shown = lab
            .docker("network inspect made -f '{{.Driver}} {{.Internal}} {{.ConfigFrom.Network}} {{(index .IPAM.Config 0).Subnet}} {{.Labels.team}}'")
            .ok();
        assert_eq!(shown, "bridge true plan 10.55.0.0/24 blue");
        lab.docker(&format!("run --rm --network made {IMAGE} true"))
            .ok();
        let joined = lab.docker(&format!("run --rm --network plan {IMAGE} true"));
        assert_ne!(joined.code, 0);
        let used = lab.docker("network rm plan");
        assert!(
            used.stderr
                .contains("configuration network \"plan\" is in use"),
            "{}",
            used.stderr
        );
        lab.docker("network rm made").ok();
        lab.docker("network rm plan").ok();
    }
}
