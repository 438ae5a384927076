//! Real groups on the real kernel. Needs root.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts a shell as the process to be limited"
)]

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command, Stdio},
        sync::atomic::{AtomicU32, Ordering},
        time::{Duration, Instant},
    };

    use hakone_cgroup::{Cgroup, Error};
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        process::Pid,
    };

    static COUNT: AtomicU32 = AtomicU32::new(0);

    struct Group(Cgroup);

    impl Group {
        fn new(resources: &str) -> Self {
            Self(create(resources).unwrap())
        }

        fn start(&self, line: &str) -> Child {
            // The shell waits for its input to end, so that it is in the group before it does anything.
            let script = format!("read x; {line}");
            let mut child = Command::new("/bin/sh")
                .args(["-c", &script])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            self.0.add(Pid::from_child(&child)).unwrap();
            drop(child.stdin.take());
            child
        }
    }

    impl Drop for Group {
        fn drop(&mut self) {
            self.0.kill_all().ok();
            self.0.remove().ok();
        }
    }

    fn create(resources: &str) -> Result<Cgroup, Error> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = format!("/hakone-test-cgroup-{}-{count}", std::process::id());
        Cgroup::create(&path, &serde_json::from_str(resources).unwrap())
    }

    #[test]
    fn limits_are_measured_as_they_were_set() {
        let group = Group::new(
            r#"{"memory": {"limit": 67108864, "swap": 134217728}, "pids": {"limit": 77},
                "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"}}"#,
        );
        let stats = group.0.stats().unwrap();
        assert_eq!((stats.memory.limit, stats.pids.limit), (67_108_864, 77));
        group
            .0
            .update(
                &serde_json::from_str(r#"{"memory": {"limit": 268435456, "swap": 268435456}}"#)
                    .unwrap(),
            )
            .unwrap();
        assert_eq!(group.0.stats().unwrap().memory.limit, 268_435_456);
    }

    #[test]
    fn a_refused_value_is_an_error_and_leaves_no_group() {
        let error = create(r#"{"cpu": {"cpus": "9999"}}"#).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
    }

    #[test]
    fn all_processes_freeze_thaw_and_die() {
        let group = Group::new("{}");
        let mut child = group.start("sleep 1000 & sleep 1000; true");
        group.0.freeze().unwrap();
        assert!(group.0.is_frozen().unwrap());
        group.0.thaw().unwrap();
        assert!(!group.0.is_frozen().unwrap());
        let reaper = std::thread::spawn(move || child.wait());
        group.0.kill_all().unwrap();
        assert!(group.0.pids().unwrap().is_empty());
        reaper.join().unwrap().unwrap();
        group.0.remove().unwrap();
        assert!(matches!(
            Cgroup::open(group.0.path()),
            Err(Error::Folder { .. })
        ));
    }

    #[test]
    fn a_kill_for_want_of_memory_is_told() {
        let group = Group::new(r#"{"memory": {"limit": 8388608, "swap": 8388608}}"#);
        let mut events = group.0.oom_events().unwrap();
        let mut child =
            group.start("x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo $x >/dev/null");
        let deadline = Instant::now() + Duration::from_secs(60);
        while events.take() == 0 {
            assert!(Instant::now() < deadline, "no kill was told");
            let second = Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            poll(&mut [PollFd::new(&events, PollFlags::IN)], Some(&second)).unwrap();
        }
        assert!(group.0.oom_kills() > 0);
        child.wait().unwrap();
    }
}
