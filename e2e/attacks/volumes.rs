//! Attacks on what containers share of files: a volume whose parts one of them swaps while others are started on it.

use hakone_e2e::{IMAGE, Lab};

/// Swaps a folder of the volume and a link to the host's root, without end.
const SWAP: &str = "mkdir -p /v/part; touch /v/part/inside; ln -s / /v/link; \
    while :; do mv /v/part /v/kept; mv /v/link /v/part; mv /v/part /v/link; mv /v/kept /v/part; done";

/// Starts under attack; what is swapped wins or loses against each of them.
const STARTS: u32 = 60;

/// The attack of CVE-2021-25741: the part is looked up while it is a folder, and mounted once it is a link.
#[test]
fn a_part_of_a_volume_never_leads_out_of_it() {
    let lab = Lab::new();
    lab.docker("volume create shared").ok();
    lab.docker(&format!(
        "run -d --name mallory --network none -v shared:/v {IMAGE} sh -c '{SWAP}'"
    ))
    .ok();
    let mount = "--mount type=volume,src=shared,dst=/m,volume-subpath=part";
    let mut started = 0;
    for _ in 0..STARTS {
        let listed = lab.docker(&format!("run --rm --network none {mount} {IMAGE} ls /m"));
        let names: Vec<&str> = listed.stdout.split_whitespace().collect();
        let host = ["proc", "sys", "etc", "usr"]
            .iter()
            .find(|name| names.contains(name));
        assert_eq!(host, None, "the host's root: {names:?}");
        started += u32::from(listed.code == 0);
    }
    assert!(
        started > 0,
        "no start met the folder: the attack is no measure"
    );
}
