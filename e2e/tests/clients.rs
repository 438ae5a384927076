//! The programs and libraries that people have, each driving the engine in its own way: Compose of three ages, docker-py, dockerode, bollard,
//! testcontainers.
//!
//! `cargo xtask e2e --peers` installs them (`scripts/clients`). Each story is told to a real dockerd as well: what fails there is
//! the story's fault.

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use hakone_e2e::{Engine, Lab, Output, eventually};

    fn root() -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.parent().unwrap().to_owned()
    }

    /// A program or folder that `scripts/clients` brings.
    fn installed(name: &str) -> String {
        let path = root().join("target/clients").join(name);
        assert!(
            path.exists(),
            "{} is missing: scripts/clients",
            path.display()
        );
        path.display().to_string()
    }

    /// A file of `e2e/clients`.
    fn story(name: &str) -> String {
        root().join("e2e/clients").join(name).display().to_string()
    }

    fn both(tell: impl Fn(&Lab)) {
        for engine in [Engine::Dockerd, Engine::Hakone] {
            tell(&Lab::with(engine, ""));
        }
    }

    /// A project folder and the Compose that works on it.
    struct Project<'a> {
        lab: &'a Lab,
        compose: String,
    }

    impl<'a> Project<'a> {
        fn new(lab: &'a Lab, compose: &str, file: &str) -> Self {
            let folder = story("compose");
            lab.shell(&format!(
                "mkdir -p shop && cp {folder}/* shop/ && cp {folder}/{file} shop/compose.yaml"
            ))
            .ok();
            Self {
                lab,
                compose: compose.to_owned(),
            }
        }

        fn run(&self, line: &str) -> Output {
            self.lab.shell(&format!(
                "cd shop && {} -p shop -f compose.yaml {line}",
                self.compose
            ))
        }

        fn ok(&self, line: &str) -> String {
            self.run(line).ok()
        }

        /// Gives the services' running containers, sorted.
        fn running(&self) -> Vec<String> {
            let line = "ps --filter label=com.docker.compose.project=shop --format '{{.Label \"com.docker.compose.service\"}}'";
            let names = self.lab.docker(line).ok();
            let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
            names.sort();
            names
        }
    }

    fn compose_v2(lab: &Lab, version: &str) {
        let plugin = format!("{version}/usr/libexec/docker/cli-plugins/docker-compose");
        let project = Project::new(lab, &installed(&plugin), "compose.yaml");
        project.ok("config --quiet");
        project.ok("up -d --wait --wait-timeout 60");
        assert_eq!(project.running(), ["db", "web", "worker"]);
        assert_eq!(
            project.ok("exec -T worker wget -qO- http://site/"),
            "<h1>hello</h1>"
        );
        assert_eq!(project.ok("exec -T db cat /run/secrets/key"), "open sesame");
        let outside = lab
            .host
            .sh("curl -s --max-time 5 http://127.0.0.1:18080/")
            .ok();
        assert_eq!(outside, "<h1>hello</h1>");
        let port = project.ok("port web 80");
        assert!(port.ends_with(":18080"), "{port}");
        networks_are_apart(&project);
        life(&project);
        files(&project);
        project.ok("down -v --timeout 2");
        assert_eq!(project.running(), Vec::<String>::new());
        nothing_is_left(lab);
    }

    fn networks_are_apart(project: &Project<'_>) {
        project.ok("--profile debug up -d");
        assert_eq!(project.running(), ["db", "shell", "web", "worker"]);
        let reach = |from: &str, name: &str| {
            project.run(&format!("exec -T {from} nslookup {name}")).code == 0
        };
        assert!(reach("shell", "web") && reach("worker", "db"));
        assert!(!reach("shell", "db"), "db is on the other network");
        project.ok("--profile debug rm -sf shell");
    }

    fn life(project: &Project<'_>) {
        project.ok("up -d --no-recreate --scale worker=3");
        assert_eq!(
            project.running(),
            ["db", "web", "worker", "worker", "worker"]
        );
        project.ok("up -d --scale worker=1");
        assert_eq!(project.running(), ["db", "web", "worker"]);
        eventually("the worker speaks", || {
            project.ok("logs worker").contains("tick")
        });
        let followed = project.ok("logs -f --no-log-prefix --tail 3 worker | grep -m 6 -c tick");
        assert_eq!(followed, "6", "old lines, then new ones");
        project.ok("restart -t 1 worker");
        project.ok("pause worker");
        project.ok("unpause worker");
        project.ok("kill -s SIGTERM worker");
        eventually("the worker comes back or rests", || {
            project
                .lab
                .docker("ps -a --filter name=shop-worker --format '{{.State}}'")
                .ok()
                != ""
        });
        let before = project.lab.docker("inspect -f {{.Id}} shop-web-1").ok();
        project
            .lab
            .shell("sed -i 's/stop_grace_period: 1s/stop_grace_period: 2s/' shop/compose.yaml")
            .ok();
        project
            .lab
            .shell("sed -i 's/tier: front/tier: changed/' shop/compose.yaml")
            .ok();
        project.ok("up -d");
        let after = project.lab.docker("inspect -f {{.Id}} shop-web-1").ok();
        assert_ne!(before, after, "what changed is made anew");
        let once = project.run("run --rm -T --no-deps db sh -c 'echo $HOSTNAME; exit 7'");
        assert_eq!(once.code, 7, "{once:?}");
        // The peer's small Debian has no ps, which dockerd needs for it.
        if project.lab.engine() == Engine::Hakone {
            let top = project.ok("top db");
            assert!(top.contains("sleep 1000"), "{top}");
        }
        let listed = project.ok("ps --all --format json");
        assert!(listed.contains("shop-db-1"), "{listed}");
    }

    fn files(project: &Project<'_>) {
        project.ok("cp compose.yaml db:/data/");
        project.ok("cp db:/data/compose.yaml copied.yaml");
        project
            .lab
            .shell("cmp shop/compose.yaml shop/copied.yaml")
            .ok();
        project.ok("stop -t 1");
        assert_eq!(project.running(), Vec::<String>::new());
        project.ok("start");
        eventually("all run again", || project.running().len() >= 3);
        assert!(project.ok("exec -T db ls /data").contains("compose.yaml"));
    }

    fn nothing_is_left(lab: &Lab) {
        assert_eq!(lab.docker("ps -aq").ok(), "");
        assert_eq!(lab.docker("volume ls -q").ok(), "");
        let networks = lab.docker("network ls --format {{.Name}}").ok();
        let mut networks: Vec<&str> = networks.lines().collect();
        networks.sort_unstable();
        assert_eq!(networks, ["bridge", "host", "none"]);
    }

    #[test]
    fn compose_of_trixie() {
        both(|lab| compose_v2(lab, "compose-2.26"));
    }

    #[test]
    fn compose_of_sid() {
        both(|lab| compose_v2(lab, "compose-2.40"));
    }

    /// Enters the Debian 12 of the old clients; the laboratory's folder keeps its path.
    fn old(lab: &Lab, line: &str) -> String {
        let debian = installed("bookworm");
        let at = lab.path("").display().to_string();
        let at = at.trim_end_matches('/').to_owned();
        format!(
            "unshare --mount --propagation slave sh -c 'mount --bind {debian} {debian}; mount --rbind /proc {debian}/proc; mount --rbind /dev {debian}/dev; \
             mount -t tmpfs none {debian}/tmp; mkdir -p {debian}{at}; mount --rbind {at} {debian}{at}; \
             chroot {debian} sh -c \"cd {at}; {line}\"'"
        )
    }

    #[test]
    fn compose_of_bookworm_in_python() {
        both(|lab| {
            let folder = story("compose");
            lab.shell(&format!("mkdir -p shop && cp {folder}/* shop/"))
                .ok();
            let begin = |line: &str| {
                let line = format!("cd shop && docker-compose -p shop -f v1.yaml {line}");
                lab.shell(&old(lab, &line))
            };
            let run = |line: &str| begin(line).ok();
            run("up -d");
            eventually("the page is served", || {
                let page = lab.docker("exec shop_worker_1 wget -qO- http://web/");
                page.stdout.contains("<h1>hello</h1>")
            });
            run("up -d --scale worker=2");
            let ids = run("ps -q worker");
            assert_eq!(ids.lines().count(), 2, "{ids}");
            eventually("the workers speak", || {
                run("logs --tail=5 worker").contains("tick")
            });
            run("restart -t 1 worker");
            assert!(run("ps").contains("18080"));
            run("down -v -t 1");
            nothing_is_left(lab);
        });
    }

    #[test]
    fn docker_py_of_bookworm() {
        let sdk = story("sdk.py");
        both(|lab| {
            lab.shell(&format!("cp {sdk} sdk.py")).ok();
            let said = lab.shell(&old(lab, "python3 sdk.py")).ok();
            assert!(said.ends_with("fine"), "{said}");
        });
    }

    #[test]
    fn docker_py_of_pypi() {
        let (python, sdk) = (installed("python/bin/python"), story("sdk.py"));
        both(|lab| {
            let said = lab.shell(&format!("{python} {sdk}")).ok();
            assert!(said.ends_with("fine"), "{said}");
        });
    }

    /// Runs a program beside the engine, where the ports that it publishes are.
    fn on_host(lab: &Lab, program: &str) -> String {
        let enter = lab.host.enter();
        lab.shell(&format!("{enter} {program}")).ok()
    }

    #[test]
    fn testcontainers_for_python() {
        let (python, story) = (installed("python/bin/python"), story("containers.py"));
        both(|lab| {
            let said = on_host(lab, &format!("{python} {story}"));
            assert!(said.ends_with("fine"), "{said}");
        });
    }

    #[test]
    fn testcontainers_for_node() {
        let (modules, story) = (installed("node/node_modules"), story("testcontainers.js"));
        both(|lab| {
            let said = on_host(lab, &format!("env NODE_PATH={modules} node {story}"));
            assert!(said.ends_with("fine"), "{said}");
            assert_eq!(lab.docker("ps -aq").ok(), "", "its containers are gone");
        });
    }

    #[test]
    fn testcontainers_for_rust() {
        let program = installed("rust/testcontainers");
        both(|lab| {
            let said = on_host(lab, &program);
            assert!(said.ends_with("fine"), "{said}");
            assert_eq!(lab.docker("ps -aq").ok(), "", "its containers are gone");
            assert!(!lab.docker("network ls").ok().contains("suite"));
        });
    }

    #[test]
    fn bollard() {
        let program = installed("rust/bollard");
        both(|lab| {
            let said = lab.shell(&program).ok();
            assert!(said.ends_with("fine"), "{said}");
        });
    }

    /// Events and figures of many, and the cgroups behind them, read as monitors do.
    #[test]
    fn a_monitor_of_events_figures_and_cgroups() {
        let (python, story) = (installed("python/bin/python"), story("monitor.py"));
        both(|lab| {
            let said = lab.shell(&format!("{python} {story}")).ok();
            assert!(said.ends_with("fine"), "{said}");
        });
    }

    #[test]
    fn dockerode() {
        let (modules, sdk) = (installed("node/node_modules"), story("sdk.js"));
        both(|lab| {
            let said = lab.shell(&format!("NODE_PATH={modules} node {sdk}")).ok();
            assert!(said.ends_with("fine"), "{said}");
        });
    }
}
