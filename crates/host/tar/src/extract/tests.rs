//! The streams that attack: each must stay inside the root, whatever it is called and whatever stands there.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
};

use super::*;

struct Lab {
    folder: tempfile::TempDir,
    root: Root,
}

impl Lab {
    /// A root with a folder beside it that nobody may touch.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["root", "root/dest", "root/etc", "outside"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::File::create(folder.path().join("outside/secret")).unwrap();
        let root = Root::open(&folder.path().join("root")).unwrap();
        Self { folder, root }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn take(&self, stream: Stream) -> Result<(), Error> {
        self.take_with(stream, &options())
    }

    fn take_with(&self, stream: Stream, options: &Options) -> Result<(), Error> {
        let bytes = stream.0.into_inner().unwrap();
        extract(&self.root, Path::new("/dest"), &bytes[..], options)
    }

    fn assert_untouched(&self) {
        let names: Vec<_> = fs::read_dir(self.at("outside")).unwrap().collect();
        assert_eq!(names.len(), 1);
        let secret = fs::metadata(self.at("outside/secret")).unwrap();
        assert_eq!((secret.len(), secret.nlink()), (0, 1));
    }
}

fn options() -> Options {
    Options {
        keep_kinds: false,
        owner: Some((
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw(),
        )),
        ids: Ids::default(),
        devices: Devices::Common,
        privileges: Privileges::Keep,
    }
}

struct Stream(tar::Builder<Vec<u8>>);

impl Stream {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn add(mut self, kind: EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_mtime(7);
        header.set_uid(0);
        header.set_gid(0);
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn file(self, name: &str) -> Self {
        self.add(EntryType::Regular, name, "", b"content")
    }
}

#[test]
fn names_that_climb_out_are_refused_and_absolute_ones_stay_below() {
    let lab = Lab::new();
    let error = lab.take(Stream::new().file("../../outside/x")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"../../outside/x\" is outside of \"/dest\""
    );
    lab.take(Stream::new().file("/abs")).unwrap();
    assert_eq!(fs::read(lab.at("root/dest/abs")).unwrap(), b"content");
    lab.assert_untouched();
}

#[test]
fn a_link_and_then_a_file_through_it_ends_inside_the_root() {
    let lab = Lab::new();
    let outside = lab.at("outside").display().to_string();
    let stream = Stream::new()
        .add(EntryType::Symlink, "l", &outside, b"")
        .file("l/x");
    lab.take(stream).unwrap_err();
    let stream = Stream::new()
        .add(EntryType::Symlink, "m", "../../../../outside", b"")
        .file("m/x");
    lab.take(stream).unwrap_err();
    lab.assert_untouched();
}

#[test]
fn a_link_of_the_container_is_followed_inside_its_root() {
    let lab = Lab::new();
    symlink("/etc", lab.at("root/dest/conf")).unwrap();
    lab.take(Stream::new().file("conf/hosts")).unwrap();
    assert_eq!(fs::read(lab.at("root/etc/hosts")).unwrap(), b"content");
}

#[test]
fn a_file_in_the_place_of_a_link_replaces_the_link() {
    let lab = Lab::new();
    symlink(lab.at("outside/secret"), lab.at("root/dest/f")).unwrap();
    lab.take(Stream::new().file("f")).unwrap();
    assert!(
        fs::symlink_metadata(lab.at("root/dest/f"))
            .unwrap()
            .is_file()
    );
    lab.assert_untouched();
}

#[test]
fn a_hard_link_reaches_only_what_is_inside() {
    let lab = Lab::new();
    let secret = lab.at("outside/secret").display().to_string();
    for target in [secret.as_str(), "../../outside/secret"] {
        let stream = Stream::new().add(EntryType::Link, "h", target, b"");
        lab.take(stream).unwrap_err();
    }
    symlink(lab.at("outside"), lab.at("root/dest/out")).unwrap();
    let stream = Stream::new().add(EntryType::Link, "h", "out/secret", b"");
    lab.take(stream).unwrap_err();
    lab.assert_untouched();
}

#[test]
fn device_nodes_are_refused_but_for_those_that_every_container_has() {
    let lab = Lab::new();
    let disk = Stream::new().add(EntryType::Block, "sda", "", b"");
    let error = lab.take(disk).unwrap_err();
    assert!(error.to_string().contains("device node"), "{error}");
    assert!(!lab.at("root/dest/sda").exists());
}

#[test]
fn kinds_are_kept_when_asked() {
    let lab = Lab::new();
    fs::create_dir_all(lab.at("root/dest/d/sub")).unwrap();
    let keeping = Options {
        keep_kinds: true,
        ..options()
    };
    let error = lab
        .take_with(Stream::new().file("d"), &keeping)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot overwrite directory \"/dest/d\" with non-directory \"/dest\""
    );
    lab.take(Stream::new().file("d")).unwrap();
    let folder = Stream::new().add(EntryType::Directory, "d", "", b"");
    let error = lab.take_with(folder, &keeping).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot overwrite non-directory \"/dest/d\" with directory \"/dest\""
    );
}

#[test]
fn set_id_bits_are_left_behind_when_asked() {
    let modes = |privileges| {
        let lab = Lab::new();
        let mut stream = Stream::new().0;
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o6755);
        header.set_size(0);
        stream.append_data(&mut header, "su", &b""[..]).unwrap();
        let options = Options {
            privileges,
            ..options()
        };
        lab.take_with(Stream(stream), &options).unwrap();
        fs::metadata(lab.at("root/dest/su")).unwrap().mode() & 0o7777
    };
    assert_eq!(modes(Privileges::Keep), 0o6755);
    assert_eq!(modes(Privileges::Strip), 0o755);
}

#[test]
fn removing_a_folder_does_not_follow_the_links_in_it() {
    let lab = Lab::new();
    fs::create_dir(lab.at("root/dest/d")).unwrap();
    symlink(lab.at("outside"), lab.at("root/dest/d/out")).unwrap();
    lab.take(Stream::new().file("d")).unwrap();
    lab.assert_untouched();
}

#[test]
fn while_folder_and_link_change_places_nothing_lands_outside() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let lab = Lab::new();
    let (folder, link) = (lab.at("root/dest/swap"), lab.at("root/dest/other"));
    fs::create_dir(&folder).unwrap();
    symlink(lab.at("outside"), &link).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(rustix::fs::CWD, &folder, rustix::fs::CWD, &link, flags)
                    .unwrap();
            }
        });
        for round in 0..3000 {
            let name = format!("swap/f{round}");
            // Either it lands in the folder, or the link leads to nothing inside.
            lab.take(Stream::new().file(&name)).ok();
        }
        stop.store(true, Ordering::Relaxed);
    });
    lab.assert_untouched();
}

#[test]
fn garbage_is_named_as_docker_names_it() {
    let lab = Lab::new();
    let take = |bytes: &[u8]| {
        extract(&lab.root, Path::new("/dest"), bytes, &options())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(take(b"garbage\n"), "unexpected EOF");
    assert_eq!(take(&[b'x'; 700]), "archive/tar: invalid tar header");
}
