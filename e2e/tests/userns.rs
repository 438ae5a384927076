//! `--userns-remap`: root of a container is nobody on the host.

#[cfg(test)]
mod tests {
    #[expect(clippy::disallowed_methods, reason = "a test's file may be torn")]
    fn write(path: &std::path::Path, text: impl AsRef<[u8]>) -> std::io::Result<()> {
        std::fs::write(path, text)
    }

    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use hakone_e2e::{Engine, IMAGE, Lab};

    /// A laboratory whose containers are mapped.
    fn mapped() -> Lab {
        Lab::with(Engine::Hakone, "--userns-remap default")
    }

    /// The first id of the host that stands for a container's root.
    fn root(lab: &Lab) -> u32 {
        let map = lab
            .docker(&format!("run --rm {IMAGE} cat /proc/self/uid_map"))
            .ok();
        let fields: Vec<&str> = map.split_whitespace().collect();
        assert_eq!(fields.first(), Some(&"0"), "{map}");
        fields[1].parse().unwrap()
    }

    #[test]
    fn root_inside_owns_its_files_and_is_a_stranger_outside() {
        let lab = mapped();
        let root = root(&lab);
        assert!(root >= 65536);
        let secret = lab.path("secret");
        std::fs::create_dir(&secret).unwrap();
        let (key, file) = (secret.join("key"), secret.join("open"));
        write(&key, "secret\n").unwrap();
        write(&file, "open\n").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let bind = format!("-v {}:/s", secret.display());
        let attack = lab.docker(&format!(
            "run --rm {bind} {IMAGE} sh -c 'id -u; cat /s/open; cat /s/key; chown 0 /s/key; touch /s/new'"
        ));
        assert_eq!(attack.stdout, "0\nopen\n", "{attack:?}");
        assert!(attack.stderr.contains("Permission denied"), "{attack:?}");
        assert!(!secret.join("new").exists());
        let host = format!("run --rm --userns=host {bind} {IMAGE} cat /s/key");
        assert_eq!(lab.docker(&host).ok(), "secret");
    }

    #[test]
    fn the_image_looks_the_same_and_what_is_written_is_stored_as_it_is() {
        let lab = mapped();
        let listing = format!("run --rm {IMAGE} stat -c '%u:%g %a' /bin /bin/busybox /etc/hosts");
        let seen = lab.docker(&listing).ok();
        assert!(seen.lines().all(|line| line.starts_with("0:0 ")), "{seen}");
        lab.docker(&format!(
            "run --name writer {IMAGE} sh -c 'echo x > /etc/new && rm /bin/busybox'"
        ))
        .ok();
        let id = lab.docker("inspect -f '{{.Id}}' writer").ok();
        let upper = lab.path(&format!("data/containers/{id}/upper"));
        assert_eq!(std::fs::metadata(upper.join("etc/new")).unwrap().uid(), 0);
    }

    #[test]
    fn volumes_belong_to_the_containers_root() {
        let lab = mapped();
        lab.docker(&format!(
            "run --rm -v data:/data {IMAGE} sh -c 'echo x > /data/x; chown 5 /data/x'"
        ))
        .ok();
        let file = lab.path("data/volumes/data/_data/x");
        assert_eq!(std::fs::metadata(file).unwrap().uid(), 5);
        let again = format!("run --rm -v data:/data {IMAGE} stat -c %u /data/x");
        assert_eq!(lab.docker(&again).ok(), "5");
    }

    #[test]
    fn what_needs_the_hosts_ids_is_refused_and_what_does_not_works() {
        let lab = mapped();
        for option in ["--privileged", "--network host", "--pid host"] {
            let refused = lab.docker(&format!("run --rm {option} {IMAGE} true"));
            assert_eq!(refused.code, 125, "{option}: {refused:?}");
        }
        lab.docker(&format!("run --rm --privileged --userns=host {IMAGE} true"))
            .ok();
        lab.docker(&format!(
            "run -d --name web -p 8080:80 {IMAGE} httpd -f -p 80 -h /bin"
        ))
        .ok();
        assert_eq!(lab.docker("exec web id -u").ok(), "0");
        let reached = lab.outside.sh(
            "for i in $(seq 300); do wget -qO /dev/null http://10.99.0.1:8080/busybox && exit 0; sleep 0.2; done; exit 1",
        );
        assert_eq!(
            reached.code, 0,
            "root of a container binds low ports: {reached:?}"
        );
        let runc = format!("run --rm --runtime runc {IMAGE} sh -c 'id -u; stat -c %u /bin'");
        assert_eq!(lab.docker(&runc).ok(), "0\n0");
    }
}
