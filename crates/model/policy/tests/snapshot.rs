//! The rules of a few telling hosts, as text: the snapshot is the documentation. `cargo xtask bless` renews it.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(
    clippy::disallowed_methods,
    reason = "blesses files of the checkout, asks nft about the text"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "worlds/hosts.rs"]
mod hosts;

use std::{
    env, fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use hakone_policy::compile;
use hosts::hosts;

#[test]
fn the_rules_are_those_of_the_snapshots() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    for (name, topology) in hosts() {
        let (path, text) = (
            folder.join(name).with_extension("nft"),
            compile(&topology).to_string(),
        );
        if env::var_os("HAKONE_BLESS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            text,
            "{name}: cargo xtask bless renews it"
        );
    }
}

/// Needs root for a network namespace of its own; says so and passes where that is missing.
#[test]
fn nft_understands_the_text() {
    for (name, topology) in hosts() {
        let mut nft = Command::new("unshare");
        nft.args(["--net", "nft", "--check", "--file", "-"]);
        let child = nft
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!("skipped: no unshare here");
            return;
        };
        let text = compile(&topology).to_string();
        let sent = child.stdin.take().unwrap().write_all(text.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if sent.is_err() || said.contains("unshare") {
            eprintln!("skipped: {said}");
            return;
        }
        assert!(output.status.success(), "{name}: {said}");
    }
}
