//! Volumes on a real file system (ext4 on a file, with encryption and project quotas): needs root.

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        fs,
        io::Write as _,
        os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
        path::{Path, PathBuf},
        process::Command,
    };

    use hakone_base::ContainerId;
    use hakone_events::Bus;
    use hakone_volume::{Error, Service, User, VolumeSpec};

    /// An ext4 of its own, unmounted when dropped.
    struct Disk(tempfile::TempDir);

    fn run(line: &str) {
        #[expect(
            clippy::disallowed_methods,
            reason = "tests start programs as a shell would"
        )]
        let ended = Command::new("sh").args(["-ec", line]).output().unwrap();
        assert!(ended.status.success(), "{line}: {ended:?}");
    }

    /// Reports whether the kernel keeps quotas of projects on ext4.
    fn knows_quotas() -> bool {
        Path::new("/proc/sys/fs/quota").exists()
            && fs::read_to_string("/proc/kallsyms")
                .is_ok_and(|all| all.contains(" v2_check_quota_file"))
    }

    impl Disk {
        fn new(features: &str, options: &str) -> Self {
            let folder = tempfile::tempdir_in("/tmp").unwrap();
            let at = folder.path().display();
            run(&format!(
                "truncate -s 64M {at}/disk; mkfs.ext4 -q {features} {at}/disk; mkdir {at}/mnt; mount -o loop{options} {at}/disk {at}/mnt"
            ));
            Self(folder)
        }

        fn root(&self) -> PathBuf {
            self.0.path().join("mnt/volumes")
        }

        fn service(&self) -> Service {
            Service::open(self.root(), Bus::default()).unwrap()
        }

        /// Reports whether the disk itself, caches written out, holds a text.
        fn holds(&self, text: &str) -> bool {
            rustix::fs::sync();
            let raw = fs::read(self.0.path().join("disk")).unwrap();
            raw.windows(text.len()).any(|part| part == text.as_bytes())
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            run(&format!("umount {}/mnt", self.0.path().display()));
        }
    }

    fn key(folder: &Path, name: &str, byte: u8) -> String {
        let path = folder.join(name);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        file.write_all(&[byte; 64]).unwrap();
        path.display().to_string()
    }

    fn spec(name: &str, options: &[(&str, &str)]) -> VolumeSpec {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        VolumeSpec {
            name: Some(name.to_owned()),
            options: options.iter().map(pair).collect::<BTreeMap<_, _>>(),
            ..VolumeSpec::default()
        }
    }

    fn user(number: u8) -> User {
        User {
            container: container(number),
            destination: "/data".to_owned(),
            writable: true,
        }
    }

    fn container(byte: u8) -> ContainerId {
        ContainerId::from_bytes([byte; 32])
    }

    fn write(path: &Path, text: &str) -> std::io::Result<()> {
        let mut file = fs::File::create(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    #[tokio::test]
    async fn an_encrypted_volume_is_scrambled_while_nobody_has_it() {
        let disk = Disk::new("-O encrypt", "");
        let keys = tempfile::tempdir().unwrap();
        let first = key(keys.path(), "first", 1);
        let volumes = disk.service();
        let options = [("encrypt", "fscrypt"), ("key-file", first.as_str())];
        let made = volumes.create(spec("vault", &options)).await.unwrap();
        let files = PathBuf::from(made.mountpoint);
        assert!(write(&files.join("early"), "x").is_err(), "no key, no file");

        assert!(volumes.mount("vault", user(1)).await.unwrap(), "empty");
        write(&files.join("plain-name"), "the plain text of a secret").unwrap();
        volumes.mount("vault", user(2)).await.unwrap();
        volumes.unmount("vault", &container(1)).await;
        assert!(
            fs::read(files.join("plain-name")).is_ok(),
            "the second has it still"
        );
        volumes.unmount("vault", &container(2)).await;
        assert!(
            fs::read(files.join("plain-name")).is_err(),
            "the key is gone from the kernel"
        );
        assert!(!disk.holds("the plain text of a secret") && !disk.holds("plain-name"));

        // Another key, a key that others may read, a short one, none.
        let other = key(keys.path(), "other", 2);
        fs::rename(keys.path().join("first"), keys.path().join("kept")).unwrap();
        fs::rename(&other, keys.path().join("first")).unwrap();
        let wrong = volumes.mount("vault", user(1)).await.unwrap_err();
        assert!(matches!(wrong, Error::WrongKey { .. }), "{wrong}");
        fs::rename(keys.path().join("kept"), keys.path().join("first")).unwrap();
        fs::set_permissions(&first, fs::Permissions::from_mode(0o644)).unwrap();
        let open = volumes.mount("vault", user(1)).await.unwrap_err();
        assert!(open.to_string().contains("chmod 600"), "{open}");
        fs::set_permissions(&first, fs::Permissions::from_mode(0o600)).unwrap();

        // A new key file, a new daemon: the same files.
        let second = key(keys.path(), "second", 3);
        volumes.rotate("vault", &second).await.unwrap();
        fs::remove_file(&first).unwrap();
        let volumes = disk.service();
        assert!(!volumes.mount("vault", user(1)).await.unwrap());
        let text = fs::read_to_string(files.join("plain-name")).unwrap();
        assert_eq!(text, "the plain text of a secret");
        // Killed while it was in use: the next daemon takes the key away, as nobody claims the volume.
        drop(volumes);
        let volumes = disk.service();
        volumes.settle(|_| true).await;
        assert!(fs::read(files.join("plain-name")).is_err());
        volumes.remove("vault", false).await.unwrap();
        assert!(!files.exists());
    }

    #[tokio::test]
    async fn a_key_does_not_open_a_folder_that_was_put_in_its_place() {
        let disk = Disk::new("-O encrypt", "");
        let keys = tempfile::tempdir().unwrap();
        let file = key(keys.path(), "key", 1);
        let volumes = disk.service();
        let options = [("encrypt", "fscrypt"), ("key-file", file.as_str())];
        let made = volumes.create(spec("vault", &options)).await.unwrap();
        fs::remove_dir(&made.mountpoint).unwrap();
        fs::create_dir(&made.mountpoint).unwrap();
        let refused = volumes.mount("vault", user(1)).await.unwrap_err();
        assert!(
            refused.to_string().contains("not encrypted by its key"),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn what_the_file_system_cannot_do_is_said_and_leaves_nothing() {
        let disk = Disk::new("-O ^encrypt", "");
        let keys = tempfile::tempdir().unwrap();
        let file = key(keys.path(), "key", 1);
        let volumes = disk.service();
        let options = [("encrypt", "fscrypt"), ("key-file", file.as_str())];
        let refused = volumes.create(spec("vault", &options)).await.unwrap_err();
        assert!(
            refused.to_string().contains("tune2fs -O encrypt"),
            "{refused}"
        );
        let refused = volumes
            .create(spec("small", &[("size", "1m")]))
            .await
            .unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("quota size requested but no quota support"),
            "{refused}"
        );
        assert_eq!(fs::read_dir(disk.root()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_volume_with_a_size_takes_no_more() {
        if !knows_quotas() {
            return; // Without CONFIG_QFMT_V2 no file system here can: the test above holds what is said then.
        }
        let disk = Disk::new("-O project,quota -E quotatype=prjquota", ",prjquota");
        let volumes = disk.service();
        let small = volumes
            .create(spec("small", &[("size", "1m")]))
            .await
            .unwrap();
        let large = volumes
            .create(spec("large", &[("size", "8m")]))
            .await
            .unwrap();
        let fill =
            |mountpoint: &str| write(&Path::new(mountpoint).join("sub"), &"x".repeat(4 << 20));
        let full = fill(&small.mountpoint).unwrap_err();
        assert!(matches!(full.raw_os_error(), Some(28 | 122)), "{full}");
        fill(&large.mountpoint).unwrap();
        volumes.remove("small", false).await.unwrap();
        let again = volumes.create(spec("again", &[])).await.unwrap();
        fill(&again.mountpoint).unwrap();
    }

    #[tokio::test]
    async fn devices_and_memory_are_mounted_while_they_are_used() {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let volumes = Service::open(folder.path().join("volumes"), Bus::default()).unwrap();
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        write(&source.join("there"), "x").unwrap();
        let device = source.display().to_string();
        let bind = [
            ("type", "none"),
            ("o", "bind,ro"),
            ("device", device.as_str()),
        ];
        let bound = volumes.create(spec("bound", &bind)).await.unwrap();
        let memory = [
            ("type", "tmpfs"),
            ("o", "size=64k,mode=700,nosuid"),
            ("device", "tmpfs"),
        ];
        let memory = volumes.create(spec("memory", &memory)).await.unwrap();
        for name in ["bound", "memory"] {
            volumes.mount(name, user(1)).await.unwrap();
        }
        assert!(Path::new(&bound.mountpoint).join("there").exists());
        let written = write(&Path::new(&bound.mountpoint).join("new"), "x");
        assert_eq!(
            written.unwrap_err().kind(),
            std::io::ErrorKind::ReadOnlyFilesystem
        );
        let full = write(
            &Path::new(&memory.mountpoint).join("big"),
            &"x".repeat(1 << 20),
        );
        assert!(full.is_err());
        for name in ["bound", "memory"] {
            volumes.unmount(name, &container(1)).await;
        }
        assert!(!Path::new(&bound.mountpoint).join("there").exists());
        for (kind, device, options) in [
            ("nfs", ":/export", "addr=127.0.0.1,nolock,soft"),
            ("ext4", "/no/such/device", ""),
            ("nosuchfs", "x", ""),
        ] {
            let made = [("type", kind), ("device", device), ("o", options)];
            volumes.create(spec(kind, &made)).await.unwrap();
            let failed = volumes.mount(kind, user(1)).await.unwrap_err().to_string();
            assert!(
                failed.starts_with("failed to mount local volume: mount "),
                "{failed}"
            );
        }
    }

    /// A file system whose server never answers, until it is dropped.
    struct Silent {
        place: tempfile::TempDir,
        server: Option<fs::File>,
    }

    impl Silent {
        fn new() -> Self {
            use rustix::mount::{
                FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create,
                fsconfig_set_string, fsmount, fsopen, move_mount,
            };
            let place = tempfile::tempdir_in("/tmp").unwrap();
            let mut open = fs::OpenOptions::new();
            let server = open.read(true).write(true).open("/dev/fuse").unwrap();
            let fd = std::os::fd::AsRawFd::as_raw_fd(&server).to_string();
            let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
            for (key, value) in [
                ("source", "silent"),
                ("fd", fd.as_str()),
                ("rootmode", "40000"),
                ("user_id", "0"),
                ("group_id", "0"),
            ] {
                fsconfig_set_string(&context, key, value).unwrap();
            }
            fsconfig_create(&context).unwrap();
            let mount = fsmount(
                &context,
                FsMountFlags::FSMOUNT_CLOEXEC,
                MountAttrFlags::empty(),
            );
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            move_mount(mount.unwrap(), "", rustix::fs::CWD, place.path(), flags).unwrap();
            Self {
                place,
                server: Some(server),
            }
        }
    }

    impl Drop for Silent {
        fn drop(&mut self) {
            // Whoever waits for an answer gets an error now.
            drop(self.server.take());
            let flags = rustix::mount::UnmountFlags::DETACH;
            rustix::mount::unmount(self.place.path(), flags).ok();
        }
    }

    async fn use_another(volumes: Service) {
        volumes.create(spec("near", &[])).await.unwrap();
        volumes.mount("near", user(2)).await.unwrap();
        volumes.unmount("near", &container(2)).await;
        volumes.inspect("far").unwrap();
        let used = volumes.remove("far", false).await.unwrap_err();
        assert!(matches!(used, Error::InUse { .. }), "{used}");
        volumes.remove("near", false).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_volume_whose_server_is_away_holds_up_no_other() {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let volumes = Service::open(folder.path().join("volumes"), Bus::default()).unwrap();
        let silent = Silent::new();
        let device = silent.place.path().join("export").display().to_string();
        let far = [("type", "none"), ("o", "bind"), ("device", device.as_str())];
        volumes.create(spec("far", &far)).await.unwrap();
        volumes
            .claim(spec("far", &far), &container(1))
            .await
            .unwrap();
        let mounting = volumes.clone();
        let hanging = tokio::spawn(async move { mounting.mount("far", user(1)).await });
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(!hanging.is_finished(), "nobody answers");

        let others = tokio::spawn(use_another(volumes.clone()));
        let deadline = std::time::Duration::from_secs(60);
        let done = tokio::time::timeout(deadline, others).await;
        drop(silent);
        assert!(hanging.await.unwrap().is_err(), "the server is gone");
        done.expect("the others go on").unwrap();
        volumes.disclaim("far", &container(1), true).await;
        assert!(volumes.inspect("far").is_err());
    }
}
