//! Archives that are copied into a container: whatever they hold, nothing is made beside the container's root.
#![no_main]

use std::{fs, os::unix::fs::symlink, path::Path, sync::LazyLock};

use hakone_mount::Root;
use hakone_tar::{Devices, Ids, Options, Privileges, extract};
use libfuzzer_sys::fuzz_target;

/// A folder for the whole run, made anew inside for each archive.
static LAB: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|data: &[u8]| {
    let lab = LAB.path();
    fs::remove_dir_all(lab.join("root")).ok();
    fs::create_dir_all(lab.join("root/dest")).expect("a root");
    fs::create_dir_all(lab.join("outside")).expect("an outside");
    symlink(lab.join("outside"), lab.join("root/dest/out")).expect("a link");
    let root = Root::open(&lab.join("root")).expect("the root opens");
    let options = Options {
        keep_kinds: data.first().is_some_and(|byte| byte % 2 == 0),
        owner: Some((own_id(), own_id())),
        ids: Ids::default(),
        devices: Devices::Common,
        privileges: Privileges::Keep,
    };
    extract(&root, Path::new("/dest"), data, &options).ok();
    assert_eq!(fs::read_dir(lab).expect("the lab").count(), 2);
    assert_eq!(fs::read_dir(lab.join("outside")).expect("it").count(), 0);
});

/// Whoever fuzzes owns what is made: giving files away needs privileges.
fn own_id() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(LAB.path()).map_or(0, |lab| lab.uid())
}
