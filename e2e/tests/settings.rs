//! Settings of the daemon: what they do to containers, how they are checked, and the ways in that they open.

#[cfg(test)]
mod tests {
    use hakone_e2e::{Engine, IMAGE, Lab, Namespace, Output, eventually, hakone, sh};
    use rustix::process::Signal;

    /// Runs a daemon of the laboratory's host that is expected to end by itself.
    fn daemon(lab: &Lab, arguments: &str) -> Output {
        let at = lab.path("second").display().to_string();
        lab.hakone(&format!(
            "daemon --data-root {at}/data --exec-root {at}/run --group '' {arguments}"
        ))
    }

    fn write(lab: &Lab, name: &str, text: &str) -> String {
        let path = lab.path(name).display().to_string();
        lab.shell(&format!("cat > {path} <<'END'\n{text}\nEND"))
            .ok();
        path
    }

    #[test]
    fn defaults_of_the_daemon_reach_containers_and_yield_to_their_own() {
        let lab = Lab::with(
            Engine::Hakone,
            "--default-ulimit nofile=512:1024 --default-shm-size 32m --init --no-new-privileges --log-opt max-size=100k",
        );
        let seen = lab
            .docker(&format!(
                "run --rm {IMAGE} sh -c 'ulimit -n; df -k /dev/shm | tail -1; grep NoNewPrivs /proc/self/status; echo pid $$'"
            ))
            .ok();
        assert!(seen.starts_with("512\n"), "{seen}");
        assert!(seen.contains(" 32768 "), "{seen}");
        assert!(seen.contains("NoNewPrivs:\t1"), "{seen}");
        assert!(
            !seen.contains("pid 1\n") && !seen.ends_with("pid 1"),
            "{seen}"
        );
        let own = format!(
            "run --rm --init=false --ulimit nofile=300 --shm-size 8m {IMAGE} sh -c 'ulimit -n; df -k /dev/shm | tail -1; echo pid $$'"
        );
        let seen = lab.docker(&own).ok();
        assert!(
            seen.starts_with("300\n") && seen.contains(" 8192 ") && seen.ends_with("pid 1"),
            "{seen}"
        );
        let lines = format!("run --name logged {IMAGE} seq 20000");
        lab.docker(&lines).ok();
        let id = lab.docker("inspect -f '{{.Id}}' logged").ok();
        let size = |name: &str| std::fs::metadata(lab.path(name)).map_or(0, |file| file.len());
        let log = format!("data/containers/{id}/{id}-json.log");
        assert!(size(&log) > 0 && size(&log) <= 100 << 10, "{}", size(&log));
    }

    #[test]
    fn a_seccomp_profile_of_the_daemon_holds_until_a_container_names_another() {
        let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        sh(&format!("cat > {} <<'END'\n{profile}\nEND", path.display())).ok();
        let lab = Lab::with(
            Engine::Hakone,
            &format!("--seccomp-profile {}", path.display()),
        );
        let refused = lab.docker(&format!("run --rm {IMAGE} mkdir /x"));
        assert!(
            refused.stderr.contains("Operation not permitted"),
            "{refused:?}"
        );
        lab.docker(&format!(
            "run --rm --security-opt seccomp=unconfined {IMAGE} mkdir /x"
        ))
        .ok();
        let lab = Lab::with(Engine::Hakone, "--seccomp-profile unconfined");
        let mode = format!("run --rm {IMAGE} grep Seccomp: /proc/self/status");
        assert_eq!(lab.docker(&mode).ok(), "Seccomp:\t0");
    }

    #[test]
    fn runc_makes_containers_too() {
        let lab = Lab::with(Engine::Hakone, "--default-runtime runc");
        let info = lab
            .docker(
                "info --format '{{.DefaultRuntime}} {{range $k, $v := .Runtimes}}{{$k}} {{end}}'",
            )
            .ok();
        assert!(
            info.starts_with("runc ") && info.contains("hakone"),
            "{info}"
        );
        lab.docker(&format!(
            "run -d --name r1 --user 1000:1000 --memory 64m --pids-limit 50 --hostname box {IMAGE} sh -c 'echo said; exec sleep 600'"
        ))
        .ok();
        let inside = "exec r1 sh -c 'id -u; hostname; grep Seccomp: /proc/self/status'";
        assert_eq!(lab.docker(inside).ok(), "1000\nbox\nSeccomp:\t2");
        assert_eq!(lab.docker("exec r1 sh -c 'exit 7'").code, 7);
        eventually("the log is written", || {
            lab.docker("logs r1").stdout == "said\n"
        });
        let tty = lab.shell(&format!(
            "script -qec 'docker run --rm -t {IMAGE} tty' /dev/null"
        ));
        assert!(tty.stdout.contains("/dev/"), "{tty:?}");
        lab.docker("kill r1").ok();
        assert_eq!(lab.docker("wait r1").ok(), "137");
        assert_eq!(
            lab.docker(&format!("run --rm {IMAGE} nosuch")).code,
            127,
            "a missing program"
        );
    }

