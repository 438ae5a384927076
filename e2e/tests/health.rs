//! Health checks: their states, what inspect keeps of them, the events they make, and that they end with the container.

#[cfg(test)]
mod tests {
    use hakone_e2e::{IMAGE, Lab, eventually};
    use serde_json::Value;

    const FAST: &str = "--health-interval 100ms --health-retries 2 --health-timeout 60s";

    fn status(lab: &Lab) -> String {
        lab.docker("inspect -f '{{.State.Health.Status}}' box").ok()
    }

    fn events(lab: &Lab) -> Vec<String> {
        let seen = lab.docker(
            "events --since 1 --until $(date +%s.%N) --filter container=box --filter event=health_status --format '{{.Action}}'",
        );
        seen.ok().lines().map(str::to_owned).collect()
    }

    #[test]
    fn health_follows_its_check_and_each_change_is_an_event() {
        let lab = Lab::new();
        lab.docker(&format!(
            "run -d --name box --health-cmd 'test -e /ok || {{ echo missing; exit 1; }}' {FAST} {IMAGE} sleep 1000"
        ))
        .ok();
        eventually("it is unhealthy", || status(&lab) == "unhealthy");
        let health = lab.docker("inspect -f '{{json .State.Health}}' box").ok();
        let health: Value = serde_json::from_str(&health).unwrap();
        assert!(health["FailingStreak"].as_u64().unwrap() >= 2);
        let log = health["Log"].as_array().unwrap();
        assert!((1..=5).contains(&log.len()), "{log:?}");
        assert!(
            log.iter()
                .all(|one| one["Output"] == "missing\n" && one["ExitCode"] == 1)
        );
        lab.docker("exec box touch /ok").ok();
        eventually("it is healthy", || status(&lab) == "healthy");
        let streak = lab.docker("inspect -f '{{.State.Health.FailingStreak}}' box");
        assert_eq!(streak.ok(), "0");
        lab.docker("exec box rm /ok").ok();
        eventually("it is unhealthy again", || status(&lab) == "unhealthy");
        let expected = ["unhealthy", "healthy", "unhealthy"];
        let expected = expected.map(|state| format!("health_status: {state}"));
        eventually("each change is told", || events(&lab) == expected);
        let listed = lab.docker("ps --filter health=unhealthy --format '{{.Names}} {{.Status}}'");
        let listed = listed.ok();
        assert!(
            listed.starts_with("box Up ") && listed.ends_with("(unhealthy)"),
            "{listed}"
        );
    }

    #[test]
    fn failures_do_not_count_while_the_container_starts() {
        let lab = Lab::new();
        lab.docker(&format!(
            "run -d --name box --health-cmd 'echo x >> /tries; test -e /ok' {FAST} --health-start-period 1h --health-start-interval 100ms {IMAGE} sleep 1000"
        ))
        .ok();
        eventually("it was tried more often than it may fail", || {
            let tries = lab.docker("exec box sh -c 'wc -l < /tries'").stdout;
            tries.trim().parse::<u32>().is_ok_and(|tries| tries > 4)
        });
        assert_eq!(status(&lab), "starting");
        lab.docker("exec box touch /ok").ok();
        eventually("the first success ends it", || status(&lab) == "healthy");
        lab.docker("exec box rm /ok").ok();
        eventually("failures count now", || status(&lab) == "unhealthy");
    }

    #[test]
    fn a_check_that_hangs_is_killed_and_counts_as_failed() {
        let lab = Lab::new();
        lab.docker(&format!(
            "run -d --name box --health-cmd 'sleep 4321' --health-interval 100ms --health-timeout 300ms --health-retries 1 {IMAGE} sleep 1000"
        ))
        .ok();
        eventually("it is unhealthy", || status(&lab) == "unhealthy");
        let told = lab.docker("inspect -f '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' box");
        assert!(
            told.stdout.starts_with("-1 Health check exceeded timeout"),
            "{told:?}"
        );
        eventually("it failed often", || {
            let streak = lab.docker("inspect -f '{{.State.Health.FailingStreak}}' box");
            streak.ok().parse::<u32>().is_ok_and(|streak| streak > 4)
        });
        // Each check is a shell and its sleep; no more than one check is under way.
        eventually("what hung is gone", || {
            let left = lab.docker("exec box sh -c \"ps | grep -c '[s]leep 4321'\"");
            left.stdout
                .trim()
                .parse::<u32>()
                .is_ok_and(|left| left <= 2)
        });
        lab.docker("stop -t 0 box").ok();
        assert_eq!(
            status(&lab),
            "unhealthy",
            "a stopped container keeps its last health"
        );
    }

    #[test]
    fn checks_go_on_after_the_daemon_was_killed() {
        let mut lab = Lab::new();
        lab.docker(&format!(
            "run -d --name box --health-cmd 'test -e /ok' {FAST} {IMAGE} sleep 1000"
        ))
        .ok();
        eventually("it is unhealthy", || status(&lab) == "unhealthy");
        lab.crash();
        lab.docker("exec box touch /ok").ok();
        eventually("it is healthy", || status(&lab) == "healthy");
    }

    #[test]
    fn the_images_check_can_be_taken_off() {
        let lab = Lab::new();
        let none = lab.docker(&format!(
            "run -d --name box --no-healthcheck {IMAGE} sleep 1000"
        ));
        none.ok();
        let shown = lab.docker("inspect -f '{{json .State.Health}}' box");
        assert_eq!(shown.ok(), "null");
    }
}
