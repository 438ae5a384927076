//! Log drivers that send lines away: what arrives, what waits, what survives the daemon, and that `docker logs` works with each.

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::{UnixDatagram, UnixListener},
        time::Duration,
    };

    use hakone_e2e::{Engine, IMAGE, Lab, eventually};

    /// A datagram socket in the laboratory's folder, as a local syslog daemon has it.
    fn daemon(lab: &Lab) -> UnixDatagram {
        let socket = UnixDatagram::bind(lab.path("syslog.sock")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        socket
    }

    fn next(socket: &UnixDatagram) -> String {
        let mut buffer = vec![0; 64 * 1024];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn syslog(lab: &Lab, more: &str, command: &str) -> String {
        let at = lab.path("syslog.sock").display().to_string();
        lab.docker(&format!(
            "run -d --name box --log-driver syslog --log-opt syslog-address=unixgram://{at} {more} {IMAGE} {command}"
        ))
        .ok()
    }

    #[test]
    fn syslog_gets_each_line_and_docker_logs_has_them_too() {
        let lab = Lab::new();
        let socket = daemon(&lab);
        let options = "--log-opt syslog-format=rfc5424 --log-opt syslog-facility=local3 --log-opt tag='{{.Name}}/{{.ImageName}}'";
        let id = syslog(
            &lab,
            options,
            "sh -c 'echo out; echo err >&2; printf \"a\\\\rb\"'",
        );
        let host = lab.host.sh("hostname").ok();
        // Two pipes have no order between them.
        let lines = [next(&socket), next(&socket), next(&socket)];
        for (priority, text) in [("<158>1 ", "out"), ("<155>1 ", "err"), ("<158>1 ", "a\rb")] {
            let ends = format!(" - {text}\n");
            let line = lines.iter().find(|line| line.ends_with(&ends));
            let line = line.unwrap_or_else(|| panic!("{text} in {lines:?}"));
            assert!(line.starts_with(priority), "{line}");
            assert!(line.contains(&format!(" {host} box/{IMAGE} ")), "{line}");
        }
        lab.docker("wait box").ok();
        let kept = lab.docker("logs box");
        assert_eq!(
            (kept.stdout.as_str(), kept.stderr.as_str()),
            ("out\na\rb", "err\n"),
            "{id}"
        );
    }

    #[test]
    fn lines_arrive_while_the_daemon_is_away() {
        let mut lab = Lab::new();
        let socket = daemon(&lab);
        syslog(
            &lab,
            "",
            "sh -c 'while [ ! -f /go ]; do sleep 0.1; done; echo late; sleep 1000'",
        );
        let pid = lab.docker("inspect -f '{{.State.Pid}}' box").ok();
        lab.stop(rustix::process::Signal::KILL);
        lab.shell(&format!("touch /proc/{pid}/root/go")).ok();
        assert!(next(&socket).ends_with("late\n"));
        lab.start();
        eventually("docker logs has it too", || {
            lab.docker("logs box").ok() == "late"
        });
    }

    #[test]
    fn a_container_waits_for_a_server_that_takes_nothing_or_loses_lines_if_it_may() {
        let lab = Lab::new();
        // A listener that never reads: what fits into the sockets' buffers is all that leaves.
        let _deaf = UnixListener::bind(lab.path("deaf.sock")).unwrap();
        let at = lab.path("deaf.sock").display().to_string();
        let run = |name: &str, mode: &str| {
            let script =
                "head -c 40000000 /dev/zero | tr '\\\\0' x | fold -w 1000; touch /done; sleep 1000";
            lab.docker(&format!(
                "run -d --name {name} --log-driver syslog --log-opt syslog-address=unix://{at} --log-opt mode={mode} {IMAGE} sh -c \"{script}\""
            ))
            .ok();
        };
        run("waiting", "blocking");
        run("losing", "non-blocking");
        let done = |name: &str| lab.docker(&format!("exec {name} test -f /done")).code == 0;
        eventually("the one that may lose lines goes on", || done("losing"));
        assert!(!done("waiting"), "the other waits");
        // And can be stopped, watched and entered all the while.
        assert_eq!(lab.docker("exec waiting echo alive").ok(), "alive");
        lab.docker("rm -f waiting losing").ok();
    }

    #[test]
    fn fluentd_gets_records() {
        let lab = Lab::new();
        let listener = UnixListener::bind(lab.path("fluent.sock")).unwrap();
        let at = lab.path("fluent.sock").display().to_string();
        lab.docker(&format!(
            "run -d --name box --label team=blue --log-driver fluentd --log-opt fluentd-address=unix://{at} --log-opt labels=team --log-opt tag=shop.{{{{.Name}}}} {IMAGE} echo hello"
        ))
        .ok();
        // The first one only asks whether anybody is there.
        drop(listener.accept().unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(bytes.starts_with(b"\x93\xa8shop.box"), "{text}");
        for part in [
            "team",
            "blue",
            "log",
            "hello",
            "container_name",
            "/box",
            "stdout",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    /// Reads up to the name that a line with receipts ends with; gives what was read, and the name with its length before it.
    fn named(stream: &mut impl Read) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\xa5chunk") {
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        stream.read_exact(&mut byte).ok()?;
        let mut name = byte.to_vec();
        let length = match byte[0] {
            0xd9 => {
                stream.read_exact(&mut byte).ok()?;
                name.push(byte[0]);
                byte[0]
            }
            short => short & 0x1f,
        };
        let head = name.len();
        name.resize(head + usize::from(length), 0);
        stream.read_exact(&mut name[head..]).ok()?;
        Some((line, name))
    }

    /// Takes the lines of one connection; the first of all is not answered, and its connection ends.
    fn receipts(stream: &mut (impl Read + Write), lines: &mut Vec<String>) {
        while let Some((line, name)) = named(stream) {
            lines.push(String::from_utf8_lossy(&line).into_owned());
            if lines.len() == 1 {
                return;
            }
            let receipt = [b"\x81\xa3ack", &name[..]].concat();
            stream.write_all(&receipt).unwrap();
        }
    }

    /// Serves until the second line came.
    fn forgetful(listener: &UnixListener) -> Vec<String> {
        let mut lines = Vec::new();
        while !lines.iter().any(|line: &String| line.contains("second")) {
            receipts(&mut listener.accept().unwrap().0, &mut lines);
        }
        lines
    }

    /// A server that dies with the first line and says of each later one that it has it.
    #[test]
    fn fluentd_is_asked_for_receipts_and_a_line_without_one_is_sent_again() {
        for engine in [Engine::Dockerd, Engine::Hakone] {
            let lab = Lab::with(engine, "");
            let listener = UnixListener::bind(lab.path("fluent.sock")).unwrap();
            let at = lab.path("fluent.sock").display().to_string();
            let heard = std::thread::spawn(move || forgetful(&listener));
            lab.docker(&format!(
                "run -d --name box --log-driver fluentd --log-opt fluentd-address=unix://{at} --log-opt fluentd-request-ack=true --log-opt fluentd-retry-wait=100ms {IMAGE} sh -c 'echo first; sleep 1; echo second'"
            ))
            .ok();
            let lines = heard.join().unwrap();
            let told = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
            assert_eq!(
                (told("first"), told("second")),
                (2, 1),
                "{engine:?}: {lines:?}"
            );
        }
    }

    /// What dockerd refuses of fluentd's options at create, so do we; and what it takes.
    #[test]
    fn fluentds_options_are_judged_as_dockerd_does() {
        for engine in [Engine::Dockerd, Engine::Hakone] {
            let lab = Lab::with(engine, "");
            let create = |options: &str| {
                let options: Vec<_> = options.split(' ').collect();
                let options = options.join(" --log-opt fluentd-");
                let line =
                    format!("create --log-driver fluentd --log-opt fluentd-{options} {IMAGE}");
                lab.docker(&line).code == 0
            };
            for fine in [
                "async=T",
                "async-reconnect-interval=500ms async=true",
                "async-reconnect-interval=0s",
                "buffer-limit=2m",
                "max-retries=3 retry-wait=1m1.5s",
                "sub-second-precision=1",
                "request-ack=true",
                "address=tcp://localhost:24224",
            ] {
                assert!(create(fine), "{engine:?}: {fine}");
            }
            for odd in [
                "async=yes",
                "async-reconnect-interval=11s",
                "async-reconnect-interval=99ms",
                "buffer-limit=much",
                "max-retries=-1",
                "retry-wait=1",
                "sub-second-precision=maybe",
                "request-ack=maybe",
                "address=udp://localhost:1",
                "nosuch=1",
            ] {
                assert!(!create(odd), "{engine:?}: {odd}");
            }
        }
    }

    #[test]
    fn gelf_and_syslog_over_the_network() {
        let lab = Lab::new();
        let receiver = "import socket,sys,zlib; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((\"127.0.0.1\",12201)); print(zlib.decompress(s.recv(9000),47).decode(),flush=True)";
        let command = format!("timeout 100 python3 -c '{receiver}'");
        std::thread::scope(|scope| {
            let got = scope.spawn(|| lab.host.sh(&command).ok());
            eventually("the receiver listens", || {
                lab.host.sh("ss -Hlun sport = 12201").ok().contains("12201")
            });
            lab.docker(&format!(
                "run --rm --name box --log-driver gelf --log-opt gelf-address=udp://127.0.0.1:12201 {IMAGE} echo hello"
            ))
            .ok();
            let json: serde_json::Value = serde_json::from_str(&got.join().unwrap()).unwrap();
            assert_eq!(json["short_message"], "hello");
            assert_eq!(
                (&json["_container_name"], &json["level"]),
                (&"box".into(), &6.into())
            );
        });
    }

    #[test]
    fn a_server_that_is_not_there_is_told_at_the_start() {
        let lab = Lab::new();
        let refused = lab.docker(&format!(
            "run --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:9 {IMAGE} true"
        ));
        assert_ne!(refused.code, 0);
        assert!(
            refused
                .stderr
                .contains("failed to initialize logging driver: dial tcp 127.0.0.1:9"),
            "{refused:?}"
        );
        let lossy = lab.docker(&format!(
            "run --rm --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:9 --log-opt mode=non-blocking {IMAGE} echo fine"
        ));
        assert_eq!(lossy.ok(), "fine");
        let unreadable = lab.docker(&format!(
            "run -d --name box --log-driver syslog --log-opt syslog-address=udp://127.0.0.1:9 --log-opt cache-disabled=true {IMAGE} true"
        ));
        unreadable.ok();
        assert!(
            lab.docker("logs box")
                .stderr
                .contains("does not support reading")
        );
    }

    /// Receives one TLS connection and prints what came until it ends, or waits in vain until there is a file `over`.
    const RECEIVER: &str = r#"
import os, socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(sys.argv[1] + ".pem", sys.argv[1] + ".key")
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", 6514)); s.listen(); s.settimeout(.1)
while not os.path.exists("over"):
    try:
        c = s.accept()[0]; c.settimeout(100); c = context.wrap_socket(c, server_side=True)
        print(c.recv(4096).decode(), end="", flush=True); break
    except (OSError, ssl.SSLError): pass
"#;

    fn certificate(lab: &Lab, name: &str) {
        lab.shell(&format!(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {name}.key -out {name}.pem -subj /CN=localhost \
             -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost 2>/dev/null"
        ))
        .ok();
    }

    #[test]
    fn syslog_over_tls_goes_to_the_server_that_was_meant_and_no_other() {
        let lab = Lab::new();
        certificate(&lab, "right");
        certificate(&lab, "wrong");
        let at = lab.path("").display().to_string();
        let listens = || {
            let sockets = lab.host.sh("ss -Hltn sport = 6514").ok();
            sockets.contains("6514")
        };
        let said = |server: &str, after: &str| {
            let line = format!("cd {at} && timeout 100 python3 -c '{RECEIVER}' {server}");
            std::thread::scope(|scope| {
                let got = scope.spawn(|| lab.host.sh(&line).stdout);
                eventually("the server listens", listens);
                lab.docker(&format!(
                    "run --rm --log-driver syslog --log-opt syslog-address=tcp+tls://localhost:6514 --log-opt syslog-tls-ca-cert={at}right.pem \
                     --log-opt syslog-format=rfc5424 --log-opt tag=t {IMAGE} echo secret"
                ))
                .ok();
                lab.shell(after).ok();
                got.join().unwrap()
            })
        };
        let message = said("right", "true");
        let (length, rest) = message.split_once(' ').unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), rest.len(), "{message}");
        assert!(
            rest.starts_with("<30>1 ") && rest.ends_with(" t - secret\n"),
            "{message}"
        );
        assert_eq!(
            said("wrong", "touch over"),
            "",
            "nothing is told to a server that cannot show who it is"
        );
    }

    /// Stands in for the journal and prints one entry's fields.
    const JOURNAL: &str = r#"
import os, socket
os.makedirs("/run/systemd/journal")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("/run/systemd/journal/socket"); s.settimeout(100)
print(s.recv(65536).decode())
"#;

    #[test]
    fn the_journal_gets_fields_and_docker_logs_works_beside_it() {
        let lab = Lab::new();
        let hakone = hakone_e2e::hakone().display().to_string();
        lab.shell(&format!("cat > journal.py <<'E'\n{JOURNAL}\nE"))
            .ok();
        // A /run of its own: the host's journal must not hear of it.
        let script = format!(
            "mount -t tmpfs none /run; python3 journal.py > fields & journal=$!; \
             {hakone} daemon --host unix:///run/own.sock --data-root $LAB/second --exec-root /run/hakone --cgroup-parent /{}/second --bridge none --iptables=false --group \"\" 2> second.log & daemon=$!; \
             export DOCKER_HOST=unix:///run/own.sock; until [ -S /run/systemd/journal/socket ] && docker info >/dev/null 2>&1; do sleep 0.1; done; \
             docker import -c \"ENV PATH=/bin\" busybox.tar {IMAGE} >/dev/null; \
             docker run --name box --network none --label team=blue --log-driver journald --log-opt labels=team {IMAGE} echo hello; docker logs box; docker rm box >/dev/null; \
             wait $journal; kill $daemon; wait $daemon",
            lab.cgroup()
        );
        let said = lab.shell(&format!("timeout 110 unshare --mount sh -c '{script}'"));
        assert_eq!(said.stdout, "hello\nhello\n", "{said:?}");
        let fields = lab.shell("cat fields").ok();
        for field in [
            "MESSAGE=hello",
            "PRIORITY=6",
            "CONTAINER_NAME=box",
            "TEAM=blue",
            "IMAGE_NAME=busybox:lab",
        ] {
            assert!(
                fields.lines().any(|line| line == field),
                "{field}: {fields}"
            );
        }
    }
}