    #[test]
    fn configuration_is_validated_without_starting_anything() {
        let lab = Lab::new();
        assert_eq!(daemon(&lab, "--validate").ok(), "configuration OK");
        let unknown = write(&lab, "odd.toml", "icq = true");
        let refused = daemon(&lab, &format!("--validate --config {unknown}"));
        assert!(
            refused.code == 1 && refused.stderr.contains("icq"),
            "{refused:?}"
        );
        let cases = [
            ("--default-ulimit nosuch=1", "nosuch"),
            ("--log-driver nosuch", "nosuch"),
            ("--seccomp-profile /no/such/file", "/no/such/file"),
            ("--default-runtime nosuch", "nosuch"),
            ("--userns-remap nosuchuser", "nosuchuser"),
            ("--bip 10.0.0.0/99", "bip"),
            ("--tlsverify", "--tlscacert"),
        ];
        for (arguments, named) in cases {
            let refused = daemon(&lab, &format!("--validate {arguments}"));
            assert!(
                refused.code == 1 && refused.stderr.contains(named),
                "{arguments}: {refused:?}"
            );
        }
        assert!(!lab.path("second").exists(), "a check makes no folder");
    }

    #[test]
    fn keys_of_daemon_json_are_taken_or_spoken_of() {
        let lab = Lab::new();
        let json = write(
            &lab,
            "daemon.json",
            r#"{"mtu": 1400, "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 64, "Hard": 128}}, "userland-proxy": false}"#,
        );
        let said = daemon(&lab, &format!("--validate --docker-config {json}")).ok();
        assert!(
            said.contains("userland-proxy") && said.contains("configuration OK"),
            "{said}"
        );
        let odd = write(&lab, "odd.json", r#"{"nosuch-key": 1}"#);
        let refused = daemon(&lab, &format!("--validate --docker-config {odd}"));
        assert!(
            refused.code == 1 && refused.stderr.contains("nosuch-key"),
            "{refused:?}"
        );
    }

    #[test]
    fn a_daemon_that_cannot_open_its_socket_leaves_the_host_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let host = Namespace::new(&format!("lab-s-{}", std::process::id()));
        let line = format!(
            "{} daemon --host unix:///proc/none/engine.sock --data-root {at}/data --exec-root {at}/run --group ''",
            hakone().display()
        );
        let refused = host.sh(&line);
        assert!(
            refused.code == 1 && refused.stderr.contains("/proc/none"),
            "{refused:?}"
        );
        assert_eq!(
            host.sh("nft list tables; ip -br link | grep -v ^lo").stdout,
            ""
        );
    }

    /// Makes an authority, a certificate for 127.0.0.1 and one for a client in `folder`.
    fn certificates(folder: &str) {
        sh(&format!(
            "set -e; cd {folder}; \
             openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca-key.pem -out ca.pem 2>/dev/null; \
             for who in server client; do \
               openssl req -newkey rsa:2048 -nodes -subj /CN=$who -keyout $who-key.pem -out $who.csr 2>/dev/null; done; \
             printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n' > server.ext; \
             printf 'extendedKeyUsage=clientAuth\\n' > client.ext; \
             for who in server client; do \
               openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile $who.ext -out $who.pem 2>/dev/null; done; \
             cp client.pem cert.pem; cp client-key.pem key.pem"
        ))
        .ok();
    }

