//! Files of containers: what a hostile container or archive tries while root on the host copies, and that it fails.

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        time::{Duration, Instant},
    };

    use hakone_e2e::{Engine, IMAGE, Lab, Output, eventually};

    /// Puts a tar stream, made by a shell line, into a container's folder; gives status and body.
    fn put(lab: &Lab, tar: &str, container: &str, path: &str) -> (u16, String) {
        let line = format!(
            "({tar}) | curl -s -X PUT -T - -w '\\n%{{http_code}}' --unix-socket engine.sock 'http://e/containers/{container}/archive?path={path}'"
        );
        let output = lab.shell(&line).stdout;
        let (body, status) = output.rsplit_once('\n').unwrap_or(("", "0"));
        (status.parse().unwrap_or(0), body.to_owned())
    }

    /// A folder of the host that containers want to reach.
    fn outside(lab: &Lab) -> String {
        let path = lab.path("outside");
        lab.shell("mkdir outside && echo secret > outside/secret && echo new > file");
        path.display().to_string()
    }

    fn untouched(lab: &Lab) {
        let seen = lab.shell("ls -A outside; cat outside/secret; stat -c %h outside/secret");
        assert_eq!(seen.stdout, "secret\nsecret\n1\n");
    }

    #[test]
    fn links_to_the_host_are_followed_inside_the_container() {
        let lab = Lab::new();
        let at = outside(&lab);
        lab.docker(&format!("run -d --name box {IMAGE} sleep 1000"))
            .ok();
        let links = format!(
            "exec box sh -c 'ln -s {at} /out; ln -s / /root/all; ln -s ../../../../../..{at} /up; ln -s /proc/1/root{at} /magic; ln -s /proc/self/cwd /cwd'"
        );
        lab.docker(&links).ok();
        for link in ["/out", "/up", "/magic", "/root/all/out"] {
            let inward = lab.docker(&format!("cp file box:{link}/")).code;
            let outward = lab.docker(&format!("cp box:{link}/secret -"));
            assert_ne!((inward, outward.code), (0, 0), "{link}: {outward:?}");
            assert!(!outward.stdout.contains("secret\n"), "{link}: {outward:?}");
        }
        let followed = lab.docker("cp -L box:/out/secret -");
        assert!(!followed.stdout.contains("secret\n"), "{followed:?}");
        untouched(&lab);
        // The same names inside are reached.
        lab.docker(&format!("exec box sh -c 'mkdir -p {at}'")).ok();
        lab.docker("cp file box:/out/").ok();
        assert_eq!(lab.docker(&format!("exec box cat {at}/file")).ok(), "new");
        untouched(&lab);
    }

    #[test]
    fn while_a_folder_and_a_link_to_the_host_change_places_nothing_crosses() {
        let lab = Lab::new();
        let at = outside(&lab);
        lab.docker(&format!("run -d --name box {IMAGE} sleep 1000"))
            .ok();
        // mv -T replaces one by the other as fast as a shell can.
        let race = format!(
            "exec -d box sh -c 'mkdir /real; ln -s {at} /link; while :; do mv /real /swap; mv /link /real; mv /real /link; mv /swap /real; done'"
        );
        lab.docker(&race).ok();
        let begin = Instant::now();
        let mut rounds = 0;
        while begin.elapsed() < Duration::from_secs(5) || rounds < 10 {
            lab.docker("cp file box:/real/");
            let out = lab.docker("cp box:/real/secret -");
            assert!(!out.stdout.contains("secret\n"), "{out:?}");
            rounds += 1;
        }
        untouched(&lab);
    }

    #[test]
    fn hostile_members_stay_inside() {
        let lab = Lab::new();
        let at = outside(&lab);
        lab.docker(&format!("run -d --name box {IMAGE} sleep 1000"))
            .ok();
        let attacks = [
            "tar cP ../../../../../outside/secret 2>/dev/null || tar cP --transform 's,file,../../../../outside/evil,' file".to_owned(),
            format!("ln -sfn {at} l; tar c l; "),
            format!("ln -sfn {at} l; tar cf a.tar l; mkdir -p t/l; echo evil > t/l/evil; tar rf a.tar -C t l/evil; cat a.tar"),
            format!("python3 -c 'import tarfile,sys; t=tarfile.open(fileobj=sys.stdout.buffer,mode=\"w|\"); i=tarfile.TarInfo(\"h\"); i.type=tarfile.LNKTYPE; i.linkname=\"{at}/secret\"; t.addfile(i); t.close()'"),
            format!("python3 -c 'import tarfile,sys; t=tarfile.open(fileobj=sys.stdout.buffer,mode=\"w|\"); i=tarfile.TarInfo(\"h\"); i.type=tarfile.LNKTYPE; i.linkname=\"../../../../../..{at}/secret\"; t.addfile(i); t.close()'"),
        ];
        for attack in &attacks {
            put(&lab, attack, "box", "/tmp");
            untouched(&lab);
        }
        let (status, message) = put(
            &lab,
            "tar cP --transform 's,file,../../x,' file",
            "box",
            "/tmp",
        );
        assert_eq!(status, 500);
        assert!(message.contains("is outside of"), "{message}");
    }

    #[test]
    fn a_device_node_is_refused_and_a_privileged_container_gets_it() {
        let lab = Lab::new();
        let disk = "python3 -c 'import tarfile,sys; t=tarfile.open(fileobj=sys.stdout.buffer,mode=\"w|\"); i=tarfile.TarInfo(\"disk\"); i.type=tarfile.BLKTYPE; i.devmajor=8; i.mode=0o666; t.addfile(i); t.close()'";
        lab.docker(&format!("run -d --name box {IMAGE} sleep 1000"))
            .ok();
        lab.docker(&format!(
            "run -d --name strong --privileged {IMAGE} sleep 1000"
        ))
        .ok();
        let (status, message) = put(&lab, disk, "box", "/tmp");
        assert_eq!(
            (status, message.contains("device node")),
            (500, true),
            "{message}"
        );
        assert_ne!(lab.docker("exec box test -e /tmp/disk").code, 0);
        assert_eq!(put(&lab, disk, "strong", "/tmp").0, 200);
    }

    #[test]
    fn nothing_of_the_container_is_loaded_to_copy_from_it() {
        let lab = Lab::new();
        lab.docker(&format!("run -d --name box -u user {IMAGE} sleep 1000"))
            .ok();
        // What a C library would load to look up a user or a host (CVE-2019-14271).
        lab.docker("exec -u 0 box sh -c 'mkdir -p /lib/x86_64-linux-gnu /etc; for n in files dns compat; do echo trap > /lib/x86_64-linux-gnu/libnss_$n.so.2; done; echo \"passwd: files\" > /etc/nsswitch.conf'").ok();
        lab.shell("echo new > file");
        lab.docker("cp -a file box:/tmp/").ok();
        assert_eq!(
            lab.docker("exec box stat -c %u:%g /tmp/file").ok(),
            "1000:1000"
        );
        let maps = format!("/proc/{}/maps", lab.pid());
        let maps = std::fs::read_to_string(maps).unwrap();
        assert!(!maps.contains("libnss"), "{maps}");
    }

    #[test]
    fn a_terabyte_of_holes_is_small_to_copy_and_to_export() {
        let lab = Lab::new();
        lab.docker(&format!("run --name box {IMAGE} truncate -s 1024G /bomb"))
            .ok();
        let size = |line: &str| -> u64 {
            let Output { stdout, .. } =
                lab.shell(&format!("timeout 100 {line} | head -c 100000000 | wc -c"));
            stdout.trim().parse().unwrap()
        };
        let copy = "curl -s --unix-socket engine.sock 'http://e/containers/box/archive?path=/bomb'";
        let export = "curl -s --unix-socket engine.sock http://e/containers/box/export";
        assert!(size(copy) < 100_000);
        assert!(size(export) < 50_000_000);
    }

    #[test]
    fn a_client_that_leaves_frees_the_container() {
        let lab = Lab::new();
        lab.docker(&format!(
            "run --name box {IMAGE} dd if=/dev/urandom of=/big bs=1M count=64"
        ))
        .ok();
        let leave = "curl -s --max-time 1 --limit-rate 1k --unix-socket engine.sock -o /dev/null 'http://e/containers/box/archive?path=/big'";
        assert_ne!(lab.shell(leave).code, 0);
        let half = "(head -c 3000 busybox.tar; sleep 1) | curl -s --max-time 0.5 -X PUT -T - --unix-socket engine.sock 'http://e/containers/box/archive?path=/tmp'";
        lab.shell(half);
        // It can be started, and removed, once nobody reads or writes it any more.
        eventually("the container is free", || {
            lab.docker("start -a box").code == 0
        });
        lab.docker("rm box").ok();
    }

    #[test]
    fn what_is_copied_into_a_mapped_container_belongs_to_its_ids() {
        use std::os::unix::fs::PermissionsExt as _;
        let lab = Lab::with(Engine::Hakone, "--userns-remap default");
        std::fs::set_permissions(lab.path(""), std::fs::Permissions::from_mode(0o711)).unwrap();
        lab.docker(&format!("run -d --name box {IMAGE} sleep 1000"))
            .ok();
        lab.shell("mkdir -p in/new; echo x > in/new/f; chown -R 1000:1000 in/new/f");
        lab.docker("cp in/new box:/tmp/").ok();
        let seen = lab
            .docker("exec box stat -c %u:%g /tmp/new /tmp/new/f /bin/busybox")
            .ok();
        assert_eq!(seen, "0:0\n1000:1000\n0:0");
        let listed =
            lab.shell("docker cp box:/tmp/new - | tar tv --numeric-owner | awk '{print $2}'");
        assert_eq!(listed.stdout, "0/0\n1000/1000\n");
        assert!(Path::new(&lab.path("in")).exists());
    }

    #[test]
    fn our_own_cp_puts_things_where_dockers_does() {
        let lab = Lab::new();
        lab.docker(&format!("run -d --name box {IMAGE} sleep 1000"))
            .ok();
        lab.shell(
            "mkdir -p in/deep && echo one > in/one && echo two > in/deep/two && ln -s one in/link",
        )
        .ok();
        let inside = |path: &str| {
            lab.docker(&format!(
                "exec box sh -c 'cd {path} && find . | sort | xargs echo'"
            ))
            .ok()
        };
        lab.hakone("cp in box:/copied").ok();
        assert_eq!(inside("/copied"), ". ./deep ./deep/two ./link ./one");
        lab.hakone("cp in box:/copied").ok();
        assert_eq!(inside("/copied/in"), ". ./deep ./deep/two ./link ./one");
        lab.hakone("cp in/. box:/tmp").ok();
        assert_eq!(inside("/tmp"), ". ./deep ./deep/two ./link ./one");
        lab.hakone("cp -L in/link box:/named").ok();
        assert_eq!(lab.docker("exec box cat /named").ok(), "one");
        lab.hakone("cp box:/copied out").ok();
        lab.hakone("cp box:/copied/one renamed").ok();
        lab.hakone("cp box:/copied/. flat").ok();
        let listed = lab
            .shell("cat renamed; find out flat | sort | xargs echo")
            .ok();
        assert_eq!(
            listed,
            "one\nflat flat/deep flat/deep/two flat/in flat/in/deep flat/in/deep/two flat/in/link flat/in/one flat/link flat/one \
             out out/deep out/deep/two out/in out/in/deep out/in/deep/two out/in/link out/in/one out/link out/one"
        );
        let packed = lab.shell(&format!(
            "{} cp box:/copied/one - | tar xO",
            hakone_e2e::hakone().display()
        ));
        assert_eq!(packed.ok(), "one");
        for (line, complaint) in [
            ("cp in box:/copied/one", "cannot copy directory"),
            ("cp in/one box:/nosuch/", "no such directory"),
            ("cp box:/copied renamed", "cannot copy directory"),
            (
                "cp box:/a box:/b",
                "copying between containers is not supported",
            ),
            ("cp a b", "must specify at least one container source"),
            ("cp in/nosuch box:/", "no such file or directory"),
            (
                "cp box:/nosuch out",
                "Could not find the file /nosuch in container box",
            ),
        ] {
            let refused = lab.hakone(line);
            assert_ne!(refused.code, 0, "{line}");
            assert!(
                refused.stderr.contains(complaint),
                "{line}: {}",
                refused.stderr
            );
        }
    }

    /// What a hostile container holds lands in the folder that was named, and gives nobody more than they had.
    #[test]
    fn our_own_cp_brings_no_privilege_and_leaves_its_folder_alone() {
        let lab = Lab::new();
        let at = outside(&lab);
        lab.docker(&format!(
            "run -d --privileged --name box {IMAGE} sleep 1000"
        ))
        .ok();
        let trap = format!(
            "exec box sh -c 'mkdir -p /trap && cp /bin/busybox /trap/su && chmod 6755 /trap/su && ln -s {at} /trap/way && mkdir /bad && mknod /bad/disk b 8 0'"
        );
        lab.docker(&trap).ok();
        lab.hakone("cp box:/trap out").ok();
        assert_eq!(lab.shell("stat -c %a out/su").ok(), "755");
        // The link is there now: what comes later must not go through it.
        lab.docker(
            "exec box sh -c 'rm /trap/way; mkdir /trap/way; echo caught > /trap/way/secret'",
        )
        .ok();
        lab.hakone("cp box:/trap/. out");
        untouched(&lab);
        let device = lab.hakone("cp box:/bad out");
        assert!(device.stderr.contains("device node"), "{device:?}");
        assert_ne!(lab.shell("test -e out/bad/disk").code, 0);
    }

    #[test]
    fn a_root_file_system_comes_from_a_url_that_is_allowed_and_from_nowhere_else() {
        let lab = Lab::with(Engine::Hakone, "--registry-allow 10.99.0.2");
        lab.shell("mkdir web root && echo far > root/f && tar -C root -czf web/root.tgz . && echo no tar > web/text")
            .ok();
        let web = lab.path("web").display().to_string();
        lab.outside.sh(&format!(
            "cd {web} && (timeout 120 python3 -m http.server 8000 >/dev/null 2>&1 &)"
        ));
        lab.host.sh(&format!(
            "cd {web} && (timeout 120 python3 -m http.server 8000 >/dev/null 2>&1 &)"
        ));
        eventually("both servers answer", || {
            lab.host
                .sh("curl -sf http://10.99.0.2:8000/text && curl -sf http://127.0.0.1:8000/text")
                .code
                == 0
        });
        lab.docker("import -c 'CMD [\"cat\", \"/f\"]' http://10.99.0.2:8000/root.tgz far:1")
            .ok();
        let comment = lab.docker("inspect far:1 -f '{{.Comment}} {{.Config.Cmd}}'");
        assert_eq!(
            comment.ok(),
            "Imported from http://10.99.0.2:8000/root.tgz [cat /f]"
        );
        let copied = lab.docker("create --name far far:1").code == 0
            && lab.shell("docker cp far:/f copied && cat copied").ok() == "far";
        assert!(copied, "what was fetched is what lies there");
        // What is no archive, not there, or on this host.
        for (place, word) in [
            ("10.99.0.2:8000/text", ""),
            ("10.99.0.2:8000/nosuch", "404"),
            ("127.0.0.1:8000/root.tgz", "refusing"),
        ] {
            let refused = lab.docker(&format!("import http://{place} bad:1"));
            assert!(
                refused.code != 0 && refused.stderr.contains(word),
                "{place}: {refused:?}"
            );
        }
        assert!(
            lab.docker("inspect bad:1").code != 0,
            "nothing is left of them"
        );
    }
}
