//! Namespaces on the running kernel; needs root.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, os::fd::AsFd as _, os::unix::fs::MetadataExt as _};

use hakone_netns::{Netns, write_sysctl};

fn inode() -> u64 {
    fs::metadata("/proc/thread-self/ns/net").unwrap().ino()
}

#[test]
fn a_closure_runs_inside_and_the_caller_stays_outside() {
    let outside = inode();
    let (netns, created_in) = Netns::create(|_| inode()).unwrap();
    assert_ne!(created_in, outside);
    assert_eq!(netns.on(inode).unwrap(), created_in);
    assert_eq!(inode(), outside);
}

#[test]
fn a_fresh_namespace_has_a_loopback_only() {
    let (netns, ()) = Netns::create(|_| ()).unwrap();
    let devices = netns
        .on(|| fs::read_to_string("/proc/thread-self/net/dev").unwrap())
        .unwrap();
    assert!(devices.contains("lo:"));
    assert!(!devices.contains("eth0:"));
}

#[test]
fn a_sysctl_changes_its_namespace_alone() {
    let read = || fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap();
    let outside = read();
    let (netns, ()) =
        Netns::create(|_| write_sysctl("net.ipv4.ip_default_ttl", "7").unwrap()).unwrap();
    assert_eq!(netns.on(read).unwrap().trim(), "7");
    assert_eq!(read(), outside);
}

#[test]
fn a_panic_inside_is_an_error_outside() {
    let (netns, ()) = Netns::create(|_| ()).unwrap();
    assert!(netns.on(|| panic!("on purpose")).is_err());
}

#[test]
fn a_sysctl_cannot_leave_its_folder() {
    assert!(write_sysctl("net/../kernel/hostname", "x").is_err());
}

#[test]
fn the_namespace_of_a_dead_process_is_an_error() {
    assert!(Netns::of_process(i32::MAX).is_err());
    assert!(
        Netns::current()
            .unwrap()
            .as_fd()
            .try_clone_to_owned()
            .is_ok()
    );
}
