//! A container's networks: none of its own, several, changing while it runs; and the names that come and go with them.

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream, UdpSocket},
        sync::{Arc, Mutex},
        time::Duration,
    };

    use hakone_e2e::{Background, IMAGE, Lab, eventually};

    #[test]
    fn a_container_in_anothers_network_shares_its_addresses_and_ports() {
        let lab = Lab::new();
        lab.docker("network create red").ok();
        lab.probe("owner", "--network red -p 8080:80");
        lab.docker(&format!(
            "run -d --name guest --network container:owner {IMAGE} httpd -f -p 80 -h /etc"
        ))
        .ok();
        eventually("the guest serves the owner's port", || {
            lab.outside.reaches("10.99.0.1:8080")
        });
        assert!(lab.reaches("owner", "127.0.0.1"));
        lab.probe("near", "--network red");
        assert!(lab.reaches("near", "owner"));
        let name = |of| lab.docker(&format!("exec {of} hostname")).ok();
        assert_eq!(name("guest"), name("owner"));
        assert!(
            lab.docker("exec guest nslookup near")
                .stdout
                .contains("near")
        );
        let refused = lab.docker(&format!(
            "run --rm --network container:owner -p 81:81 {IMAGE} true"
        ));
        assert_ne!(refused.code, 0, "ports are the owner's to publish");
    }

    #[test]
    fn a_container_on_the_hosts_network_has_its_interfaces_and_ports() {
        let lab = Lab::new();
        lab.docker(&format!(
            "run -d --name web --network host {IMAGE} httpd -f -p 8088 -h /etc"
        ))
        .ok();
        eventually("the host's port answers", || {
            lab.outside.reaches("10.99.0.1:8088")
        });
        let links = lab.docker("exec web ip -o link").ok();
        assert!(links.contains("cable0"), "{links}");
        assert!(lab.docker("port web").ok().is_empty());
    }

    #[test]
    fn what_a_container_writes_into_its_hosts_file_outlasts_a_change_of_networks() {
        let lab = Lab::new();
        lab.docker("network create red").ok();
        lab.docker(&format!("run -d --name web {IMAGE} sleep 1000"))
            .ok();
        let hosts = || lab.docker("exec web cat /etc/hosts").ok();
        let before = hosts();
        lab.docker("exec web sh -c 'echo 192.0.2.7 mine >> /etc/hosts'")
            .ok();
        lab.docker("network connect red web").ok();
        let address = lab.docker(
            "inspect -f '{{.NetworkSettings.Networks.red.IPAddress}} {{.Config.Hostname}}' web",
        );
        let address = address.ok().replace(' ', "\t");
        assert_eq!(hosts(), format!("{before}\n192.0.2.7 mine\n{address}"));
        lab.docker("network disconnect red web").ok();
        assert_eq!(hosts(), format!("{before}\n192.0.2.7 mine"));
        // One made too long to be a hosts file is not read into the daemon; our lines come back, and the daemon goes on.
        lab.docker("exec web sh -c 'yes | head -c 3000000 > /etc/hosts'")
            .ok();
        lab.docker("network connect red web").ok();
        assert_eq!(hosts(), format!("{before}\n{address}"));
    }

    #[test]
    fn the_network_of_the_highest_priority_is_the_way_out() {
        let lab = Lab::new();
        lab.docker("network create --subnet 10.71.0.0/24 alpha")
            .ok();
        lab.docker("network create --subnet 10.72.0.0/24 beta").ok();
        lab.probe("many", "--network alpha --network name=beta,gw-priority=10");
        let way = || {
            lab.docker("exec many sh -c 'ip route | grep ^default'")
                .stdout
        };
        assert!(way().contains("10.72.0.1"), "{}", way());
        assert!(lab.pings("many", "10.99.0.2"));
        lab.docker("network disconnect beta many").ok();
        assert!(way().contains("10.71.0.1"), "{}", way());
        assert!(lab.pings("many", "10.99.0.2"));
        lab.docker("network connect --gw-priority 10 beta many")
            .ok();
        assert!(way().contains("10.72.0.1"), "{}", way());
    }

    #[test]
    fn an_alias_on_two_networks_means_on_each_the_address_there() {
        let lab = Lab::new();
        for network in ["red", "blue"] {
            lab.docker(&format!("network create {network}")).ok();
            lab.probe(&format!("in-{network}"), &format!("--network {network}"));
        }
        lab.server(
            "db",
            "--network name=red,alias=store --network name=blue,alias=store,alias=extra",
        );
        for network in ["red", "blue"] {
            let from = format!("in-{network}");
            let found = lab.docker(&format!("exec {from} nslookup store")).stdout;
            assert!(found.contains(&lab.address("db", network)), "{found}");
            assert!(lab.reaches(&from, "store"));
        }
        assert!(lab.reaches("in-blue", "extra") && lab.is_kept_from("in-red", "extra"));
    }

    #[test]
    fn joining_and_leaving_while_running_moves_names_hosts_and_reach_and_breaks_no_flow() {
        let lab = Lab::new();
        for network in ["red", "blue"] {
            lab.docker(&format!("network create {network}")).ok();
            lab.probe(&format!("in-{network}"), &format!("--network {network}"));
        }
        lab.server("web", "--network red");
        let mut flow = flow(&lab, "in-red", "web");
        assert!(lab.is_kept_from("in-blue", "web"));

        lab.docker("network connect --alias www blue web").ok();
        let address = lab.address("web", "blue");
        for name in ["web", "www"] {
            assert!(lab.reaches("in-blue", name), "{name}");
        }
        assert!(
            lab.is_kept_from("in-red", "www"),
            "the alias belongs to the other network"
        );
        let hosts = || lab.docker("exec web cat /etc/hosts").ok();
        assert!(hosts().contains(&address), "{}", hosts());
        flow();

        lab.docker("network disconnect blue web").ok();
        assert!(lab.is_kept_from("in-blue", "web") && lab.is_kept_from("in-blue", &address));
        assert!(!hosts().contains(&address), "{}", hosts());
        flow();
    }

    #[test]
    fn a_flow_ends_with_the_connection_to_its_network() {
        let lab = Lab::new();
        lab.docker("network create red").ok();
        lab.docker("network create blue").ok();
        lab.probe("in-red", "--network red");
        lab.server("web", "--network red --network blue");
        let inside = lab.address("web", "red");
        assert!(lab.reaches("in-red", &inside));
        lab.docker("network disconnect red web").ok();
        assert!(lab.is_kept_from("in-red", &inside));
        assert!(!lab.docker("exec web ip -o addr").ok().contains(&inside));
    }

    #[test]
    fn other_names_are_asked_from_the_host_and_single_labels_never_leave() {
        let lab = Lab::new();
        let (_serving, heard) = resolver(&lab);
        lab.docker("network create red").ok();
        lab.docker("network create --internal cell").ok();
        lab.probe("asker", "--network red --dns 10.99.0.2");
        let conf = lab.docker("exec asker cat /etc/resolv.conf").ok();
        assert!(conf.contains("nameserver 127.0.0.11"), "{conf}");
        let found = lab.docker("exec asker nslookup -type=a far.example").stdout;
        assert!(found.contains("198.51.100.7"), "{found}");
        let from = heard.lock().unwrap().clone();
        assert!(
            from.iter()
                .any(|(name, source)| name == "far.example" && source == "10.99.0.1"),
            "{from:?}"
        );
        for name in ["nobody", "nobody.red", "asker", "asker.red"] {
            lab.docker(&format!("exec asker nslookup {name}"));
        }
        lab.probe("locked", "--network cell --dns 10.99.0.2");
        let refused = lab.docker("exec locked nslookup -type=a leak.example");
        assert!(
            !refused.stdout.contains("198.51.100.7"),
            "{}",
            refused.stdout
        );
        let names: Vec<String> = heard
            .lock()
            .unwrap()
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        assert!(names.iter().all(|name| name == "far.example"), "{names:?}");
    }

    #[test]
    fn an_address_leads_back_to_its_name_on_the_askers_networks_alone() {
        let lab = Lab::new();
        lab.docker("network create red").ok();
        lab.docker("network create blue").ok();
        lab.docker("network create --internal cell").ok();
        lab.probe("web", "--network red --network cell");
        lab.probe("in-red", "--network red");
        lab.probe("in-blue", "--network blue");
        lab.probe("in-cell", "--network cell");
        let ask = |from: &str, network: &str| {
            lab.docker(&format!(
                "exec {from} nslookup {}",
                lab.address("web", network)
            ))
            .stdout
        };
        assert!(
            ask("in-red", "red").contains("web.red"),
            "{}",
            ask("in-red", "red")
        );
        assert!(ask("in-cell", "cell").contains("web.cell"));
        assert!(
            !ask("in-blue", "red").contains("web"),
            "{}",
            ask("in-blue", "red")
        );
        let found = lab.docker("exec in-cell nslookup web").stdout;
        assert!(found.contains(&lab.address("web", "cell")), "{found}");
    }

    /// Opens a connection between two containers; each call sends a word and waits for it at the other end.
    fn flow(lab: &Lab, from: &str, to: &str) -> impl FnMut() {
        let listener = lab.inside(to, || TcpListener::bind("0.0.0.0:7000").unwrap());
        let address = lab.address(to, "red");
        let mut client = lab.inside(from, || TcpStream::connect((address, 7000)).unwrap());
        let (mut server, _) = listener.accept().unwrap();
        server
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        move || {
            client.write_all(b"tick").unwrap();
            server.read_exact(&mut [0; 4]).unwrap();
        }
    }

    type Heard = Arc<Mutex<Vec<(String, String)>>>;

    /// Answers every question outside with 198.51.100.7, and remembers names and askers.
    fn resolver(lab: &Lab) -> (Background, Heard) {
        let socket = lab.outside.on(|| UdpSocket::bind("10.99.0.2:53").unwrap());
        let patience = Some(Duration::from_millis(100));
        socket.set_read_timeout(patience).unwrap();
        let heard = Heard::default();
        let log = Arc::clone(&heard);
        let serving = Background::run(move || {
            let mut buffer = [0; 512];
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let question = &buffer[..length];
                let asked = (name_in(question), from.ip().to_string());
                log.lock().unwrap().push(asked);
                socket.send_to(&answer_to(question), from).ok();
            }
        });
        (serving, heard)
    }

    fn name_in(question: &[u8]) -> String {
        let mut labels = Vec::new();
        let mut rest = &question[12..];
        while let [length, tail @ ..] = rest
            && *length > 0
        {
            let (label, after) = tail.split_at(usize::from(*length));
            labels.push(String::from_utf8_lossy(label).to_lowercase());
            rest = after;
        }
        labels.join(".")
    }

    /// The header with one answer, the question, and a record that points back to its name.
    fn answer_to(question: &[u8]) -> Vec<u8> {
        let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
        let header = [question[0], question[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7];
        [&header[..], &question[12..end], &record].concat()
    }
}
