//! What Compose of two ages does beside a project's plain life: `watch` with its three actions, secrets and configs of every source,
//! conditions of dependence, what `down` leaves.
//!
//! `cargo xtask e2e --peers` installs them (`scripts/clients`). Each story is told to a real dockerd as well: what fails there is
//! the story's fault. `clients.rs` tells the plain life.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hakone_e2e::{Engine, Lab, Output, eventually};

    const AGES: [&str; 2] = ["compose-2.26", "compose-2.40"];

    /// A laboratory with the project in `shop`, and the Compose that works on it.
    struct Project {
        lab: Lab,
        compose: String,
    }

    impl Project {
        fn new(engine: Engine, age: &str) -> Self {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let program =
                format!("target/clients/{age}/usr/libexec/docker/cli-plugins/docker-compose");
            let compose = root.join(program);
            assert!(compose.exists(), "{age} is missing: scripts/clients");
            let lab = Lab::with(engine, "");
            let folder = root.join("e2e/clients/compose");
            lab.shell(&format!("cp -r {} shop", folder.display())).ok();
            let project = Self {
                lab,
                compose: compose.display().to_string(),
            };
            project.write(
                "app/Dockerfile",
                "FROM busybox:lab\nCOPY page /page\nCMD while :; do echo tick; sleep 0.2; done\n",
            );
            project.write("app/page", "first");
            project.write("static/file", "first");
            project.write("conf/file", "first");
            project
        }

        fn write(&self, name: &str, text: &str) {
            let line =
                format!("mkdir -p $(dirname shop/{name}); printf '%b' '{text}' > shop/{name}");
            self.lab.shell(&line).ok();
        }

        fn run(&self, line: &str) -> Output {
            self.lab.shell(&self.line(line))
        }

        /// The classic builder of both engines is asked where Compose would want buildx of a certain age.
        fn line(&self, line: &str) -> String {
            let environment = "XDG_RUNTIME_DIR=$LAB TOKEN='open sesame' GIVEN=given DOCKER_BUILDKIT=0 COMPOSE_BAKE=false";
            format!(
                "cd shop && {environment} {} -p shop -f watched.yaml {line}",
                self.compose
            )
        }

        fn ok(&self, line: &str) -> String {
            self.run(line).ok()
        }

        fn inside(&self, line: &str) -> String {
            self.run(&format!("exec -T app {line}"))
                .stdout
                .trim_end()
                .to_owned()
        }

        fn started(&self) -> String {
            let line = "inspect -f '{{.Id}} {{.State.StartedAt}}' shop-app-1";
            self.lab.docker(line).stdout
        }
    }

    /// A Compose that watches in the background, until it is dropped.
    struct Watching<'a>(&'a Lab);

    impl Drop for Watching<'_> {
        fn drop(&mut self) {
            self.0.shell("kill -- -$(cat watch.pid)");
        }
    }

    fn everywhere(tell: impl Fn(&Project)) {
        for age in AGES {
            for engine in [Engine::Dockerd, Engine::Hakone] {
                tell(&Project::new(engine, age));
            }
        }
    }

    #[test]
    fn secrets_and_configs_come_from_files_the_environment_and_the_project() {
        everywhere(|project| {
            project.ok("up -d --build 2>&1");
            assert_eq!(project.inside("cat /run/secrets/token"), "open sesame");
            assert_eq!(project.inside("cat /run/renamed"), "open sesame");
            assert_eq!(project.inside("cat /etc/inline"), "mode=plain");
            assert_eq!(project.inside("stat -c %a /etc/inline"), "640");
            assert_eq!(project.inside("cat /etc/given"), "given");
            assert_eq!(project.inside("cat /state/done"), "prepared");
            let shown = project.lab.docker("inspect shop-app-1").ok();
            assert!(!shown.contains("open sesame"), "a secret is no setting");
            let image = project.lab.docker("history --no-trunc watched-app").ok();
            assert!(!image.contains("open sesame"), "nor of the image");
            project.ok("down -v -t 1 --rmi local");
        });
    }

    #[test]
    fn who_depends_on_what_fails_or_is_sick_does_not_start() {
        everywhere(|project| {
            project.ok("build 2>&1");
            let sick = project.run("--profile sick up -d --no-build 2>&1");
            assert_ne!(sick.code, 0, "{sick:?}");
            assert!(sick.stdout.contains("unhealthy"), "{sick:?}");
            let state = "ps -a --filter name=shop-late-1 --format '{{.State}}'";
            assert_eq!(project.lab.docker(state).ok(), "created");
            project.ok("--profile sick down -v -t 1");
            project
                .lab
                .shell("sed -i 's/echo prepared.*done/exit 4/' shop/watched.yaml")
                .ok();
            let failed = project.run("up -d --no-build 2>&1");
            assert_ne!(failed.code, 0, "{failed:?}");
            assert!(failed.stdout.contains("exit 4"), "{failed:?}");
            project.ok("down -v -t 1");
        });
    }

    #[test]
    fn watched_files_are_copied_restart_the_service_and_build_it_anew() {
        everywhere(|project| {
            project.ok("up -d --build 2>&1");
            let watch = project.line("watch --no-up");
            let begin = format!(
                "cat >watch.sh <<'END'\n{watch}\nEND\nsetsid sh watch.sh >watch.log 2>&1 & echo $! >watch.pid"
            );
            project.lab.shell(&begin).ok();
            let watching = Watching(&project.lab);
            let said = || project.lab.shell("cat watch.log").stdout;
            eventually("it watches", || said().to_lowercase().contains("watch"));
            assert!(!said().contains("lock"), "{}", said());
            let before = project.started();
            synchronized(project);
            assert_eq!(project.started(), before, "nothing was restarted");
            restarted(project, &before);
            rebuilt(project);
            drop(watching);
            project.ok("down -v -t 1 --rmi local");
        });
    }

    /// Writes until it is seen: Compose says that it watches before it does.
    fn seen(project: &Project, name: &str, text: &str, inside: &str) {
        eventually(&format!("{inside} is {text}"), || {
            project.write(name, text);
            std::thread::sleep(std::time::Duration::from_millis(900));
            project.inside(&format!("cat {inside}")) == text
        });
    }

    fn synchronized(project: &Project) {
        seen(project, "static/file", "second", "/static/file");
        seen(project, "static/deep/er", "below", "/static/deep/er");
        project.lab.shell("rm shop/static/file").ok();
        eventually("what is removed here is removed there", || {
            project.inside("ls /static") == "deep"
        });
    }

    fn restarted(project: &Project, before: &str) {
        seen(project, "conf/file", "second", "/conf/file");
        eventually("the service is restarted", || project.started() != before);
        let id = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        assert_eq!(
            id(&project.started()),
            id(before),
            "it is the same container"
        );
    }

    fn rebuilt(project: &Project) {
        let before = project.started();
        seen(project, "app/page", "second", "/page");
        let id = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        assert_ne!(
            id(&project.started()),
            id(&before),
            "it is another container"
        );
    }
}
