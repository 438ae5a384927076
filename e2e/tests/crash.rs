//! What must never be lost: the daemon dies, supervisors die; what runs goes on, what is dead is told and cleaned up.

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use hakone_e2e::{IMAGE, Lab, eventually, sh, strays};
    use rustix::process::Signal;

    fn running(lab: &Lab, name: &str) -> bool {
        lab.docker(&format!("inspect -f '{{{{.State.Running}}}}' {name}"))
            .stdout
            .trim()
            == "true"
    }

    #[test]
    fn containers_survive_the_daemons_death_and_are_known_afterwards() {
        let mut lab = Lab::new();
        lab.docker("network create red").ok();
        lab.docker(&format!(
            "run -d --name web --network red -p 8080:80 {IMAGE} httpd -f -p 80 -h /etc"
        ))
        .ok();
        lab.docker(&format!(
            "run -d --name peer --network red {IMAGE} sleep 1000"
        ))
        .ok();
        let get = "curl -s --retry 9 --retry-all-errors --max-time 60 http://10.99.0.1:8080/passwd | grep -q root";
        eventually("it is served", || lab.outside.sh(get).code == 0);
        let pid = lab.docker("inspect -f '{{.State.Pid}}' web").ok();
        lab.stop(Signal::KILL);
        assert_eq!(lab.outside.sh(get).code, 0, "served without a daemon");
        lab.start();
        assert_eq!(lab.docker("inspect -f '{{.State.Pid}}' web").ok(), pid);
        assert_eq!(lab.outside.sh(get).code, 0, "served after the restart");
        assert_eq!(
            lab.host
                .sh("curl -s --retry 9 --retry-all-errors --max-time 60 http://127.0.0.1:8080/passwd")
                .code,
            0,
            "loopback"
        );
        assert_eq!(lab.docker("exec peer nslookup web").code, 0, "names");
        assert_eq!(lab.docker("exec web true").code, 0);
        lab.docker("stop -t 1 web").ok();
        assert!(!running(&lab, "web"));
    }

    #[test]
    fn an_exit_without_a_daemon_is_reported_by_the_next_one() {
        let mut lab = Lab::new();
        lab.docker(&format!("run -d --name brief {IMAGE} sh -c 'echo said; while [ ! -e /go ]; do sleep 0.05; done; exit 9'")).ok();
        let pid = lab.docker("inspect -f '{{.State.Pid}}' brief").ok();
        lab.stop(Signal::KILL);
        sh(&format!("touch /proc/{pid}/root/go")).ok();
        eventually("it ended", || {
            !std::path::Path::new(&format!("/proc/{pid}")).exists()
        });
        lab.start();
        eventually("the exit is known", || {
            lab.docker("inspect -f '{{.State.Status}} {{.State.ExitCode}}' brief")
                .stdout
                .trim()
                == "exited 9"
        });
        assert_eq!(lab.docker("logs brief").ok(), "said");
    }

    fn remove(lab: &Lab, name: &str) {
        let remove = format!("rm -f {name}");
        eventually("it is removed", || lab.docker(&remove).code == 0);
    }

    #[test]
    fn killing_the_daemon_while_it_works_leaves_nothing_half_made() {
        let mut lab = Lab::new();
        lab.docker(&format!("run -d --name steady {IMAGE} sleep 1000"))
            .ok();
        for round in 0..12_u64 {
            let worker = {
                let line = format!(
                    "docker network create net{round}; docker run -d --name work{round} --network net{round} -p 80{:02}:80 {IMAGE} sleep 1000; docker rm -f work{round}; docker network rm net{round}",
                    round + 10
                );
                let socket = lab.path("engine.sock").display().to_string();
                thread::spawn(move || sh(&format!("export DOCKER_HOST=unix://{socket}; {line}")))
            };
            thread::sleep(Duration::from_millis(40 + round * 23));
            lab.crash();
            worker.join().unwrap();
            assert!(running(&lab, "steady"), "round {round}");
            // Whatever of the round exists is whole: it can be inspected, started and removed.
            for name in lab
                .docker("ps -a --format '{{.Names}}'")
                .ok()
                .lines()
                .filter(|name| *name != "steady")
            {
                // What was being removed may be gone by now.
                let shown = lab.docker(&format!("inspect {name}"));
                let gone = shown.stderr.contains("No such");
                assert!(shown.code == 0 || gone, "{shown:?}");
                remove(&lab, name);
            }
            for network in lab
                .docker("network ls -q --filter type=custom")
                .ok()
                .lines()
            {
                lab.docker(&format!("network rm {network}")).ok();
            }
        }
        let bridges = lab.host.sh("ip -o link show type bridge").stdout;
        assert_eq!(bridges.lines().count(), 1, "{bridges}");
        let ports = lab
            .host
            .sh("ip -o link show type veth | grep -v cable0")
            .stdout;
        assert_eq!(ports.lines().count(), 1, "{ports}");
    }

    #[test]
    fn a_dead_supervisor_is_a_dead_container_with_a_reason() {
        let lab = Lab::new();
        lab.docker(&format!(
            "run -d --name doomed -p 8080:80 {IMAGE} sleep 1000"
        ))
        .ok();
        let pid = lab.docker("inspect -f '{{.State.Pid}}' doomed").ok();
        let parent = sh(&format!("awk '/PPid/ {{print $2}}' /proc/{pid}/status")).ok();
        sh(&format!("kill -9 {parent}")).ok();
        eventually("it is reported", || !running(&lab, "doomed"));
        eventually("its init is gone", || {
            !std::path::Path::new(&format!("/proc/{pid}")).exists()
        });
        let error = lab
            .docker("inspect -f '{{.State.ExitCode}} {{.State.Error}}' doomed")
            .ok();
        assert!(error.starts_with("137 ") && error.len() > 4, "{error:?}");
        lab.docker("start doomed").ok();
        assert!(running(&lab, "doomed"), "it can be started again");
    }

    #[test]
    fn a_dead_supervisor_of_runc_takes_its_container_along() {
        let lab = Lab::new();
        let run = "--runtime runc -p 8080:80 --memory 64m";
        lab.docker(&format!("run -d --name doomed {run} {IMAGE} sleep 1000"))
            .ok();
        let pid = lab.docker("inspect -f '{{.State.Pid}}' doomed").ok();
        let parent = sh(&format!("awk '/PPid/ {{print $2}}' /proc/{pid}/status")).ok();
        sh(&format!("kill -9 {parent}")).ok();
        eventually("it is reported", || !running(&lab, "doomed"));
        let error = lab
            .docker("inspect -f '{{.State.ExitCode}} {{.State.Error}}' doomed")
            .ok();
        assert!(error.starts_with("137 ") && error.len() > 4, "{error:?}");
        eventually("nothing is left of it", || strays(&lab).is_empty());
        lab.docker("start doomed").ok();
        assert!(
            running(&lab, "doomed"),
            "it can be started again, on the same port"
        );
    }

    #[test]
    fn a_supervisor_that_dies_without_a_daemon_is_reported_by_the_next_one() {
        let mut lab = Lab::new();
        for (name, more) in [
            ("plain", ""),
            ("brief", "--rm"),
            ("again", "--restart always"),
        ] {
            lab.docker(&format!("run -d --name {name} {more} {IMAGE} sleep 1000"))
                .ok();
        }
        lab.stop(Signal::KILL);
        let folder = lab.path("data/containers").display().to_string();
        sh(&format!("pgrep -f 'supervis[e].*{folder}' | xargs kill -9")).ok();
        lab.start();
        eventually("the plain one is dead", || {
            lab.docker("inspect -f '{{.State.Status}} {{.State.ExitCode}}' plain")
                .stdout
                .trim()
                == "exited 137"
        });
        eventually("the brief one is gone", || {
            lab.docker("inspect brief").code == 1
        });
        eventually("the third runs again", || running(&lab, "again"));
        eventually("nothing half-made is left", || strays(&lab).is_empty());
    }

    #[test]
    fn an_unreadable_record_costs_its_container_only() {
        let mut lab = Lab::new();
        for name in ["good", "bad"] {
            lab.docker(&format!("create --name {name} {IMAGE} true"))
                .ok();
        }
        let id = lab.docker("inspect -f '{{.Id}}' bad").ok();
        lab.stop(Signal::TERM);
        let record = lab.path("data/containers").join(id).join("container.json");
        sh(&format!("echo '{{\"sch' > {}", record.display())).ok();
        lab.start();
        assert_eq!(lab.docker("start -a good").code, 0);
        assert!(
            lab.log().contains("container.json"),
            "the log names the record"
        );
    }

    #[test]
    fn restart_policies_hold_across_daemons() {
        let mut lab = Lab::new();
        lab.docker(&format!(
            "run -d --name always --restart always {IMAGE} sleep 1000"
        ))
        .ok();
        lab.docker(&format!(
            "run -d --name unless --restart unless-stopped {IMAGE} sleep 1000"
        ))
        .ok();
        lab.docker("stop -t 0 unless").ok();
        lab.docker("stop -t 0 always").ok();
        lab.crash();
        eventually("always is up again", || running(&lab, "always"));
        assert!(!running(&lab, "unless"));
    }
}
