//! What a container may take from the host: bounded by default, and closed where the daemon or a label hardens it. Each attack has
//! its control.

#[cfg(test)]
mod tests {
    use std::fs;

    use hakone_e2e::{Engine, IMAGE, Lab};

    fn refused(lab: &Lab, flags: &str) -> String {
        let run = lab.docker(&format!("run --rm {flags} {IMAGE} true"));
        assert_ne!(run.code, 0, "{flags}");
        run.stderr
    }

    /// Runs in a container; every line of the attack ends with a word when it works.
    fn inside(lab: &Lab, flags: &str, line: &str) -> String {
        let run = lab.docker(&format!("run --rm {flags} {IMAGE} sh -c '{line}'"));
        run.stdout.trim().to_owned()
    }

    #[test]
    fn no_container_takes_all_processes_or_all_memory_unless_it_may() {
        let lab = Lab::new();
        let limits = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max \
                      /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
        let told = inside(&lab, "", limits);
        let told: Vec<u64> = told.lines().map(|line| line.parse().unwrap()).collect();
        let all = fs::read_to_string("/proc/meminfo").unwrap();
        let all: u64 = all.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert_eq!(told[0], 4096);
        assert!(told[1] < (all << 10) && told[1] > (all << 9), "{told:?}");
        let free = inside(&lab, "--pids-limit -1 --memory 64m", limits);
        assert_eq!(free.lines().collect::<Vec<_>>(), ["max", "67108864"]);
        let lab = Lab::with(
            Engine::Hakone,
            "--default-pids-limit 0 --default-memory-limit 0",
        );
        let free = inside(&lab, "", limits);
        assert!(free.starts_with("max\n"), "{free}");
    }

    #[test]
    fn facts_of_the_host_are_not_told() {
        let lab = Lab::new();
        let look =
            "cat /proc/cmdline /proc/modules /proc/kallsyms /proc/interrupts 2>/dev/null | wc -c";
        assert_eq!(inside(&lab, "", look), "0");
        assert_ne!(inside(&lab, "--privileged", look), "0", "the control");
    }

    #[test]
    fn a_hardened_daemons_containers_have_what_services_need_and_no_more() {
        let lab = Lab::with(Engine::Hakone, "--hardened --default-capabilities docker");
        let power = "grep -E \"CapBnd|NoNewPrivs\" /proc/self/status | tr -d \"\\t\\n\"";
        assert_eq!(
            inside(&lab, "", power),
            "CapBnd:00000000800005fbNoNewPrivs:1"
        );
        assert_eq!(inside(&lab, "", "mknod /d b 8 0 && echo made"), "");
        let own = "--label dev.hakone.hardened=false";
        assert_eq!(inside(&lab, own, "mknod /d b 8 0 && echo made"), "made");
        assert_eq!(
            inside(&lab, "--cap-add MKNOD", "mknod /d b 8 0 && echo made"),
            "made"
        );
        lab.docker(&format!("run -d --name web -p 8080:80 {IMAGE} sleep 100"))
            .ok();
        assert_eq!(lab.docker("port web").ok(), "80/tcp -> 127.0.0.1:8080");
        // Who names an address is heard, whoever it is: here the network, below the daemon.
        lab.docker("network create -o com.docker.network.bridge.host_binding_ipv4=10.99.0.1 outer")
            .ok();
        lab.docker(&format!(
            "run -d --name out --network outer -p 8081:80 {IMAGE} sleep 100"
        ))
        .ok();
        assert_eq!(lab.docker("port out").ok(), "80/tcp -> 10.99.0.1:8081");
        let exec = lab.docker("exec --privileged web true");
        assert!(exec.stderr.contains("dev.hakone.hardened=false"));
        lab.docker("exec web true").ok();
    }

