//! Scoped sockets: what works through them, and every way out of a container that has one.

#[cfg(test)]
mod tests {
    use hakone_e2e::{Engine, IMAGE, Lab, Output, eventually, hakone, sh};

    /// Flags of `run` that each reach beyond the container.
    const FLAGS: &[&str] = &[
        "-v /:/h",
        "-v /etc/passwd:/p:ro",
        "--mount type=bind,source=/,target=/h",
        "--mount type=volume,source=fresh,target=/h,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/",
        "-v hole:/h",
        "--privileged",
        "--pid host",
        "--ipc host",
        "--uts host",
        "--network host",
        "--userns host",
        "--pid container:strong",
        "--network container:strong",
        "--ipc container:strong",
        "--volumes-from holed",
        "--volumes-from cage",
        "--device /dev/kmsg",
        "--device-cgroup-rule 'a *:* rwm'",
        "--cap-add SYS_ADMIN",
        "--cap-add ALL",
        "--security-opt seccomp=unconfined",
        "--security-opt systempaths=unconfined",
        "--sysctl net.ipv4.ip_forward=1",
        "--runtime runc",
        "--cgroup-parent /",
        "--oom-score-adj -900",
        "--log-driver syslog --log-opt syslog-address=unix:///run/x",
    ];

    /// Verbs that touch what is the administrator's.
    const VERBS: &[&str] = &[
        "exec strong id",
        "exec --privileged cage id",
        "cp strong:/etc/passwd /tmp/x",
        "cp holed:/h/etc/shadow /tmp/x",
        "attach strong",
        "start holed",
        "restart strong",
        "rm -f strong",
        "commit strong evil",
        "export -o /tmp/x strong",
        "volume rm hole",
        "tag busybox:lab trusted:1",
        "rmi busybox:lab",
        "save -o /tmp/x busybox:lab",
        "volume create -o type=none -o o=bind -o device=/ way",
        "network create -d macvlan -o parent=cable0 wire",
        "network create --opt com.docker.network.bridge.name=cable0 wire",
        "network create --subnet 1.1.1.0/24 wire",
        "network create --label dev.hakone.host-access=true wire",
        "attack",
        "reach",
        "flows",
        "policy ls",
    ];

    /// Verbs on what is out of scope.
    const THEIRS: &[&str] = &[
        "logs theirs",
        "inspect theirs",
        "exec theirs true",
        "stop theirs",
        "rm theirs",
        "rename theirs x",
        "wait theirs",
        "network connect theirs mine",
        "network connect mine theirs",
        "network inspect theirs",
        "network rm theirs",
        "volume rm theirs",
        "volume inspect theirs",
        "volume create theirs",
    ];

    /// A laboratory with three sockets: of everybody's operator, of the team `ci`, and of a reader; and the folder they lie in.
    struct Doors {
        lab: Lab,
        folder: tempfile::TempDir,
    }

    impl Doors {
        fn new(more: &str) -> Self {
            let folder = tempfile::tempdir_in("/tmp").unwrap();
            let at = folder.path().display();
            let line = format!(
                "--socket path={at}/operator.sock,role=operator --socket path={at}/ci.sock,role=operator,label=team=ci \
                 --socket path={at}/reader.sock,role=read-only {more}"
            );
            let line = line.replace("AT", &at.to_string());
            let lab = Lab::with(Engine::Hakone, &line);
            Self { lab, folder }
        }

        /// The docker CLI at one of the sockets.
        fn docker(&self, socket: &str, line: &str) -> Output {
            let at = self.folder.path().display();
            self.lab.shell(&format!(
                "export DOCKER_HOST=unix://{at}/{socket}.sock; docker {line}"
            ))
        }

        /// A raw request; gives status and body.
        fn api(&self, socket: &str, method: &str, path: &str, body: &str) -> (u16, String) {
            let at = self.folder.path().display();
            let output = sh(&format!(
                "curl -s --max-time 60 --unix-socket {at}/{socket}.sock -X {method} -H 'Content-Type: application/json' \
                 -d '{body}' -w '\\n%{{http_code}}' 'http://e{path}'"
            ));
            let (body, status) = output.stdout.rsplit_once('\n').unwrap_or(("", "0"));
            (status.parse().unwrap_or(0), body.to_owned())
        }
    }

