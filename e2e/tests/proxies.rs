//! Registries behind a proxy: from the configuration and from the daemon's environment, in the clear and through tunnels, on both
//! engines; and what a registry behind a proxy cannot make the engine ask it for.

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
        thread,
    };

    use hakone_e2e::{Engine, IMAGE, Lab, Namespace, OwnRegistry, Proxy, sh};

    const PORT: u16 = 3128;
    /// What only the proxy can reach, under names that only it knows.
    const NAMES: [(&str, &str); 2] = [
        ("registry.lab:5000", "127.0.0.1:5000"),
        ("registry.lab:5443", "127.0.0.1:5443"),
    ];
    const EVERYBODY: &str =
        "[[rule]]\nwho = [\"anyone\"]\nrepositories = [\"**\"]\nrights = [\"pull\", \"push\"]\n";
    const INSECURE: &str = "--insecure-registry registry.lab:5000 --insecure-registry registry.lab:5443 --insecure-registry 10.99.0.2:5001";

    /// Three registries on the machine outside: two on its loopback, one that the engine can reach.
    fn registries(lab: &Lab) -> [OwnRegistry; 3] {
        let at = lab.path("certificates");
        let at = at.display();
        sh(&format!(
            "mkdir {at} && cd {at} && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry.lab \
             -addext subjectAltName=DNS:registry.lab -keyout key -out certificate"
        ))
        .ok();
        let tls =
            format!("{EVERYBODY}[tls]\ncertificate = \"{at}/certificate\"\nkey = \"{at}/key\"\n");
        let start = |name: &str, address: &str, config: &str| {
            OwnRegistry::start_in(&lab.outside, &lab.path(name), address, config)
        };
        [
            start("clear", "127.0.0.1:5000", EVERYBODY),
            start("tls", "127.0.0.1:5443", &tls),
            start("near", "10.99.0.2:5001", EVERYBODY),
        ]
    }

    fn there_and_back(lab: &Lab, at: &str) {
        let image = format!("{at}/team/app:1");
        lab.docker(&format!("tag {IMAGE} {image}")).ok();
        lab.docker(&format!("push -q {image}")).ok();
        lab.docker(&format!("rmi {image}")).ok();
        lab.docker(&format!("pull -q {image}")).ok();
        lab.docker(&format!("rmi {image}")).ok();
    }

    fn story(lab: &Lab, proxy: &Proxy) {
        let _registries = registries(lab);
        there_and_back(lab, "registry.lab:5000");
        let asked = proxy.asked();
        let clear = "http://registry.lab:5000/v2/team/app/manifests/1";
        assert!(
            asked.contains(&format!("HEAD {clear}")) || asked.contains(&format!("GET {clear}")),
            "{asked:?}"
        );
        assert!(asked.contains(&format!("PUT {clear}")), "{asked:?}");
        there_and_back(lab, "registry.lab:5443");
        let asked = proxy.asked();
        assert!(
            asked.contains(&"CONNECT registry.lab:5443".to_owned()),
            "{asked:?}"
        );
        there_and_back(lab, "10.99.0.2:5001");
        let asked = proxy.asked();
        assert!(
            asked.iter().all(|line| !line.contains("10.99.0.2:5001")),
            "{asked:?}"
        );
    }

    #[test]
    fn the_configuration_names_proxies_and_who_needs_none() {
        for engine in [Engine::Dockerd, Engine::Hakone] {
            let proxies = format!(
                "--http-proxy http://10.99.0.2:{PORT} --https-proxy http://10.99.0.2:{PORT} --no-proxy 10.99.0.0/24"
            );
            let lab = Lab::with(engine, &format!("{INSECURE} {proxies}"));
            let proxy = Proxy::start(&lab.outside, PORT, &NAMES, None);
            story(&lab, &proxy);
            let info = lab.docker("info").ok();
            assert!(
                info.contains(&format!("HTTP Proxy: http://10.99.0.2:{PORT}")),
                "{engine:?}: {info}"
            );
            assert!(
                info.contains("No Proxy: 10.99.0.0/24"),
                "{engine:?}: {info}"
            );
        }
    }

    #[test]
    fn the_environment_names_proxies_with_their_passwords() {
        for engine in [Engine::Dockerd, Engine::Hakone] {
            let variables = format!(
                "HTTP_PROXY=http://bob:s3cret@10.99.0.2:{PORT} HTTPS_PROXY=http://bob:s3cret@10.99.0.2:{PORT} NO_PROXY=10.99.0.2"
            );
            let lab = Lab::with_environment(engine, &variables, INSECURE);
            let wanted = "Basic Ym9iOnMzY3JldA==";
            let proxy = Proxy::start(&lab.outside, PORT, &NAMES, Some(wanted));
            story(&lab, &proxy);
            let info = lab.docker("info").ok();
            assert!(
                info.contains("HTTP Proxy: ") && !info.contains("s3cret"),
                "{engine:?}: {info}"
            );
            if engine == Engine::Hakone {
                assert!(!lab.log().contains("s3cret"), "the password is in the log");
            }
        }
    }

    #[test]
    fn a_proxy_that_refuses_is_named_and_its_password_is_not() {
        let lab = Lab::with(
            Engine::Hakone,
            &format!("--https-proxy http://bob:guess@10.99.0.2:{PORT}"),
        );
        let _proxy = Proxy::start(&lab.outside, PORT, &NAMES, Some("Basic Ym9iOnMzY3JldA=="));
        let refused = lab.docker("pull registry.lab:5443/app:1");
        assert!(
            refused.stderr.contains("407") && refused.stderr.contains("10.99.0.2:3128"),
            "{}",
            refused.stderr
        );
        assert!(!refused.stderr.contains("guess") && !lab.log().contains("guess"));
    }

    /// A registry whose every blob is elsewhere.
    fn astray(at: &Namespace, port: u16, location: &'static str) {
        let listener = at.on(|| TcpListener::bind(("127.0.0.1", port)).unwrap());
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut line = String::new();
                BufReader::new(stream.try_clone().unwrap())
                    .read_line(&mut line)
                    .unwrap();
                let digest = "a".repeat(64);
                let manifest = format!(
                    r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{digest}","size":20}},"layers":[]}}"#
                );
                let answer = match line {
                    _ if line.contains("/manifests/") => format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                        manifest.len(),
                        if line.starts_with("HEAD") {
                            ""
                        } else {
                            &manifest
                        }
                    ),
                    _ if line.contains("/blobs/") => format!(
                        "HTTP/1.1 307 Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    ),
                    _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
                        .to_owned(),
                };
                stream.write_all(answer.as_bytes()).ok();
            }
        });
    }

    #[test]
    fn a_registry_behind_a_proxy_cannot_have_it_asked_for_the_metadata_or_this_host() {
        let lab = Lab::with(
            Engine::Hakone,
            &format!("--http-proxy http://10.99.0.2:{PORT} --insecure-registry registry.lab:5000"),
        );
        let places = [
            "http://169.254.169.254/latest/meta-data",
            "http://127.0.0.1:80/x",
            "http://10.99.0.77/x",
            "http://[fe80::1]/x",
        ];
        for (at, place) in places.into_iter().enumerate() {
            let port = 5000 + u16::try_from(at).unwrap() * 100;
            let behind = format!("127.0.0.1:{port}");
            let proxy = Proxy::start(
                &lab.outside,
                PORT + u16::try_from(at).unwrap(),
                &[("registry.lab:5000", &behind)],
                None,
            );
            astray(&lab.outside, port, place);
            // The engine knows the first port alone: what comes there goes to the proxy of this round.
            lab.outside.sh("nft flush ruleset").ok();
            lab.outside.sh(&format!("nft 'add table ip lab; add chain ip lab in {{ type nat hook prerouting priority -100; }}; add rule ip lab in tcp dport {PORT} redirect to :{}'", PORT + u16::try_from(at).unwrap())).ok();
            let refused = lab.docker("pull registry.lab:5000/app:1");
            assert!(
                refused.stderr.contains("refusing to follow"),
                "{place}: {}",
                refused.stderr
            );
            let asked = proxy.asked();
            assert!(
                !asked.is_empty() && asked.iter().all(|line| line.contains("registry.lab:5000")),
                "{asked:?}"
            );
        }
    }
}
