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
        let asked = lab.docker(&format!("run --rm --cap-add MKNOD {IMAGE} mknod /d b 8 0"));
        assert_ne!(asked.code, 0);
        assert!(asked.stderr.contains("MKNOD discarded"), "{asked:?}");
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
        lab.shell("mkdir plain && ln -s / link && ln -s /etc plain/etc && ln -s /etc/ssl ssl")
            .ok();
        let (link, plain) = (lab.path("link"), lab.path("plain"));
        let (link, plain) = (link.display(), plain.display());
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
            "--userns host".to_owned(),
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
    /// The ids that a container's root has on the host.
    fn root_of(lab: &Lab, container: &str) -> String {
        let map = lab.docker(&format!("exec {container} cat /proc/self/uid_map"));
        let map = map.ok();
        let fields: Vec<&str> = map.split_whitespace().collect();
        assert_eq!((fields[0], fields[2]), ("0", "65536"), "{map}");
        fields[1].to_owned()
    }

    #[test]
    fn root_inside_is_nobody_outside_and_nobody_elses_neighbour() {
        let mut lab = Lab::with(Engine::Hakone, "--hardened");
        for name in ["one", "two"] {
            lab.docker(&format!("run -d --name {name} {IMAGE} sleep 1000"))
                .ok();
        }
        let (one, two) = (root_of(&lab, "one"), root_of(&lab, "two"));
        assert!(one.parse::<u32>().unwrap() >= 0x7000_0000);
        assert_ne!(one, two);
        let pid = lab.docker("inspect -f '{{.State.Pid}}' one").ok();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains(&format!("Uid:\t{one}\t")), "{status}");
        // What it meets of the host is a stranger's, though its mode says that root may.
        lab.shell("mkdir hosts && echo key > hosts/key && chmod 600 hosts/key && chmod 755 hosts")
            .ok();
        let bind = format!("-v {}:/h", lab.path("hosts").display());
        let attack = "cat /h/key; chown 0 /h/key; touch /h/new; cp /bin/busybox /h/sh";
        let line = format!("{attack}; chmod 4755 /h/sh");
        assert_eq!(inside(&lab, &bind, &line), "");
        assert_eq!(lab.shell("ls hosts").ok(), "key");
        let own = format!("{bind} --label dev.hakone.hardened=false");
        assert_eq!(inside(&lab, &own, "cat /h/key"), "key", "the control");
        // A daemon's death changes no ids, and the next one gives nobody's away.
        lab.crash();
        assert_eq!(root_of(&lab, "one"), one);
        lab.docker(&format!("run -d --name three {IMAGE} sleep 1000"))
            .ok();
        let three = root_of(&lab, "three");
        assert!(three != one && three != two);
        lab.docker("restart -t 0 one").ok();
        assert_eq!(
            root_of(&lab, "one"),
            one,
            "the same as before where it is free"
        );
    }

    #[test]
    fn files_are_a_containers_own_whichever_ids_it_has() {
        let mut lab = Lab::with(Engine::Hakone, "--hardened");
        let write = "echo x > /v/x && chown 5:6 /v/x && echo y > /y && chown 7 /y && rm /bin/vi && mkdir /d && chown 7:8 /d";
        lab.docker(&format!(
            "run --name writer -v vol:/v {IMAGE} sh -c '{write}'"
        ))
        .ok();
        let look = "stat -c %u:%g /v/x";
        assert_eq!(inside(&lab, "-v vol:/v", look), "5:6", "another's ids");
        let open = "-v vol:/v --label dev.hakone.hardened=false";
        assert_eq!(inside(&lab, open, look), "5:6", "the host's ids");
        let stored = fs::metadata(lab.path("data/volumes/vol/_data/x")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&stored), 5);
        // What it wrote comes out as it is: copied, committed, and after it was opened.
        let copied = lab.shell("docker cp writer:/y - | tar tv --numeric-owner");
        assert!(copied.ok().contains(" 7/0 "));
        lab.docker("commit writer committed").ok();
        assert_eq!(inside(&lab, "", "true"), "");
        let committed = lab
            .docker("run --rm committed stat -c %u:%g /y /bin/busybox")
            .ok();
        assert_eq!(committed, "7:0\n0:0");
        // A fresh volume begins with what the image has there.
        let filled = lab.docker("run --rm -v fresh:/d committed stat -c %u:%g /d");
        assert_eq!(filled.ok(), "7:8");
        let filled = lab.docker("run --rm -v programs:/bin committed stat -c %u:%g /bin/busybox");
        assert_eq!(filled.ok(), "0:0");
        let stored = fs::metadata(lab.path("data/volumes/programs/_data/busybox")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&stored), 0);
        lab.docker(&format!("run -d --name live -v vol:/v {IMAGE} sleep 1000"))
            .ok();
        lab.shell("echo z > z && docker cp z live:/v/z").ok();
        lab.shell("docker cp z live:/z").ok();
        let seen = lab
            .docker("exec live stat -c %u:%g /v/z /z /etc/hosts")
            .ok();
        assert_eq!(seen, "0:0\n0:0\n0:0");
        lab.stop(rustix::process::Signal::TERM);
        lab.set_arguments("");
        lab.start();
        lab.docker("restart -t 0 live").ok();
        let seen = lab
            .docker("exec live stat -c %u:%g /v/z /z /etc/hosts")
            .ok();
        assert_eq!(seen, "0:0\n0:0\n0:0");
        assert!(
            lab.docker("exec live cat /proc/self/uid_map")
                .ok()
                .ends_with("4294967295")
        );
    }

    #[test]
    fn hardened_containers_share_what_is_offered() {
        let lab = Lab::with(Engine::Hakone, "--hardened");
        lab.docker(&format!(
            "run -d --name one --ipc shareable --label dev.hakone.share=network,pid {IMAGE} sleep 1000"
        ))
        .ok();
        lab.docker(&format!("run -d --name victim {IMAGE} sleep 1000"))
            .ok();
        for namespace in ["network", "pid"] {
            let told = refused(&lab, &format!("--{namespace} container:victim"));
            let way = format!("dev.hakone.share={namespace}");
            assert!(told.contains(&way), "{told}");
        }
        refused(&lab, "--ipc container:victim");
        let seen = inside(&lab, "--pid container:one", "ps | grep -c \"[s]leep 1000\"");
        assert_eq!(seen, "1");
        let shared = "--ipc container:one";
        inside(&lab, shared, "echo x > /dev/shm/x");
        assert_eq!(
            inside(&lab, shared, "cat /dev/shm/x; stat -c %u /dev/shm/x"),
            "x\n0"
        );
        // The network's devices are those of the container, not the host's.
        let devices = "ls /sys/class/net; ls /sys/class/net/ | wc -l";
        assert_eq!(inside(&lab, "", devices), "eth0\nlo\n2");
        assert_eq!(
            inside(&lab, "--network container:one", devices),
            "eth0\nlo\n2"
        );
        lab.docker(&format!(
            "run --rm --runtime runc -v vol:/v {IMAGE} touch /v/x"
        ))
        .ok();
        assert_eq!(inside(&lab, "-v vol:/v", "stat -c %u /v/x"), "0");
    }

    /// Images and containers make set-user-id programs: nobody of the host may walk to them (CVE-2021-41091).
    #[test]
    fn a_user_of_the_host_finds_no_program_among_the_engines_files() {
        let lab = Lab::new();
        let make = "cp /bin/busybox /v/sh && chmod 4755 /v/sh && cp /v/sh /sh && chmod 4755 /sh";
        lab.docker(&format!("run --name trap -v vol:/v {IMAGE} sh -c '{make}'"))
            .ok();
        let id = lab.docker("inspect -f '{{.Id}}' trap").ok();
        lab.shell("chmod 755 .").ok();
        let user = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        for program in [
            "data/volumes/vol/_data/sh".to_owned(),
            format!("data/containers/{id}/upper/sh"),
        ] {
            assert!(lab.path(&program).exists(), "{program}");
            let run = lab.shell(&format!("{user} {} id -u", lab.path(&program).display()));
            assert_ne!(run.code, 0, "{run:?}");
        }
        let layers = format!("{user} ls {}", lab.path("data/layers").display());
        assert_ne!(lab.shell(&layers).code, 0);
    }
}
