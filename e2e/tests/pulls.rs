//! Pulls that are cut off: by the daemon's death at a byte of the registry's answers, by a client that leaves, by a second pull of
//! the same layer that ends first.

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::{TcpListener, TcpStream},
        os::unix::net::UnixStream,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::Duration,
    };

    use hakone_e2e::{IMAGE, Lab, OwnRegistry, Relay, eventually, sh};
    use rustix::process::Signal;

    const DIRECT: &str = "127.0.0.1:5000";
    const RELAYED: &str = "127.0.0.1:5100";

    /// Pushes an image of three layers, two of which do not compress.
    fn push(lab: &Lab, name: &str) {
        let image = format!("{DIRECT}/{name}");
        lab.shell(&format!(
            "set -e; docker create --name one {IMAGE} true >/dev/null; head -c 3000000 /dev/urandom > one; docker cp -q one one:/one; docker commit one step:1 >/dev/null; \
             docker rm one >/dev/null; docker create --name two step:1 true >/dev/null; head -c 1000000 /dev/urandom > two; docker cp -q two two:/two; \
             docker commit two {image} >/dev/null; docker rm two >/dev/null; docker push -q {image} >/dev/null; docker rmi -f {image} step:1 {IMAGE} >/dev/null"
        ))
        .ok();
    }

    fn contents(lab: &Lab) -> String {
        let at = lab.path("data");
        let at = at.display();
        sh(&format!("cd {at} && find blobs layers images image-staging -maxdepth 2 | sort; cat image-names.json image-tags.json 2>/dev/null")).ok()
    }

    #[test]
    fn a_daemon_that_is_killed_at_any_byte_of_a_pull_leaves_nothing() {
        let mut lab = Lab::new();
        let _registry = OwnRegistry::start(&lab, &lab.path("own"), DIRECT, "");
        let relay = Relay::start(&lab.host, 5100, DIRECT);
        push(&lab, "app:1");
        let image = format!("{RELAYED}/app:1");
        relay.limit(u64::MAX);
        lab.docker(&format!("pull -q {image}")).ok();
        let all = relay.passed();
        assert!(all > 4_000_000, "{all}");
        lab.docker(&format!("rmi {image}")).ok();
        let before = contents(&lab);
        // The heads of the first answers byte by byte, so to speak; then all along; then about the end.
        let early = [0, 1, 17, 100, 250, 400, 700, 1000, 1500, 2500, 4000, 8000];
        let along = (1..12).map(|part| all / 12 * part);
        let late = [4000, 1000, 300, 50, 2, 1].map(|left| all - left);
        for limit in early.into_iter().chain(along).chain(late) {
            relay.limit(limit);
            lab.shell(&format!("docker pull -q {image} >/dev/null 2>&1 &"));
            eventually("the pull is stopped", || relay.is_stopped());
            lab.stop(Signal::KILL);
            relay.limit(u64::MAX);
            lab.start();
            assert_ne!(
                lab.docker(&format!("inspect {image}")).code,
                0,
                "at {limit}"
            );
            assert_eq!(contents(&lab), before, "at {limit} of {all}");
        }
        lab.docker(&format!("pull -q {image}")).ok();
        assert_eq!(
            lab.docker(&format!("run --rm {image} cat /data/seed")).ok(),
            "from the image"
        );
    }

    /// Answers the first question of a pull; keeps silent about the second until the engine hangs up.
    fn say_little(mut stream: TcpStream, waiting: &AtomicUsize, came: &AtomicUsize) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).ok();
        if line.starts_with("GET /v2/ ") {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                .ok();
            return;
        }
        if !line.contains("/manifests/") {
            return;
        }
        came.fetch_add(1, Ordering::SeqCst);
        waiting.fetch_add(1, Ordering::SeqCst);
        reader.read_to_end(&mut Vec::new()).ok();
        waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// A registry that says what it is and then nothing; gives how many of its clients wait, and how many came.
    fn silent(lab: &Lab, port: u16) -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
        let (waiting, came) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (here, seen) = (Arc::clone(&waiting), Arc::clone(&came));
        let listener = lab
            .host
            .on(|| TcpListener::bind(("127.0.0.1", port)).unwrap());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (here, seen) = (Arc::clone(&here), Arc::clone(&seen));
                thread::spawn(move || say_little(stream, &here, &seen));
            }
        });
        (waiting, came)
    }

    fn ask(lab: &Lab) -> UnixStream {
        let mut client = UnixStream::connect(lab.path("engine.sock")).unwrap();
        let line = "POST /v1.43/images/create?fromImage=127.0.0.1:5200/app&tag=1 HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n";
        client.write_all(line.as_bytes()).unwrap();
        client
    }

    #[test]
    fn a_client_that_leaves_ends_its_pull_though_the_registry_says_nothing() {
        // dockerd goes on until it has something to say, and finds nobody to say it to.
        let lab = Lab::new();
        let (waiting, came) = silent(&lab, 5200);
        let client = ask(&lab);
        eventually("the engine waits for the registry", || {
            waiting.load(Ordering::SeqCst) > 0
        });
        thread::sleep(Duration::from_millis(300));
        assert!(
            waiting.load(Ordering::SeqCst) > 0,
            "it waits as long as its client"
        );
        drop(client);
        eventually("the engine hangs up", || {
            waiting.load(Ordering::SeqCst) == 0
        });
        let asked = came.load(Ordering::SeqCst);
        thread::sleep(Duration::from_secs(1));
        assert_eq!(came.load(Ordering::SeqCst), asked, "it asks no more");
    }

    #[test]
    fn a_client_that_leaves_a_quiet_stream_leaves_nothing_open() {
        let lab = Lab::new();
        let open = || {
            let listed = sh(&format!("ls /proc/{}/fd | wc -l", lab.pid())).ok();
            listed.parse::<usize>().unwrap()
        };
        lab.docker("ps").ok();
        let before = open();
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = UnixStream::connect(lab.path("engine.sock")).unwrap();
            client
                .write_all(b"GET /v1.43/events HTTP/1.1\r\nHost: e\r\n\r\n")
                .unwrap();
            client.read_exact(&mut [0; 15]).unwrap();
            clients.push(client);
        }
        assert!(open() >= before + 20);
        // One that has nothing more to say still listens.
        let listener = clients.pop().unwrap();
        listener.shutdown(std::net::Shutdown::Write).unwrap();
        drop(clients);
        eventually("all that left are forgotten", || open() < before + 10);
        lab.docker(&format!("tag {IMAGE} told:1")).ok();
        let mut reader = BufReader::new(listener);
        let mut line = String::new();
        while !line.contains("told:1") {
            line.clear();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the stream ended");
        }
    }

    #[test]
    fn two_pulls_that_share_layers_fetch_each_once() {
        let lab = Lab::new();
        let registry = OwnRegistry::start(&lab, &lab.path("own"), DIRECT, "");
        let relay = Relay::start(&lab.host, 5100, DIRECT);
        push(&lab, "app:1");
        let fetched = |log: &str| {
            log.lines()
                .filter(|line| line.contains("/blobs/sha256:") && line.contains("method=GET"))
                .count()
        };
        let before = fetched(&registry.log());
        relay.limit(1_500_000);
        lab.shell(&format!("for n in 1 2 3; do (docker pull {RELAYED}/app:1 > said-$n 2>&1; echo $? > ended-$n) >/dev/null 2>&1 & done"));
        eventually("the layers are on their way", || relay.is_stopped());
        thread::sleep(Duration::from_secs(1));
        relay.limit(u64::MAX);
        eventually("all pulls end", || {
            (1..=3).all(|n| lab.path(&format!("ended-{n}")).exists())
        });
        for n in 1..=3 {
            let said = lab.shell(&format!("cat said-{n} ended-{n}")).ok();
            assert!(said.ends_with("\n0") && said.contains("Status: "), "{said}");
        }
        // Three layers once each, and the config for each pull that did not find the image whole.
        let log = registry.log();
        let fetched = fetched(&log) - before;
        assert!((3 + 1..=3 + 3).contains(&fetched), "{fetched}: {log}");
        assert_eq!(
            lab.docker(&format!("run --rm {RELAYED}/app:1 cat /data/seed"))
                .ok(),
            "from the image"
        );
    }
}
