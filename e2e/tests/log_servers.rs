//! Log drivers that send lines away: what arrives, what waits, what survives the daemon, and that `docker logs` works with each.

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        os::unix::net::{UnixDatagram, UnixListener},
        time::Duration,
    };

    use hakone_e2e::{IMAGE, Lab, eventually};

    /// A datagram socket in the laboratory's folder, as a local syslog daemon has it.
    fn daemon(lab: &Lab) -> UnixDatagram {
        let socket = UnixDatagram::bind(lab.path("syslog.sock")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
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
        lab.docker("exec -d box sh -c 'sleep 1; touch /go'").ok();
        lab.stop(rustix::process::Signal::KILL);
        assert!(next(&socket).ends_with("late\n"));
        lab.start();
        assert_eq!(lab.docker("logs box").ok(), "late");
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

    #[test]
    fn gelf_and_syslog_over_the_network() {
        let lab = Lab::new();
        let receiver = "import socket,sys,zlib; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((\"127.0.0.1\",12201)); print(zlib.decompress(s.recv(9000),47).decode(),flush=True)";
        let command = format!("timeout 20 python3 -c '{receiver}'");
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
}