    /// Sockets with a role are made for containers: the hardened ones, whose root is nobody on the host, find the door open.
    #[test]
    fn root_of_a_hardened_container_may_use_the_socket_that_it_is_given() {
        let doors = Doors::new("--hardened");
        let (at, binary) = (doors.folder.path().display(), hakone());
        let run = |socket: &str, user: &str| {
            let line = format!(
                "run --rm --user {user} -v {at}/{socket}.sock:/s.sock -v {}:/bin/hakone:ro -e HAKONE_HOST=unix:///s.sock {IMAGE}",
                binary.display()
            );
            doors.lab.docker(&format!("{line} hakone ps"))
        };
        assert_eq!(run("reader", "0").code, 0);
        let stranger = run("reader", "1000");
        assert!(
            stranger.stderr.contains("may not open its socket"),
            "{stranger:?}"
        );
    }

    #[test]
    fn a_container_that_has_a_scoped_socket_does_not_get_out() {
        let doors = Doors::new("");
        let lab = &doors.lab;
        // The administrator's: a strong container, a volume that is the host's root, a wire of the host.
        lab.docker(&format!(
            "run -d --name strong --privileged {IMAGE} sleep 600"
        ))
        .ok();
        lab.docker("volume create -o type=none -o o=bind -o device=/ hole")
            .ok();
        lab.docker(&format!("run -d --name holed -v hole:/h {IMAGE} sleep 600"))
            .ok();
        let (at, binary) = (doors.folder.path().display(), hakone());
        lab.docker(&format!(
            "run -d --name cage -v {at}/operator.sock:/s.sock -v {}:/bin/hakone:ro {IMAGE} sleep 600",
            binary.display()
        ))
        .ok();
        let inside = |line: &str| {
            lab.docker(&format!(
                "exec -e HAKONE_HOST=unix:///s.sock cage hakone {line}"
            ))
        };
        let own = inside(&format!(
            "run --rm --cap-drop ALL --cap-add CHOWN -v data:/d {IMAGE} echo inner"
        ));
        assert_eq!(own.clone().ok(), "inner", "{own:?}");
        // An image that asks for a folder of the host in the clothes of a volume.
        let archive = lab.path("busybox.tar").display().to_string();
        lab.docker(&format!("import -c 'VOLUME /etc:/h' {archive} sly:1"))
            .ok();
        let tried = inside("run --rm sly:1 cat /h/shadow /etc:/h/shadow");
        assert!(tried.code != 0 && tried.stdout.is_empty(), "{tried:?}");
        for flags in FLAGS {
            let tried = inside(&format!("run --rm {flags} {IMAGE} true"));
            assert_ne!(tried.code, 0, "{flags}");
            let said =
                tried.stderr.contains("this socket") || tried.stderr.contains("No such container");
            assert!(said, "{flags}: {}", tried.stderr);
        }
        for line in VERBS {
            let tried = inside(line);
            assert_ne!(tried.code, 0, "{line}: {}", tried.stdout);
        }
        assert_eq!(
            lab.docker("inspect -f '{{.State.Running}}' strong").ok(),
            "true"
        );
        assert_eq!(lab.docker("network ls -qf name=wire").ok(), "");
        assert_eq!(lab.docker("volume ls -qf name=way").ok(), "");
        lab.docker("rm -f holed; docker volume rm hole data").ok();
    }