    #[test]
    fn a_daemon_that_names_an_address_publishes_there() {
        for (address, published) in [
            ("10.99.0.1", "80/tcp -> 10.99.0.1:8080"),
            ("0.0.0.0", "80/tcp -> 0.0.0.0:8080"),
        ] {
            let lab = Lab::with(Engine::Hakone, &format!("--hardened --ip {address}"));
            lab.docker(&format!("run -d --name web -p 8080:80 {IMAGE} sleep 100"))
                .ok();
            let told = lab.docker("port web").ok();
            assert!(told.starts_with(published), "{told}");
        }
    }

    #[test]
    fn what_leads_to_the_host_is_refused_with_the_name_of_the_setting() {
        let lab = Lab::with(Engine::Hakone, "--hardened");
        let socket = lab.path("engine.sock").display().to_string();
        let folder = lab.path("").display().to_string();
        lab.shell("mkdir plain && ln -s / link && ln -s /etc plain/etc")
            .ok();
        let (link, plain) = (lab.path("link"), lab.path("plain"));
        let (link, plain) = (link.display(), plain.display());
        lab.shell("ln -s /etc/ssl ssl").ok();
        let linked = lab.path("ssl").display().to_string();
        for (name, device) in [
            ("whole", "/"),
            ("inner", "/etc/ssl"),
            ("linked", linked.as_str()),
            ("engines", format!("{folder}/data/containers").as_str()),
            ("fine", "/usr/share"),
        ] {
            lab.docker(&format!(
                "volume create -o type=none -o o=bind -o device={device} {name}"
            ))
            .ok();
        }
        for flags in [
            "--privileged".to_owned(),
            "--cap-add SYS_ADMIN".to_owned(),
            "--cap-add ALL".to_owned(),
            "--net host".to_owned(),
            "--pid host".to_owned(),
            "--ipc host".to_owned(),
            "--security-opt seccomp=unconfined".to_owned(),
            "--security-opt systempaths=unconfined".to_owned(),
            "--device /dev/loop-control".to_owned(),
            "-v /:/h".to_owned(),
            "-v /proc:/h".to_owned(),
            format!("-v {socket}:/s"),
            format!("-v {folder}:/s"),
            format!("-v {folder}/data:/s"),
            format!("-v {link}:/h"),
            format!("-v {plain}/etc:/h"),
            format!("--mount type=bind,source={link},target=/h"),
            "-v whole:/h".to_owned(),
            "-v inner:/h".to_owned(),
            "-v linked:/h:ro".to_owned(),
            "-v engines:/h".to_owned(),
        ] {
            let told = refused(&lab, &flags);
            assert!(
                told.contains("dev.hakone.hardened=false"),
                "{flags}: {told}"
            );
        }
        for flags in [
            format!("-v {plain}:/d"),
            "-v named:/d".to_owned(),
            "-v fine:/d".to_owned(),
            "--tmpfs /t".to_owned(),
            "-v /etc/ssl/certs:/c:ro".to_owned(),
            "--label dev.hakone.hardened=false --privileged".to_owned(),
        ] {
            lab.docker(&format!("run --rm {flags} {IMAGE} true")).ok();
        }
    }

    #[test]
    fn a_label_hardens_one_container_of_a_compatible_daemon() {
        let lab = Lab::with(Engine::Hakone, "--default-capabilities docker");
        let hardened = "--label dev.hakone.hardened=true";
        let told = refused(&lab, &format!("{hardened} --privileged"));
        assert!(told.contains("--privileged is refused"), "{told}");
        assert_eq!(inside(&lab, hardened, "mknod /d b 8 0 && echo made"), "");
        assert_eq!(inside(&lab, "", "mknod /d b 8 0 && echo made"), "made");
    }

