//! The rules of a few telling hosts, as text: the snapshot is the documentation. `cargo xtask bless` renews it.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::disallowed_methods, reason = "blesses files of the checkout")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../policy/tests/worlds/hosts.rs"]
mod hosts;

use std::{env, fs, path::Path};

use hakone_iptables_model::compile;
use hosts::hosts;

#[test]
fn the_rules_are_those_of_the_snapshots() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    for (name, topology) in hosts() {
        let path = folder.join(name).with_extension("iptables");
        let text = compile(&topology).to_string();
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
