//! A full disk: clear errors, the rest goes on, and all is well when there is room again.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hakone_e2e::{IMAGE, Lab, Output, eventually, sh, strays};
    use rustix::process::Signal;

    /// A small file system over the daemon's data, which takes the data along.
    struct Small(String);

    impl Small {
        fn mount(folder: &Path) -> Self {
            let folder = folder.display().to_string();
            sh(&format!(
                "cp -a {folder} {folder}.big && mount -t tmpfs -o size=64m small {folder} && cp -a {folder}.big/. {folder}/ && rm -r {folder}.big"
            ))
            .ok();
            Self(folder)
        }

        fn fill(&self) {
            let at = &self.0;
            sh(&format!(
                "dd if=/dev/zero of={at}/ballast bs=64k; dd if=/dev/zero of={at}/ballast2 bs=1; true"
            ));
        }

        fn free(&self) {
            sh(&format!("rm {0}/ballast {0}/ballast2", self.0)).ok();
        }
    }

    impl Drop for Small {
        fn drop(&mut self) {
            sh(&format!("umount -l {}", self.0));
        }
    }

    #[track_caller]
    fn is_full(output: &Output) {
        let message = output.stderr.to_lowercase();
        assert!(
            output.code != 0 && message.contains("no space left on device"),
            "{output:?}"
        );
        assert!(message.lines().count() <= 3, "{message}");
    }

    fn all_goes_on(lab: &Lab) {
        assert_eq!(lab.docker("start -a later").code, 0);
        lab.docker("start ends").ok();
        lab.docker("import busybox.tar made:1").ok();
        lab.docker("load -i busybox-image.tar").ok();
        lab.docker("network create red").ok();
        lab.docker("volume create kept").ok();
        let count = || lab.docker("logs talker").stdout.lines().count();
        let before = count();
        eventually("the log goes on", || count() > before);
        eventually("nothing half-made is left", || strays(lab).is_empty());
    }

    #[test]
    fn a_full_disk_is_a_clear_error_and_the_rest_goes_on() {
        let mut lab = Lab::new();
        lab.docker(&format!("save -o busybox-image.tar {IMAGE}"))
            .ok();
        lab.stop(Signal::TERM);
        let small = Small::mount(&lab.path("data"));
        lab.start();
        let talk = "while true; do echo words and more words; sleep 0.01; done";
        lab.docker(&format!("run -d --name talker {IMAGE} sh -c '{talk}'"))
            .ok();
        lab.docker(&format!("run -d --name ends -p 8080:80 {IMAGE} sleep 1000"))
            .ok();
        lab.docker(&format!("create --name later {IMAGE} true"))
            .ok();
        small.fill();
        is_full(&lab.docker(&format!("create --name new {IMAGE} true")));
        is_full(&lab.docker("start later"));
        is_full(&lab.docker("import busybox.tar made:1"));
        is_full(&lab.docker("network create red"));
        is_full(&lab.docker("volume create kept"));
        assert_eq!(
            lab.docker("exec talker true").code,
            0,
            "running containers can be used"
        );
        lab.docker("stop -t 0 ends").ok();
        assert_eq!(
            lab.docker("inspect -f '{{.State.Status}}' ends").ok(),
            "exited"
        );
        assert_eq!(
            lab.docker("inspect -f '{{.State.Running}}' talker").ok(),
            "true"
        );
        assert_eq!(
            lab.docker("ps -a --format '{{.Names}}'")
                .ok()
                .lines()
                .count(),
            3
        );
        lab.crash();
        assert_eq!(
            lab.docker("inspect -f '{{.State.Running}}' talker").ok(),
            "true"
        );
        assert_eq!(
            lab.docker("inspect -f '{{.State.Running}}' ends").ok(),
            "false"
        );
        small.free();
        all_goes_on(&lab);
        lab.docker("rm -f talker ends later").ok();
        lab.stop(Signal::TERM);
        drop(small);
    }

    #[test]
    fn unreadable_records_cost_only_what_they_are_of() {
        let mut lab = Lab::new();
        lab.docker("network create good; docker network create bad; docker volume create good; docker volume create bad").ok();
        lab.docker(&format!("tag {IMAGE} other:1")).ok();
        lab.docker(&format!(
            "run -d --name steady --network good -v good:/v {IMAGE} sleep 1000"
        ))
        .ok();
        lab.docker(&format!("run -d --name lost {IMAGE} sleep 1000"))
            .ok();
        let network = lab.docker("network inspect -f '{{.Id}}' bad").ok();
        let container = lab.docker("inspect -f '{{.Id}}' lost").ok();
        let hello = lab.docker("inspect -f '{{.Id}}' hakone/hello").ok();
        let hello = hello.trim_start_matches("sha256:");
        lab.stop(Signal::KILL);
        let data = lab.path("data");
        for record in [
            format!("networks/{network}.json"),
            "volumes/bad/volume.json".to_owned(),
            format!("images/{hello}.json"),
            format!("containers/{container}/container.json"),
        ] {
            sh(&format!(
                "test -f {0}/{record} && echo '{{' > {0}/{record}",
                data.display()
            ))
            .ok();
        }
        lab.start();
        assert_eq!(lab.docker("exec steady true").code, 0);
        assert_eq!(
            lab.docker("network ls -q --filter type=custom")
                .ok()
                .lines()
                .count(),
            1
        );
        assert_eq!(lab.docker("volume ls -q").ok(), "good");
        assert_eq!(lab.docker("ps -a --format '{{.Names}}'").ok(), "steady");
        assert_eq!(
            lab.docker(&format!("run --rm --network good {IMAGE} true"))
                .code,
            0
        );
        let log = lab.log();
        for named in [&network, "volume.json", hello, &container] {
            assert!(log.contains(named), "{named} is not in the log");
        }
        lab.docker("network create bad").ok();
        lab.docker(&format!("run -d --name lost {IMAGE} sleep 1000"))
            .ok();
    }

    #[test]
    fn a_second_daemon_on_the_same_data_is_refused() {
        let lab = Lab::new();
        let at = lab.path("");
        let at = at.display();
        let second = lab.hakone(&format!(
            "daemon --host unix://{at}/second.sock --data-root {at}/data --exec-root {at}/run2 --group ''"
        ));
        assert_ne!(second.code, 0);
        assert!(
            second.stderr.contains("another daemon uses"),
            "{}",
            second.stderr
        );
        assert_eq!(lab.docker("ps").code, 0);
    }
}
