//! Real mounts, each test in a mount namespace of its thread's own. Needs root.

#![expect(
    clippy::disallowed_methods,
    reason = "the files of a test need not survive a crash"
)]

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::{
            fd::AsFd as _,
            unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
        },
        path::Path,
    };

    use hakone_mount::{Detached, Error, Propagation, Root, copy_up, overlay, propagate_all};
    use hakone_sys::{Namespaces, unshare};

    fn lab() -> tempfile::TempDir {
        unshare(Namespaces::MOUNT).unwrap();
        propagate_all(Propagation::PRIVATE_ALL).unwrap();
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn two_hundred_layers_with_long_names_stack() {
        let lab = lab();
        let tmpfs = Detached::filesystem("tmpfs", "tmpfs", &Default::default()).unwrap();
        tmpfs
            .attach(Root::open(lab.path()).unwrap().as_fd())
            .unwrap();
        let layers: Vec<_> = (0..200)
            .map(|number| lab.path().join(format!("{number:03}{}", "x".repeat(64))))
            .collect();
        for (number, layer) in layers.iter().enumerate() {
            fs::create_dir(layer).unwrap();
            fs::write(layer.join("top"), number.to_string()).unwrap();
        }
        let [upper, work, target] = ["upper", "work", "target"].map(|name| lab.path().join(name));
        for folder in [&upper, &work, &target] {
            fs::create_dir(folder).unwrap();
        }
        let parts = overlay::Parts {
            layers: &layers,
            upper: &upper,
            work: &work,
            writes: overlay::Writes::Durable,
        };
        overlay::mount(parts, &target).unwrap();
        assert_eq!(fs::read_to_string(target.join("top")).unwrap(), "199");
        fs::write(target.join("new"), "x").unwrap();
        assert!(upper.join("new").exists());
    }

    #[test]
    fn a_volatile_overlay_can_be_mounted_again() {
        let lab = lab();
        let [layer, upper, work, target] =
            ["layer", "upper", "work", "target"].map(|name| lab.path().join(name));
        for folder in [&layer, &upper, &work, &target] {
            fs::create_dir(folder).unwrap();
        }
        let parts = overlay::Parts {
            layers: &[layer],
            upper: &upper,
            work: &work,
            writes: overlay::Writes::Volatile,
        };
        for name in ["first", "second"] {
            overlay::mount(parts, &target).unwrap();
            fs::write(target.join(name), "").unwrap();
            rustix::mount::unmount(&target, rustix::mount::UnmountFlags::empty()).unwrap();
        }
        assert!(upper.join("first").exists() && upper.join("second").exists());
    }

    #[test]
    fn a_volume_gets_what_the_image_has_there_as_it_is() {
        let lab = lab();
        let (image, volume) = (lab.path().join("image"), lab.path().join("volume"));
        fs::create_dir_all(image.join("data/sub")).unwrap();
        fs::create_dir(&volume).unwrap();
        fs::write(image.join("data/file"), "text").unwrap();
        fs::set_permissions(image.join("data/file"), fs::Permissions::from_mode(0o4750)).unwrap();
        std::os::unix::fs::chown(image.join("data/sub"), Some(33), Some(44)).unwrap();
        fs::hard_link(image.join("data/file"), image.join("data/sub/again")).unwrap();
        symlink("/etc/shadow", image.join("data/link")).unwrap();
        let root = Root::open(&image).unwrap();
        copy_up(&root, Path::new("/data"), &volume).unwrap();
        let file = fs::metadata(volume.join("file")).unwrap();
        assert_eq!((file.nlink(), file.mode() & 0o7777), (2, 0o4750));
        let sub = fs::metadata(volume.join("sub")).unwrap();
        assert_eq!((sub.uid(), sub.gid()), (33, 44));
        assert_eq!(
            fs::read_link(volume.join("link")).unwrap(),
            Path::new("/etc/shadow")
        );
        fs::write(image.join("data/later"), "").unwrap();
        copy_up(&root, Path::new("/data"), &volume).unwrap();
        assert!(
            !volume.join("later").exists(),
            "a volume with content is left alone"
        );
    }

    #[test]
    fn a_device_does_not_get_into_a_volume() {
        let lab = lab();
        let (image, volume) = (lab.path().join("image"), lab.path().join("volume"));
        fs::create_dir_all(image.join("data")).unwrap();
        fs::create_dir(&volume).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        let kind = rustix::fs::FileType::CharacterDevice;
        let number = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(rustix::fs::CWD, image.join("data/null"), kind, mode, number).unwrap();
        let root = Root::open(&image).unwrap();
        let error = copy_up(&root, Path::new("/data"), &volume).unwrap_err();
        assert!(matches!(error, Error::Special(_)), "{error}");
    }

    #[test]
    fn read_only_reaches_the_mounts_below() {
        let lab = lab();
        let (below, target) = (lab.path().join("tree/below"), lab.path().join("target"));
        fs::create_dir_all(&below).unwrap();
        fs::create_dir(&target).unwrap();
        let tmpfs = Detached::filesystem("tmpfs", "tmpfs", &Default::default()).unwrap();
        tmpfs.attach(Root::open(&below).unwrap().as_fd()).unwrap();
        let bind = Detached::bind(&lab.path().join("tree"), true).unwrap();
        bind.set_all(rustix::mount::MountAttrFlags::MOUNT_ATTR_RDONLY)
            .unwrap();
        bind.attach(Root::open(&target).unwrap().as_fd()).unwrap();
        assert!(fs::write(target.join("below/x"), "").is_err());
        assert!(fs::write(below.join("x"), "").is_ok());
    }
}
