//! Copies between hostile roots: what is copied, and what stays where it is.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use super::*;
use crate::{Kind, find, measure};

struct Lab {
    folder: tempfile::TempDir,
    source: Root,
    target: Root,
}

fn lab() -> Lab {
    let folder = tempfile::tempdir().unwrap();
    for name in ["source", "target", "outside"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    Lab {
        source: Root::open(&folder.path().join("source")).unwrap(),
        target: Root::open(&folder.path().join("target")).unwrap(),
        folder,
    }
}

impl Lab {
    fn put(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.folder.path().join(path)).ok()
    }

    fn link(&self, target: &str, path: &str) {
        symlink(target, self.folder.path().join(path)).unwrap();
    }

    fn copy(&self, from: &str, to: &str) -> Result<(), Error> {
        let options = CopyOptions {
            owner: None,
            mode: None,
            keep: &|_, _| true,
        };
        copy(
            (&self.source, Path::new(from)),
            (&self.target, Path::new(to)),
            &options,
        )
    }

    fn measure(&self, path: &str) -> Digest {
        measure(&self.source, Path::new(path), &|_, _| true, false)
            .unwrap()
            .digest
    }
}

use hakone_base::Digest;

#[test]
fn a_file_goes_into_a_folder_or_takes_the_name() {
    let lab = lab();
    lab.put("source/f", "1");
    fs::create_dir(lab.folder.path().join("target/there")).unwrap();
    lab.copy("f", "/there").unwrap();
    lab.copy("f", "/new/").unwrap();
    lab.copy("f", "/deep/name").unwrap();
    for path in ["target/there/f", "target/new/f", "target/deep/name"] {
        assert_eq!(lab.read(path).as_deref(), Some("1"), "{path}");
    }
}

#[test]
fn the_contents_of_a_folder_are_merged_and_links_in_the_way_make_way() {
    let lab = lab();
    lab.put("source/d/sub/f", "new");
    lab.put("source/d/g", "new");
    lab.put("target/d/sub/old", "old");
    lab.put("outside/secret", "secret");
    let outside = lab.folder.path().join("outside");
    lab.link(outside.join("secret").to_str().unwrap(), "target/d/g");
    lab.copy("d", "/d").unwrap();
    assert_eq!(lab.read("target/d/sub/old").as_deref(), Some("old"));
    assert_eq!(lab.read("target/d/sub/f").as_deref(), Some("new"));
    assert_eq!(lab.read("target/d/g").as_deref(), Some("new"));
    assert_eq!(lab.read("outside/secret").as_deref(), Some("secret"));
}

#[test]
fn links_lead_nowhere_out_of_either_root() {
    let lab = lab();
    lab.put("source/f", "mine");
    lab.put("outside/secret", "secret");
    let outside = lab.folder.path().join("outside").display().to_string();
    lab.link(&outside, "source/out");
    lab.link(&outside, "target/out");
    assert!(lab.copy("out/secret", "/stolen").unwrap_err().is_missing());
    assert!(
        lab.copy("../outside/secret", "/stolen")
            .unwrap_err()
            .is_missing()
    );
    lab.copy("f", "/out/secret").unwrap();
    assert_eq!(lab.read("outside/secret").as_deref(), Some("secret"));
    lab.copy("f", "/../../outside/secret").unwrap();
    assert_eq!(lab.read("outside/secret").as_deref(), Some("secret"));
}

#[test]
fn a_link_that_is_named_is_followed_and_one_in_a_folder_stays() {
    let lab = lab();
    lab.put("source/real", "1");
    lab.link("real", "source/named");
    fs::create_dir(lab.folder.path().join("source/d")).unwrap();
    lab.link("../real", "source/d/inner");
    lab.copy("named", "/named").unwrap();
    lab.copy("d", "/d").unwrap();
    let at = |name: &str| lab.folder.path().join(name).symlink_metadata().unwrap();
    assert!(at("target/named").is_file());
    assert!(at("target/d/inner").is_symlink());
}

#[test]
fn hard_links_modes_and_times_are_kept() {
    let lab = lab();
    lab.put("source/d/a", "1");
    let at = |name: &str| lab.folder.path().join(name);
    fs::hard_link(at("source/d/a"), at("source/d/b")).unwrap();
    fs::set_permissions(at("source/d/a"), fs::Permissions::from_mode(0o4750)).unwrap();
    lab.copy("d", "/d").unwrap();
    let (a, b) = (
        at("target/d/a").metadata().unwrap(),
        at("target/d/b").metadata().unwrap(),
    );
    assert_eq!(a.ino(), b.ino());
    assert_eq!(a.mode() & 0o7777, 0o4750);
    assert_eq!(
        a.mtime_nsec(),
        at("source/d/a").metadata().unwrap().mtime_nsec()
    );
}

#[test]
fn a_measure_knows_content_names_and_modes_and_no_times() {
    let lab = lab();
    lab.put("source/d/a", "1");
    let first = lab.measure("d");
    lab.put("source/d/a", "1");
    assert_eq!(lab.measure("d"), first);
    lab.put("source/d/a", "2");
    let second = lab.measure("d");
    assert_ne!(second, first);
    let path = lab.folder.path().join("source/d/a");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    assert_ne!(lab.measure("d"), second);
    let kind = measure(&lab.source, Path::new("d"), &|_, _| true, false)
        .unwrap()
        .kind;
    assert_eq!(kind, Kind::Folder);
}

#[test]
fn a_pattern_finds_what_go_would() {
    let lab = lab();
    for path in ["source/a.txt", "source/b.rs", "source/d/c.txt"] {
        lab.put(path, "");
    }
    let fits = |part: &str, name: &str| {
        Some(match part.strip_prefix('*') {
            Some(end) => name.ends_with(end),
            None => part == name,
        })
    };
    let found = |pattern: &str| -> Vec<String> {
        let found = find(&lab.source, pattern, &fits, &|_, _| true).unwrap();
        found
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    };
    assert_eq!(found("*.txt"), ["a.txt"]);
    assert_eq!(found("*/*.txt"), ["d/c.txt"]);
    assert_eq!(found("d/*"), ["d/c.txt"]);
    assert_eq!(found("nosuch"), [""; 0]);
}

#[test]
fn what_is_no_file_is_not_read() {
    let lab = lab();
    let path = lab.folder.path().join("source/socket");
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert!(matches!(lab.copy("socket", "/s"), Err(Error::Special(_))));
}
