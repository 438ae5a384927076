//! `--runtime runc`: Debian's runc under our supervisor keeps the promises of our own runtime.

#[cfg(test)]
mod tests {
    use std::fs;

    use hakone_e2e::{IMAGE, Lab, eventually, sh};

    /// The two runtimes; what is promised of one is promised of the other.
    const RUNTIMES: [&str; 2] = ["hakone", "runc"];

    /// Reads a limit where the kernel has it, whichever hierarchy that is.
    fn limit(lab: &Lab, controller: &str, legacy: &str, unified: &str) -> String {
        let id = lab.docker("inspect -f '{{.Id}}' box").ok();
        let parent = lab.cgroup();
        let paths = [
            format!("/sys/fs/cgroup/{controller}/{parent}/{id}/{legacy}"),
            format!("/sys/fs/cgroup/{parent}/{id}/{unified}"),
        ];
        let found = paths.iter().find_map(|path| fs::read_to_string(path).ok());
        found
            .unwrap_or_else(|| panic!("none of {paths:?}"))
            .trim()
            .to_owned()
    }

    #[test]
    fn limits_are_set_where_the_kernel_keeps_them() {
        for runtime in RUNTIMES {
            let lab = Lab::new();
            lab.docker(&format!(
                "run -d --name box --runtime {runtime} --memory 64m --cpus 0.5 --pids-limit 33 --cpuset-cpus 0 --cpu-shares 512 {IMAGE} sleep 1000"
            ))
            .ok();
            let memory = limit(&lab, "memory", "memory.limit_in_bytes", "memory.max");
            assert_eq!(memory, "67108864", "{runtime}");
            let pids = limit(&lab, "pids", "pids.max", "pids.max");
            assert_eq!(pids, "33", "{runtime}");
            let cpu = limit(&lab, "cpu", "cpu.cfs_quota_us", "cpu.max");
            assert!(cpu == "50000" || cpu == "50000 100000", "{runtime}: {cpu}");
            let cpus = limit(&lab, "cpuset", "cpuset.cpus", "cpuset.cpus");
            assert_eq!(cpus, "0", "{runtime}");
            // And they hold: the thirty-fourth process is refused.
            let forks = lab.docker(
                "exec box sh -c 'i=0; while [ $i -lt 50 ]; do sleep 100 & i=$((i+1)); done' 2>&1",
            );
            assert!(
                forks.stdout.contains("fork") && !forks.stdout.is_empty(),
                "{runtime}: {forks:?}"
            );
        }
    }

    #[test]
    fn a_container_out_of_memory_says_so() {
        for runtime in RUNTIMES {
            let lab = Lab::new();
            lab.docker(&format!(
                "run -d --name box --runtime {runtime} --memory 16m --memory-swap 16m {IMAGE} sh -c 'tail /dev/zero'"
            ))
            .ok();
            lab.docker("wait box").ok();
            eventually("the kill is told", || {
                let state = "inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' box";
                lab.docker(state).stdout.trim() == "true 137"
            });
            let events = lab.docker(
                "events --since 1 --until $(date +%s.%N) --filter container=box --filter event=oom --format '{{.Action}}'",
            );
            assert_eq!(events.ok(), "oom", "{runtime}");
        }
    }

    #[test]
    fn rights_filter_and_namespaces_are_those_of_our_own() {
        let lab = Lab::new();
        let line = "grep -E \"^(Cap|NoNewPrivs|Seccomp:|Groups)\" /proc/self/status; id; ls -l /dev | wc -l; \
                    awk \"{print \\$5}\" /proc/self/mountinfo | grep -v cgroup | grep -v interrupts | sort";
        let run = |runtime: &str, options: &str| {
            let line = format!("run --rm --runtime {runtime} {options} {IMAGE} sh -c '{line}'");
            lab.docker(&line).ok()
        };
        for options in [
            "",
            "--cap-add net_admin --cap-drop chown",
            "--security-opt no-new-privileges -u 1000:1000",
            "--read-only --tmpfs /t",
        ] {
            assert_eq!(run("runc", options), run("hakone", options), "{options}");
        }
    }

    #[test]
    fn exec_signals_and_leavings() {
        let lab = Lab::new();
        lab.docker(&format!(
            "run -d --name box --runtime runc {IMAGE} sh -c 'trap \"exit 9\" TERM; while :; do sleep 0.1; done'"
        ))
        .ok();
        assert_eq!(
            lab.docker("exec -e A=b -w /tmp box sh -c 'echo $A $PWD'")
                .ok(),
            "b /tmp"
        );
        assert_eq!(lab.docker("exec box sh -c 'exit 4'").code, 4);
        lab.docker("pause box").ok();
        lab.docker("unpause box").ok();
        lab.docker("stop box").ok();
        let code = lab.docker("inspect -f '{{.State.ExitCode}}' box").ok();
        assert_eq!(code, "9");
        lab.docker("rm box").ok();
        let state = lab.path("run");
        let left = sh(&format!("find {} -name state.json", state.display()));
        assert_eq!(left.ok(), "", "runc keeps no notes of what is gone");
    }
}