    #[test]
    fn tcp_is_served_to_those_with_a_certificate_only() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display().to_string();
        certificates(&at);
        let lab = Lab::with(
            Engine::Hakone,
            &format!(
                "-H tcp://127.0.0.1:2376 --tlsverify --tlscacert {at}/ca.pem --tlscert {at}/server.pem --tlskey {at}/server-key.pem"
            ),
        );
        let version = "version --format '{{.Server.Version}}'";
        let tls = format!(
            "docker -H tcp://127.0.0.1:2376 --tlsverify --tlscacert {at}/ca.pem --tlscert {at}/cert.pem --tlskey {at}/key.pem {version}"
        );
        let over_tls = lab.host.sh(&tls).ok();
        assert_eq!(over_tls, lab.docker(version).ok());
        let bare =
            format!("curl -sS --max-time 5 --cacert {at}/ca.pem https://127.0.0.1:2376/_ping");
        let refused = lab.host.sh(&bare);
        assert!(
            refused.code != 0 && refused.stdout.is_empty(),
            "{refused:?}"
        );
        let plain = lab
            .host
            .sh("curl -sS --max-time 5 http://127.0.0.1:2376/_ping");
        assert!(!plain.stdout.contains("OK"), "{plain:?}");
        assert_eq!(lab.docker("version").code, 0, "the daemon lives on");
    }

    #[test]
    fn plain_tcp_is_refused_with_an_explanation() {
        let lab = Lab::new();
        let refused = daemon(&lab, "-H tcp://127.0.0.1:2375");
        assert!(
            refused.code == 1 && refused.stderr.contains("without mutual TLS"),
            "{refused:?}"
        );
    }

    /// Starts a second daemon under `systemd-socket-activate` and asks it by the socket that was there before it.
    #[test]
    fn a_socket_of_systemd_is_served_and_readiness_is_told() {
        let lab = Lab::new();
        let at = lab.path("second").display().to_string();
        let binary = hakone();
        let binary = binary.display();
        let told = write(
            &lab,
            "told.py",
            "import os, socket, subprocess, sys\n\
             at, binary, enter = sys.argv[1:4]\n\
             notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); notify.bind(at + '/notify'); notify.settimeout(100)\n\
             api = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); api.bind(at + '/api'); api.listen()\n\
             script = 'exec 3<&%d; export LISTEN_PID=$$; exec \"$@\"' % api.fileno()\n\
             words = enter.split() + ['sh', '-c', script, 'sh', binary, 'daemon', '-H', 'fd://', '--group', '', '--iptables=false', '--data-root', at + '/data', '--exec-root', at + '/run']\n\
             child = subprocess.Popen(words, pass_fds=[api.fileno()], env=dict(os.environ, LISTEN_FDS='1', NOTIFY_SOCKET=at + '/notify'))\n\
             try:\n\
             \x20 print(notify.recv(999).decode().split()[0])\n\
             \x20 ask = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); ask.settimeout(100); ask.connect(at + '/api'); ask.sendall(b'GET /_ping HTTP/1.1\\r\\nHost: e\\r\\nConnection: close\\r\\n\\r\\n')\n\
             \x20 print(ask.recv(999).decode().split('\\r\\n')[0])\n\
             \x20 child.terminate(); print(notify.recv(999).decode().split()[0]); print(child.wait(100))\n\
             finally:\n\
             \x20 child.kill()",
        );
        let enter = lab.host.enter();
        let said = lab.shell(&format!(
            "mkdir {at}; python3 {told} {at} {binary} '{enter}'"
        ));
        assert_eq!(
            said.clone().ok(),
            "READY=1\nHTTP/1.1 200 OK\nSTOPPING=1\n0",
            "{said:?}"
        );
    }

    #[test]
    fn without_live_restore_a_stop_of_the_daemon_stops_the_containers() {
        let mut lab = Lab::with(Engine::Hakone, "--live-restore=false --shutdown-timeout 1");
        lab.docker(&format!("run -d --name stays {IMAGE} sleep 600"))
            .ok();
        lab.stop(Signal::TERM);
        assert!(lab.log().contains("stopping"));
        lab.start();
        let state = lab.docker("inspect -f '{{.State.Status}}' stays").ok();
        assert_eq!(state, "exited");
    }

    #[test]
    fn a_limit_that_this_host_forbids_is_a_warning() {
        let lab = Lab::new();
        // Above fs.nr_open not even root may go.
        let line = format!("run --rm --ulimit nofile=2000000000 {IMAGE} echo ran");
        assert_eq!(lab.docker(&line).ok(), "ran");
        assert!(lab.log().contains("could not be raised"), "{}", lab.log());
    }
}
