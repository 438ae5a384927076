//! Both back ends of the host's iptables keep the chains; needs root. Each test has a namespace of its own.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "tests may call iptables")]

use std::process::Command;

use hakone_base::BridgeName;
use hakone_iptables::{Chains, Forward, Variant};
use hakone_netns::Netns;

const THEIRS: [Forward; 2] = [Forward::AsItIs; 2];

fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn bridges(names: &[&str]) -> Vec<BridgeName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Runs a test once for each back end, with its programs' suffix.
fn with_both(test: impl Fn(&Chains, &str) + Sync) {
    for (variant, suffix) in [(Variant::Nft, "-nft"), (Variant::Legacy, "-legacy")] {
        let run = |_: &Netns| test(&Chains::of(variant, true).unwrap(), suffix);
        Netns::create(run).unwrap();
    }
}

#[test]
fn what_is_made_once_is_left_alone_the_second_time() {
    with_both(|chains, suffix| {
        assert!(chains.ensure(&bridges(&["br0", "br1"]), THEIRS).unwrap());
        assert!(!chains.ensure(&bridges(&["br0", "br1"]), THEIRS).unwrap());
        for family in ["iptables", "ip6tables"] {
            let listing = sh(&format!("{family}{suffix} -L -n"));
            assert!(listing.contains("Chain DOCKER (") && listing.contains("Chain DOCKER-USER ("));
        }
    });
}

#[test]
fn the_administrators_rules_stay_whatever_comes_and_goes() {
    with_both(|chains, suffix| {
        chains.ensure(&bridges(&["br0"]), THEIRS).unwrap();
        sh(&format!(
            "iptables{suffix} -I DOCKER -i eth0 ! -s 8.8.8.8 -j DROP
            iptables{suffix} -I DOCKER-USER -s 10.0.0.9 -j DROP
            iptables{suffix} -A FORWARD -i wg0 -j ACCEPT"
        ));
        for names in [&["br0", "br1"][..], &[], &["br0"]] {
            assert!(chains.ensure(&bridges(names), THEIRS).unwrap());
        }
        chains.remove().unwrap();
        let listing = sh(&format!("iptables{suffix} -S"));
        for rule in [
            "-A DOCKER ! -s 8.8.8.8/32 -i eth0 -j DROP",
            "-A DOCKER-USER -s 10.0.0.9/32 -j DROP",
            "-A FORWARD -i wg0 -j ACCEPT",
        ] {
            assert!(listing.contains(rule), "{listing}");
        }
        assert!(!listing.contains("HAKONE"), "{listing}");
    });
}

#[test]
fn forward_is_closed_once_and_again_after_a_flush_alone() {
    with_both(|chains, suffix| {
        let policy = || {
            sh(&format!("iptables{suffix} -S FORWARD | head -1"))
                .trim()
                .to_owned()
        };
        let ours = [Forward::Ours, Forward::AsItIs];
        assert!(chains.close_forward(false).unwrap());
        chains.ensure(&[], ours).unwrap();
        assert_eq!(policy(), "-P FORWARD DROP");
        sh(&format!("iptables{suffix} -P FORWARD ACCEPT"));
        chains.ensure(&bridges(&["br0"]), ours).unwrap();
        assert_eq!(
            policy(),
            "-P FORWARD ACCEPT",
            "the administrator decided so"
        );
        sh(&format!("iptables{suffix} -F; iptables{suffix} -X"));
        chains.ensure(&bridges(&["br0"]), ours).unwrap();
        assert_eq!(policy(), "-P FORWARD DROP");
        let v6 = sh(&format!("ip6tables{suffix} -S FORWARD | head -1"));
        assert_eq!(v6.trim(), "-P FORWARD ACCEPT", "not ours");
    });
}
