//! The kernel's calls, files and devices, tried from inside a container: `kernel.py` has the attacks, here stand the containers.
//!
//! A container without any flag is the one that matters: it is what `docker run IMAGE` gives. The same attacks from a privileged one
//! are the control: most of them work there, so they are attacks.

use std::collections::BTreeSet;

use hakone_e2e::{Engine, IMAGE, Lab, host_python};

/// The host's Python and the attacks in a container.
fn program() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/attacks");
    format!(
        "{} -v {folder}:/attacks:ro -v volume:/volume",
        host_python()
    )
}

/// Runs all attacks in a container of these flags; gives how many there were and the names of those that worked.
fn open(lab: &Lab, flags: &str) -> (usize, BTreeSet<String>) {
    let line = format!(
        "run --rm {flags} {} {IMAGE} /usr/bin/python3 -B /attacks/kernel.py",
        program()
    );
    judge(&lab.docker(&line).ok())
}

fn judge(told: &str) -> (usize, BTreeSet<String>) {
    let not_shut = told.lines().filter(|line| !line.ends_with(" shut"));
    (told.lines().count(), not_shut.map(str::to_owned).collect())
}

#[track_caller]
fn shut(lab: &Lab, flags: &str) {
    let (attacks, open) = open(lab, flags);
    assert!(attacks >= 50, "{attacks} attacks");
    assert!(open.is_empty(), "{flags}: {open:?}");
}

#[test]
fn no_call_file_or_device_leads_out_of_a_container() {
    let lab = Lab::new();
    for flags in [
        "",
        "--cap-add NET_RAW --cap-add NET_ADMIN",
        "--user 1000",
        "--read-only",
        "--network none --init --tty",
        "--security-opt no-new-privileges --cap-drop ALL",
        "--label dev.hakone.hardened=true",
    ] {
        shut(&lab, flags);
    }
    let (_, open) = open(&lab, "--privileged");
    assert!(open.len() > 20, "the control: {open:?}");
}

#[test]
fn a_command_in_a_container_and_a_mapped_root_get_no_further() {
    let lab = Lab::new();
    lab.docker(&format!(
        "run -d --name box {} {IMAGE} sleep 1000",
        program()
    ))
    .ok();
    for flags in ["", "--user 1000", "--tty"] {
        let line = format!("exec {flags} box /usr/bin/python3 -B /attacks/kernel.py");
        let (attacks, open) = judge(&lab.docker(&line).ok());
        assert!(attacks >= 50 && open.is_empty(), "exec {flags}: {open:?}");
    }
    let lab = Lab::with(Engine::Hakone, "--userns-remap default");
    shut(&lab, "");
}

/// `mknod_allowed`: a node in a volume is one for whoever reads the volume, also without the container's device rules.
#[test]
fn a_volume_opens_devices_only_for_who_was_given_them() {
    let lab = Lab::new();
    let inside = |flags: &str, line: &str| {
        lab.docker(&format!("run --rm {flags} -v shared:/v {IMAGE} {line}"))
            .code
    };
    let make = "sh -c 'mknod /v/n c 1 3 && chmod 666 /v/n'";
    assert_ne!(inside("", make), 0);
    assert_eq!(inside("--cap-add MKNOD", make), 0, "the control");
    let open = "sh -c 'echo x > /v/n'";
    assert_ne!(inside("", open), 0);
    assert_ne!(inside("--cap-add NET_RAW", open), 0);
    assert_eq!(inside("--cap-add MKNOD", open), 0, "the control");
    assert_eq!(inside("--privileged", open), 0, "the control");
    let options = format!("run --rm -v shared:/v {IMAGE} grep \" /v \" /proc/mounts");
    assert!(lab.docker(&options).ok().contains("nodev"));
    let from = format!("run --rm --volumes-from first {IMAGE} grep \" /v \" /proc/mounts");
    lab.docker(&format!("create --name first -v /v {IMAGE} true"))
        .ok();
    assert!(lab.docker(&from).ok().contains("nodev"));
}