    #[test]
    fn the_engines_words_find_no_second_meaning_and_hands_off_endpoints_are_closed() {
        let doors = Doors::new("");
        let image = format!(r#""Image":"{IMAGE}""#);
        for body in [
            r#""HostConfig":{"Privileged":true},"HostConfig":{}"#,
            r#""HostConfig":{},"HostConfig":{"Privileged":true}"#,
            r#""Volumes":{"/etc:/h":{}}"#,
            r#""HostConfig":{"Binds":["/:/h"],"Mounts":null}"#,
            r#""HostConfig":{"MaskedPaths":[]}"#,
            r#""HostConfig":{"Annotations":{"a":"b"}}"#,
            r#""NetworkingConfig":{"EndpointsConfig":{"bridge":{"DriverOpts":{"a":"b"}}}}"#,
        ] {
            let body = format!("{{{image},{body}}}");
            let (status, said) = doors.api("operator", "POST", "/containers/create", &body);
            assert!(matches!(status, 400 | 403), "{body}: {status} {said}");
        }
        for (method, path) in [
            ("POST", "/images/load"),
            ("POST", "/images/create?fromSrc=-&repo=trusted"),
            ("POST", "/images/prune"),
            ("POST", "/containers/prune"),
            ("POST", "/volumes/prune"),
            ("POST", "/networks/prune"),
            ("GET", "/debug/vars"),
            ("GET", "/hakone/flows"),
            ("POST", "/hakone/policies"),
            ("POST", "/v1.24/commit?container=x&repo=y"),
        ] {
            let (status, said) = doors.api("operator", method, path, "{}");
            assert_eq!(status, 403, "{method} {path}: {said}");
        }
        for (method, path) in [
            ("POST", "/containers/create"),
            ("POST", "/images/create?fromImage=x"),
            ("DELETE", "/containers/x"),
            ("POST", "/containers/x/exec"),
            ("GET", "/containers/x/archive?path=/"),
            ("POST", "/volumes/create"),
            ("POST", "/auth"),
        ] {
            let (status, said) = doors.api("reader", method, path, "{}");
            assert_eq!(status, 403, "{method} {path}: {said}");
        }
        doors.docker("reader", "ps -a").ok();
        doors.docker("reader", "info").ok();
    }

    #[test]
    fn a_labelled_socket_sees_and_touches_its_own_things_only() {
        let doors = Doors::new("");
        let lab = &doors.lab;
        lab.docker(&format!(
            "run -d --name theirs -v theirs:/d {IMAGE} sh -c 'echo secret; sleep 600'"
        ))
        .ok();
        lab.docker("network create theirs").ok();
        let ci = |line: &str| doors.docker("ci", line);
        ci("network create mine").ok();
        ci(&format!("run -d --name mine --network mine -v mine:/d -p 18080:80 {IMAGE} sh -c 'echo hello; sleep 600'")).ok();
        assert_eq!(ci("ps -a --format '{{.Names}}'").ok(), "mine");
        assert_eq!(ci("volume ls -q").ok(), "mine");
        assert_eq!(ci("network ls --format '{{.Name}}'").ok(), "mine");
        assert_eq!(ci("inspect -f '{{.Config.Labels.team}}' mine").ok(), "ci");
        assert_eq!(ci("exec mine echo in").ok(), "in");
        eventually("its log is read", || ci("logs mine").ok() == "hello");
        ci("cp mine:/etc/hostname - > /dev/null").ok();
        ci("restart -t 0 mine").ok();
        ci(&format!(
            "run --rm --network container:mine --volumes-from mine {IMAGE} ls /d"
        ))
        .ok();
        ci(&format!("run --rm -v mine:/again {IMAGE} true")).ok();
        let df = ci("system df -v").ok();
        assert!(df.contains("mine") && !df.contains("theirs"), "{df}");
        assert!(lab.docker("system df -v").ok().contains("theirs"));
        for line in THEIRS {
            let tried = ci(line);
            assert_ne!(tried.code, 0, "{line}: {}", tried.stdout);
        }
        for flags in [
            "-v theirs:/x",
            "--network theirs",
            "--network container:theirs",
            "--label team=cd",
            "--volumes-from theirs",
        ] {
            assert_ne!(ci(&format!("create {flags} {IMAGE}")).code, 0, "{flags}");
        }
        let told =
            ci("events --since 1 --until $(($(date +%s) + 1)) --format '{{.Type}} {{.Actor.Attributes.name}}'").ok();
        assert!(
            told.contains("container mine") && !told.contains("theirs"),
            "{told}"
        );
        an_older_client_names_an_address(&doors);
        ci("rm -f mine addressed").ok();
        ci("volume prune -af").ok();
        ci("network prune -f").ok();
        assert_eq!(lab.docker("volume ls -qf name=theirs").ok(), "theirs");
        assert_eq!(
            lab.docker("network ls -qf name=theirs")
                .ok()
                .lines()
                .count(),
            1
        );
        assert_eq!(lab.docker("volume ls -qf name=mine").ok(), "");
        lab.docker("rm -f theirs; docker volume rm theirs").ok();
    }

    /// Up to API 1.43 the address stood beside the networks.
    fn an_older_client_names_an_address(doors: &Doors) {
        let older = format!(
            r#"{{"Image":"{IMAGE}","Cmd":["sleep","600"],"MacAddress":"02:42:ac:11:00:63"}}"#
        );
        let made = doors.api(
            "ci",
            "POST",
            "/v1.43/containers/create?name=addressed",
            &older,
        );
        assert_eq!(made.0, 201, "{}", made.1);
        doors.docker("ci", "start addressed").ok();
        let shown =
            "inspect -f '{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}' addressed";
        assert_eq!(doors.lab.docker(shown).ok(), "02:42:ac:11:00:63");
    }

    #[test]
    fn a_rule_file_and_the_kernels_word_of_the_peer_bound_a_socket() {
        let rules = tempfile::tempdir_in("/tmp").unwrap();
        let file = rules.path().join("rules.toml");
        let folder = rules.path().join("shared");
        std::fs::create_dir(&folder).unwrap();
        let text = format!(
            "role = 'operator'\ndeny = ['container.exec']\nallow = ['image.tag']\nimages = ['busybox:*']\n\
             image-write = ['ci/*']\noptions = ['CapAdd=NET_ADMIN']\nbinds = ['{}']",
            folder.display()
        );
        sh(&format!("cat > {} <<'END'\n{text}\nEND", file.display())).ok();
        let doors = Doors::new(&format!(
            "--socket path=AT/rules.sock,rules={} --socket path=AT/mine.sock,role=operator,uid=4711,mode=666",
            file.display()
        ));
        let by_rule = |line: &str| doors.docker("rules", line);
        let shared = folder.display();
        by_rule(&format!(
            "run --rm --cap-add NET_ADMIN -v {shared}:/s {IMAGE} touch /s/done"
        ))
        .ok();
        assert!(folder.join("done").exists());
        by_rule(&format!("tag {IMAGE} ci/tool:1")).ok();
        std::os::unix::fs::symlink("/etc", folder.join("link")).unwrap();
        for line in [
            format!("run --rm --cap-add SYS_ADMIN {IMAGE} true"),
            format!("run --rm -v {shared}/link:/s {IMAGE} true"),
            format!("run --rm -v {shared}/../..:/s {IMAGE} true"),
            format!("tag {IMAGE} debian:12"),
            "run --rm ci/tool:1 true".to_owned(),
        ] {
            assert_ne!(by_rule(&line).code, 0, "{line}");
        }
        by_rule(&format!("run -d --name idle {IMAGE} sleep 600")).ok();
        assert!(by_rule("exec idle true").stderr.contains("container.exec"));
        doors.lab.docker("rm -f idle").ok();
        let at = doors.folder.path().display();
        sh(&format!("chmod 755 {at}")).ok();
        let as_user = |uid: u32| {
            sh(&format!(
                "setpriv --reuid {uid} --regid {uid} --clear-groups curl -s --unix-socket {at}/mine.sock http://e/containers/json"
            ))
            .stdout
        };
        assert_eq!(as_user(4711).trim(), "[]");
        assert!(
            as_user(4712).contains("not open to you"),
            "{}",
            as_user(4712)
        );
    }

    #[test]
    fn docker_py_and_compose_work_through_an_operators_socket() {
        let doors = Doors::new("");
        let at = doors.folder.path().display();
        let project = "services: {a: {image: 'busybox:lab', command: sleep 600, volumes: ['v:/v'], networks: [n]}}\nvolumes: {v: {}}\nnetworks: {n: {}}";
        let line = format!(
            "cat > compose.yaml <<'END'\n{project}\nEND\nexport DOCKER_HOST=unix://{at}/ci.sock; docker compose version >/dev/null 2>&1 || exit 0; \
             docker compose -p p up -d --wait && docker compose -p p exec -T a echo composed && docker compose -p p down -v"
        );
        doors.lab.shell(&line).ok();
        let script = "import docker,sys\n\
            c=docker.DockerClient(base_url=sys.argv[1])\n\
            out=c.containers.run(\"busybox:lab\",[\"echo\",\"py\"],remove=True)\n\
            assert out==b\"py\\n\",out\n\
            try:\n c.containers.run(\"busybox:lab\",\"true\",privileged=True); raise SystemExit(1)\n\
            except docker.errors.APIError as e: assert e.status_code==403,e\n";
        let line = format!(
            "python3 -c 'import docker' 2>/dev/null || exit 0; cat > t.py <<'END'\n{script}\nEND\npython3 t.py unix://{at}/ci.sock"
        );
        doors.lab.shell(&line).ok();
    }
}
