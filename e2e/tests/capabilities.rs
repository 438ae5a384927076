//! What root in a container may do unless told otherwise: what services need. Frames, device nodes, other roots and the audit
//! log are asked for; `ping` works all the same. Each attack has its control.

#[cfg(test)]
mod tests {
    use hakone_e2e::{Engine, IMAGE, Lab, host_python};

    const POWER: &str = "grep CapBnd /proc/self/status | tr -d \"\\t\\n\"";
    const PING: &str = "ping -c1 -W2 127.0.0.1 >/dev/null && echo answered";

    /// Runs in a container; every line of an attack ends with a word when it works.
    fn inside(lab: &Lab, flags: &str, line: &str) -> String {
        let run = lab.docker(&format!("run --rm {flags} {IMAGE} sh -c '{line}'"));
        run.stdout.trim().to_owned()
    }

    /// The sheet's rows `default_capabilities`, `default_net_raw` and `mknod_allowed`.
    #[test]
    fn root_has_what_services_need_and_may_ask_for_more() {
        let lab = Lab::new();
        assert_eq!(inside(&lab, "", POWER), "CapBnd:00000000800005fb");
        let attacks = [
            (
                "NET_RAW",
                "arping -c1 -w2 -I eth0 $(ip route | sed -n \"s/default via \\([^ ]*\\).*/\\1/p\") >/dev/null && echo done",
            ),
            ("MKNOD", "mknod /d b 8 0 && echo done"),
            ("SYS_CHROOT", "chroot / true && echo done"),
        ];
        for (power, attack) in attacks {
            assert_eq!(inside(&lab, "", attack), "", "{power}");
            let asked = format!("--cap-add {power}");
            assert_eq!(inside(&lab, &asked, attack), "done", "{power}, the control");
        }
        // What services do: low ports, files of others, other users.
        let services = "nc -l -p 80 -w1 & touch /f && chown 1:1 /f && su -s /bin/true nobody 2>/dev/null; stat -c %u /f";
        assert_eq!(inside(&lab, "", services), "1");
    }

    #[test]
    fn a_daemon_may_give_dockers_or_its_own() {
        for (setting, set) in [
            ("docker", "00000000a80425fb"),
            ("none", "0000000000000000"),
            ("CHOWN,CAP_NET_RAW", "0000000000002001"),
        ] {
            let lab = Lab::with(Engine::Hakone, &format!("--default-capabilities {setting}"));
            assert_eq!(inside(&lab, "", POWER), format!("CapBnd:{set}"));
        }
        // A build installs packages, whose scripts make nodes and change their root.
        let lab = Lab::new();
        let file =
            format!("FROM {IMAGE}\\nRUN chroot / mknod /tmp/n c 1 3 && echo made > /made\\n");
        let build = format!("printf '{file}' | docker build -q -t made -");
        assert_eq!(lab.shell(&build).code, 0);
        let made = lab.docker("run --rm made cat /made");
        assert_eq!(made.stdout.trim(), "made");
    }