    #[test]
    fn a_container_made_before_is_judged_at_its_next_start() {
        let mut lab = Lab::new();
        lab.docker(&format!("create --name old --privileged {IMAGE} true"))
            .ok();
        lab.docker(&format!("create --name plain {IMAGE} true"))
            .ok();
        lab.stop(rustix::process::Signal::TERM);
        lab.set_arguments("--hardened");
        lab.start();
        let start = lab.docker("start old");
        assert!(
            start.stderr.contains("--privileged is refused"),
            "{}",
            start.stderr
        );
        lab.docker("start -a plain").ok();
    }

    #[test]
    fn no_neighbour_takes_anothers_name_or_one_of_the_world_outside() {
        let lab = Lab::new();
        lab.docker("network create --label dev.hakone.hardened=true closed")
            .ok();
        lab.docker("network create open").ok();
        for network in ["closed", "open"] {
            lab.docker(&format!(
                "run -d --name {network}-bank --network {network} {IMAGE} sleep 100"
            ))
            .ok();
        }
        for alias in ["bank.example", "closed-bank", "CLOSED-bank"] {
            let run = format!("run --rm --network closed --network-alias {alias} {IMAGE} true");
            let told = lab.docker(&run).stderr;
            assert!(told.contains("dev.hakone.hardened=false"), "{told}");
        }
        // Who takes such a name by another way is not found by it.
        lab.docker(&format!(
            "run -d --name thief -h bank.example {IMAGE} sleep 100"
        ))
        .ok();
        for network in ["closed", "open"] {
            let names = format!("--alias bank.example --alias {network}-bank --alias plain");
            lab.docker(&format!("network connect {names} {network} thief"))
                .ok();
        }
        let found = |network: &str, name: &str| {
            let ask = format!("exec {network}-bank nslookup -type=a {name} 127.0.0.11");
            lab.docker(&ask).stdout.matches("Address").count() - 1
        };
        assert_eq!(found("closed", "closed-bank"), 1);
        assert_eq!(found("closed", "bank.example"), 0);
        assert_eq!(found("closed", "plain"), 1);
        assert_eq!(found("closed", "thief"), 1);
        // Nor is anybody found by a name of the world outside that is his own, but for the network's name behind it.
        for network in ["closed", "open"] {
            let run =
                format!("run -d --name {network}.example --network {network} {IMAGE} sleep 100");
            lab.docker(&run).ok();
        }
        assert_eq!(found("closed", "closed.example"), 0);
        assert_eq!(found("closed", "closed.example.closed"), 1);
        assert_eq!(found("open", "open.example"), 1, "as in Docker");
        assert_eq!(found("open", "open-bank"), 1, "a name goes before an alias");
        let id = lab.docker("inspect -f '{{slice .Id 0 12}}' open-bank").ok();
        for taken in [format!("--network-alias {id}"), format!("--name {id}")] {
            let run = format!("run -d --network open {taken} {IMAGE} sleep 100");
            lab.docker(&run).ok();
        }
        assert_eq!(found("open", id.trim()), 1, "an id goes before both");
        // To the command line a name goes before an id, as in Docker: this is the one that took the name.
        lab.docker(&format!("rm -f {id}")).ok();
        lab.docker(&format!(
            "run -d --name localhost --network open {IMAGE} sleep 100"
        ))
        .ok();
        let ask = "exec open-bank nslookup -type=a localhost 127.0.0.11";
        let answer = lab.docker(ask).stdout;
        assert!(!answer.contains("Name:"), "{answer}");
        assert_eq!(found("open", "bank.example"), 1, "as in Docker");
    }

    #[test]
    fn builds_of_a_hardened_daemon_work() {
        let lab = Lab::with(Engine::Hakone, "--hardened");
        let file = format!(
            "FROM {IMAGE}\\nRUN --mount=type=tmpfs,target=/t touch /t/x && mknod /d b 8 0\\nCOPY . /c\\n"
        );
        lab.shell(&format!("mkdir ctx && printf '{file}' > ctx/Dockerfile"))
            .ok();
        lab.shell("DOCKER_BUILDKIT=0 docker build -q ctx").ok();
    }
}
