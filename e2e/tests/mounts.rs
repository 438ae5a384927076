//! Mounts on the real kernel: how later mounts travel, what comes along, how far down read-only goes, parts of volumes.

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use hakone_e2e::{IMAGE, Lab, sh};

    /// A tmpfs of the host with the propagation that a test is about; gone with all below it when dropped.
    struct HostMount(PathBuf);

    impl HostMount {
        fn new(lab: &Lab, propagation: &str) -> Self {
            let path = lab.path("source");
            fs::create_dir(&path).unwrap();
            let at = path.display();
            sh(&format!(
                "mount -t tmpfs source {at} && mount --make-{propagation} {at} && mkdir {at}/early {at}/late {at}/inner && \
                 mount -t tmpfs early {at}/early && touch {at}/early/file"
            ))
            .ok();
            Self(path)
        }

        fn mount(&self, name: &str) {
            let at = self.0.join(name).display().to_string();
            sh(&format!("mount -t tmpfs {name} {at} && touch {at}/file")).ok();
        }

        fn has(&self, path: &str) -> bool {
            self.0.join(path).exists()
        }
    }

    impl Drop for HostMount {
        fn drop(&mut self) {
            sh(&format!("umount --recursive --lazy {}", self.0.display()));
        }
    }

    /// Runs a container that may mount, with the source at `/m` in this propagation.
    fn start(lab: &Lab, source: &HostMount, mode: &str) {
        let at = source.0.display();
        lab.docker(&format!(
            "run -d --name box --cap-add sys_admin --security-opt seccomp=unconfined -v {at}:/m:{mode} {IMAGE} sleep 1000"
        ))
        .ok();
    }

    fn inside(lab: &Lab, line: &str) -> bool {
        lab.docker(&format!("exec box sh -c '{line}'")).code == 0
    }

    #[test]
    fn a_shared_bind_carries_mounts_both_ways() {
        let lab = Lab::new();
        let source = HostMount::new(&lab, "rshared");
        start(&lab, &source, "rshared");
        source.mount("late");
        assert!(inside(&lab, "test -e /m/late/file"));
        assert!(inside(
            &lab,
            "mount -t tmpfs inner /m/inner && touch /m/inner/file"
        ));
        assert!(source.has("inner/file"));
        let shown = lab.docker("inspect -f '{{(index .Mounts 0).Propagation}}' box");
        assert_eq!(shown.ok(), "rshared");
        lab.docker("rm -f box").ok();
        assert!(source.has("inner/file"), "it is the host's own mount now");
    }

    #[test]
    fn a_slave_bind_carries_mounts_inwards_alone() {
        let lab = Lab::new();
        let source = HostMount::new(&lab, "rshared");
        start(&lab, &source, "rslave");
        source.mount("late");
        assert!(inside(&lab, "test -e /m/late/file"));
        assert!(inside(
            &lab,
            "mount -t tmpfs inner /m/inner && touch /m/inner/file"
        ));
        assert!(!source.has("inner/file"));
    }

    #[test]
    fn a_private_bind_carries_nothing() {
        let lab = Lab::new();
        let source = HostMount::new(&lab, "rshared");
        start(&lab, &source, "private");
        source.mount("late");
        assert!(!inside(&lab, "test -e /m/late/file"));
        assert!(inside(
            &lab,
            "mount -t tmpfs inner /m/inner && touch /m/inner/file"
        ));
        assert!(!source.has("inner/file"));
    }

    #[test]
    fn a_bind_is_shared_only_from_what_is_shared() {
        let lab = Lab::new();
        let source = HostMount::new(&lab, "rprivate");
        let at = source.0.display();
        let run = |mode: &str| lab.docker(&format!("run --rm -v {at}:/m:{mode} {IMAGE} true"));
        let told = format!("path {at} is mounted on {at} but it is not a shared mount");
        assert!(
            run("rshared").stderr.contains(&told),
            "{:?}",
            run("rshared")
        );
        let told = format!("path {at} is mounted on {at} but it is not a shared or slave mount");
        assert!(run("rslave").stderr.contains(&told), "{:?}", run("rslave"));
        assert_eq!(run("rprivate").code, 0);
    }

    #[test]
    fn mounts_below_a_bind_come_along_unless_they_are_not_to() {
        let lab = Lab::new();
        let source = HostMount::new(&lab, "rprivate");
        let at = source.0.display();
        let list = |options: &str| {
            lab.docker(&format!(
                "run --rm --mount type=bind,src={at},dst=/m{options} {IMAGE} ls /m/early"
            ))
            .ok()
        };
        assert_eq!(list(""), "file");
        assert_eq!(list(",bind-recursive=disabled"), "");
    }

    #[test]
    fn read_only_goes_all_the_way_down_unless_asked_otherwise() {
        let lab = Lab::new();
        let source = HostMount::new(&lab, "rprivate");
        let at = source.0.display();
        let write = |mount: &str, place: &str| {
            lab.docker(&format!("run --rm {mount} {IMAGE} touch /m/{place}"))
                .code
                == 0
        };
        let bind = |options: &str| format!("--mount type=bind,src={at},dst=/m{options}");
        let plain = bind(",readonly");
        assert!(!write(&plain, "x") && !write(&plain, "early/x"));
        let short = format!("-v {at}:/m:ro");
        assert!(!write(&short, "x") && !write(&short, "early/x"));
        let forced = bind(",readonly,bind-recursive=readonly,bind-propagation=rprivate");
        assert!(!write(&forced, "x") && !write(&forced, "early/x"));
        let top = bind(",readonly,bind-recursive=writable");
        assert!(!write(&top, "x") && write(&top, "early/x"));
        assert!(write(&bind(""), "early/x"));
    }

    #[test]
    fn a_part_of_a_volume_is_mounted_alone() {
        let lab = Lab::new();
        lab.docker(&format!(
            "run --rm -v kept:/v {IMAGE} sh -c 'mkdir -p /v/a/b; echo deep > /v/a/b/file; echo top > /v/file'"
        ))
        .ok();
        let run = |part: &str, line: &str| {
            let mount = format!("--mount type=volume,src=kept,dst=/m,volume-subpath={part}");
            lab.docker(&format!("run --rm {mount} {IMAGE} {line}"))
        };
        assert_eq!(run("a/b", "cat /m/file").ok(), "deep");
        run("a", "sh -c 'echo more > /m/more'").ok();
        let seen = lab.docker(&format!("run --rm -v kept:/v {IMAGE} cat /v/a/more"));
        assert_eq!(seen.ok(), "more");
        assert_ne!(run("nosuch", "true").code, 0);
        assert_ne!(run("../a", "true").code, 0);
    }

    #[test]
    fn a_link_in_a_volume_leads_no_part_of_it_outside() {
        let lab = Lab::new();
        let secret = lab.path("secret");
        let outside = secret.display();
        sh(&format!("mkdir {outside}; echo secret > {outside}/file")).ok();
        lab.docker(&format!(
            "run --rm -v evil:/v {IMAGE} sh -c 'ln -s {outside} /v/absolute; ln -s ../../../../../../../..{outside} /v/relative; \
             ln -s /proc/1/root{outside} /v/magic; mkdir /v/real; ln -s ../absolute /v/real/far'"
        ))
        .ok();
        for part in ["absolute", "relative", "magic", "real/far"] {
            let mount = format!("--mount type=volume,src=evil,dst=/m,volume-subpath={part}");
            let seen = lab.docker(&format!("run --rm {mount} {IMAGE} cat /m/file"));
            assert_ne!(seen.code, 0, "{part}: {seen:?}");
            assert!(!seen.stdout.contains("secret"), "{part}: {seen:?}");
        }
    }
}