    /// BusyBox wants a raw socket for what it does; it gets one that speaks ICMP.
    #[test]
    fn ping_works_without_raw_sockets() {
        let mut lab = Lab::new();
        lab.docker(&format!("run -d --name web --init {IMAGE} sleep 1000"))
            .ok();
        let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}}{{end}}";
        let out = lab.docker(&format!("inspect -f '{address}' web")).ok();
        for address in out.split_whitespace() {
            let ping = format!("ping -c1 -W2 {address} >/dev/null && echo answered");
            assert_eq!(inside(&lab, "", &ping), "answered", "{address}");
        }
        for flags in [
            "--init",
            "--network none",
            "--security-opt no-new-privileges",
            "--read-only",
        ] {
            assert_eq!(inside(&lab, flags, PING), "answered", "{flags}");
        }
        let six = "ip -6 addr add ::1/128 dev lo 2>/dev/null; ping -6 -c1 -W2 ::1 >/dev/null && echo answered";
        let on = "--sysctl net.ipv6.conf.lo.disable_ipv6=0";
        assert_eq!(inside(&lab, on, six), "answered");
        let exec = "exec web ping -c1 -W2 127.0.0.1";
        assert_eq!(lab.docker(exec).code, 0);
        // Who answers is the container's own supervisor, not the daemon.
        lab.crash();
        assert_eq!(lab.docker(exec).code, 0);
        let lab = Lab::with(Engine::Hakone, "--userns-remap default");
        assert_eq!(inside(&lab, "", PING), "answered");
    }

    #[test]
    fn nobody_else_gets_a_raw_socket() {
        let lab = Lab::new();
        for flags in [
            "--user 1000",
            "--cap-drop NET_RAW",
            "--cap-drop ALL",
            "--cap-drop NET_BIND_SERVICE",
            "--network host",
            "--security-opt seccomp=unconfined",
        ] {
            assert_eq!(inside(&lab, flags, PING), "", "{flags}");
        }
        // Who is given the power later has it.
        lab.docker(&format!(
            "run -d --name host --network host {IMAGE} sleep 1000"
        ))
        .ok();
        assert_ne!(lab.docker("exec host ping -c1 -W2 127.0.0.1").code, 0);
        let powerful = "exec --privileged host ping -c1 -W2 127.0.0.1";
        assert_eq!(lab.docker(powerful).code, 0);
        assert_eq!(
            inside(&lab, "--network host --cap-add NET_RAW", PING),
            "answered"
        );
    }

    /// What the socket is not good for: other protocols, frames, headers of one's own.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a file of a test")]
    fn the_socket_speaks_icmp_and_nothing_else() {
        let lab = Lab::new();
        let attacks = r#"
import errno, socket as s
def tried(name, attack):
    try:
        attack()
        print(name, "done")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
ping = s.socket(s.AF_INET, s.SOCK_RAW, s.IPPROTO_ICMP)
six = s.socket(s.AF_INET6, s.SOCK_RAW, s.IPPROTO_ICMPV6)
tried("headers", lambda: ping.setsockopt(s.IPPROTO_IP, s.IP_HDRINCL, 1))
tried("headers6", lambda: six.setsockopt(41, 36, 1))
tried("ttl", lambda: ping.setsockopt(s.IPPROTO_IP, s.IP_TTL, 9))
tried("tcp", lambda: s.socket(s.AF_INET, s.SOCK_RAW, s.IPPROTO_TCP))
tried("raw", lambda: s.socket(s.AF_INET, s.SOCK_RAW, s.IPPROTO_RAW))
tried("mixed", lambda: s.socket(s.AF_INET6, s.SOCK_RAW, s.IPPROTO_ICMP))
tried("frames", lambda: s.socket(s.AF_PACKET, s.SOCK_RAW, 3))
tried("cooked", lambda: s.socket(s.AF_PACKET, s.SOCK_DGRAM, 3))
given = 2
try:
    for _ in range(20000):
        s.socket(s.AF_INET, s.SOCK_RAW, s.IPPROTO_ICMP).close()
        given += 1
except PermissionError:
    pass
print("bounded" if given < 20000 else "endless")
"#;
        std::fs::write(lab.path("attacks.py"), attacks).unwrap();
        let run = format!(
            "run --rm {} -v {}:/attacks.py:ro {IMAGE} /usr/bin/python3 -B /attacks.py",
            host_python(),
            lab.path("attacks.py").display(),
        );
        let told = lab.docker(&run).ok();
        let told: Vec<&str> = told.lines().collect();
        let wanted = [
            "headers EPERM",
            "headers6 EPERM",
            "ttl done",
            "tcp EPERM",
            "raw EPERM",
            "mixed EPERM",
            "frames EPERM",
            "cooked EPERM",
            "bounded",
        ];
        assert_eq!(told, wanted);
    }

    /// `socketcall` keeps its arguments in memory, so the supervisor makes these sockets: as the caller, where the caller is.
    #[test]
    fn sockets_of_32_bit_programs_are_made_as_the_caller() {
        let told = |lab: &Lab, flags: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/attacks");
            let mounts = format!("{} -v {folder}:/attacks:ro", host_python());
            let line = "/usr/bin/python3 -B /attacks/old_sockets.py";
            lab.docker(&format!("run --rm {flags} {mounts} {IMAGE} {line}"))
                .ok()
        };
        let wanted = |packet: &str| {
            format!(
                "stream hello\nflags 1 True True\npair 0 through True\nnetlink made\nplace True\n\
                 packet {packet}\nraw {packet}\nvsock 1\npair of tipc 1\nnowhere 14 14\nno such flag 22"
            )
        };
        let lab = Lab::new();
        for flags in [
            "",
            "--user 1000:7",
            "--network none",
            "--network host",
            "--init --security-opt no-new-privileges --cap-drop ALL",
            "--label dev.hakone.hardened=true",
            "--pid host",
        ] {
            assert_eq!(told(&lab, flags), wanted("1"), "{flags}");
        }
        assert_eq!(told(&lab, "--cap-add NET_RAW"), wanted("made"));
        let lab = Lab::with(Engine::Hakone, "--userns-remap default");
        assert_eq!(told(&lab, ""), wanted("1"));
    }
}
