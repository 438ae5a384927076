//! Attacks that once worked on a runtime, each on a container prepared for it.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::symlink,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use hakone_runtime::{Running, StartError, Stdio};
use hakone_sys::{exit_now, fork};
use rustix::process::{WaitOptions, waitpid};
use serde_json::{Value, json};

use crate::lab::{Lab, kill, pipes, wait};

type Test = (&'static str, fn());

pub(crate) const ALL: &[Test] = &[
    (
        "cve_2016_9962_a_command_on_its_way_in_cannot_be_looked_into",
        a_command_on_its_way_in_cannot_be_looked_into,
    ),
    (
        "cve_2025_31133_a_masked_path_is_covered_whatever_the_containers_null_is",
        a_masked_path_is_covered_whatever_the_containers_null_is,
    ),
    (
        "cve_2025_52565_a_console_that_is_a_link_leads_nowhere",
        a_console_that_is_a_link_leads_nowhere,
    ),
    (
        "cve_2025_52881_a_parameter_is_written_to_proc_or_not_at_all",
        a_parameter_is_written_to_proc_or_not_at_all,
    ),
];

/// The attacker shares the victim's processes and has every right but those that mean the whole host: to trace, and
/// `CAP_SYS_ADMIN`, to which the kernel shows any process's maps. The victim's control group is
/// frozen, so the command stops as soon as it has entered: inside, with the daemon's rights, not yet the program.
fn a_command_on_its_way_in_cannot_be_looked_into() {
    let mut victim = Lab::new();
    let target = victim.start_sleeping();
    let mut attacker = Lab::new();
    let pids = format!("/proc/{}/ns/pid", target.pid.as_raw_nonzero());
    for namespace in attacker.spec["linux"]["namespaces"].as_array_mut().unwrap() {
        if namespace["type"] == "pid" {
            namespace["path"] = json!(pids);
        }
    }
    let rights = RIGHTS.map(|name| format!("CAP_{name}"));
    attacker.spec["process"]["capabilities"] =
        json!({"bounding": rights, "effective": rights, "permitted": rights});
    let beside = attacker.start_sleeping();
    let before = victim.cgroup.pids().unwrap();
    victim.cgroup.freeze().unwrap();
    // Single-threaded as the runtime demands of its caller: the command comes from a fork.
    let Some(caller) = fork().unwrap() else {
        let came = victim.exec(&target, "echo through; sleep 0.1");
        exit_now(i32::from(came.unwrap().text != "through\n"));
    };
    let seen = newcomer(&victim, &before).map(|pid| look(&attacker, &beside, pid));
    victim.cgroup.thaw().unwrap();
    let (_pid, status) = waitpid(Some(caller), WaitOptions::empty())
        .unwrap()
        .unwrap();
    assert_eq!(status.exit_status(), Some(0), "the command runs after all");
    let seen = seen.expect("the command entered the frozen group");
    assert!(seen.contains("name "), "the attacker sees it: {seen}");
    for part in ["root ", "cwd ", "exe ", "fd ", "memory "] {
        assert!(!seen.contains(part), "{part}: {seen}");
    }
    // The same look at a process that has become its program: what the attack would have seen.
    let seen = look(&attacker, &beside, beside.pid.as_raw_nonzero().get());
    assert!(seen.contains("root /"), "{seen}");
    kill(&beside);
    kill(&target);
}

const RIGHTS: [&str; 17] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_RAWIO",
    "SYS_CHROOT",
];

/// Waits for a process in the group that was not there.
fn newcomer(lab: &Lab, before: &[rustix::process::Pid]) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let now = lab.cgroup.pids().unwrap();
        if let Some(pid) = now.iter().find(|pid| !before.contains(pid)) {
            return Some(pid.as_raw_nonzero().get());
        }
        thread::sleep(Duration::from_millis(2));
    }
    None
}

/// Looks from inside of the attacker's container at a process, given by its number outside.
fn look(attacker: &Lab, beside: &Running, pid: i32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let numbers = status.lines().find(|line| line.starts_with("NSpid:"));
    let inside = numbers.and_then(|line| line.split_whitespace().last());
    let at = format!("/proc/{}", inside.unwrap());
    let line = format!(
        "cd {at}; echo \"name $(head -n 1 status)\"; \
         for l in root cwd exe; do t=$(readlink $l) && echo \"$l $t\"; done; \
         for f in fd/*; do t=$(readlink $f) && echo \"fd $t\"; done; \
         head -c 1 mem > /tmp/byte && test -s /tmp/byte && echo \"memory read\"; \
         grep -q . maps && echo \"memory shown\"; true"
    );
    attacker.exec(beside, &line).unwrap().text
}

/// Takes the tmpfs on `/dev` away and binds a folder there that the attacker has filled.
fn bind_dev(lab: &mut Lab) -> PathBuf {
    let folder = lab.folder().join("dev");
    fs::create_dir(&folder).unwrap();
    for one in lab.spec["mounts"].as_array_mut().unwrap() {
        if one["destination"] == "/dev" {
            *one = bind("/dev", &folder);
        }
    }
    fs::write(lab.root().join("victim"), "untouched").unwrap();
    folder
}

fn bind(destination: &str, source: &std::path::Path) -> Value {
    json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", "rprivate"]})
}

fn a_masked_path_is_covered_whatever_the_containers_null_is() {
    let mut lab = Lab::new();
    let folder = bind_dev(&mut lab);
    symlink("/victim", folder.join("null")).unwrap();
    fs::write(lab.root().join("secret"), "secret").unwrap();
    lab.spec["linux"]["maskedPaths"] = json!(["/proc/timer_list", "/secret"]);
    let output = lab.sh(
        "stat -c %t:%T /proc/timer_list /secret; echo changed > /proc/timer_list; echo changed > /secret; \
         cat /secret /proc/timer_list /victim",
    );
    assert_eq!(output.text, "1:3\n1:3\nuntouched");
}

fn a_console_that_is_a_link_leads_nowhere() {
    for place in ["/victim", "/proc/sys/kernel/domainname"] {
        let mut lab = Lab::new();
        let folder = bind_dev(&mut lab);
        symlink(place, folder.join("console")).unwrap();
        lab.args(&["/bin/sh", "-c", &format!("test -c {place} && echo reached")]);
        let size = Stdio::Terminal { rows: 1, cols: 1 };
        let Ok(created) = lab.create(size) else {
            continue;
        };
        let running = created.start().unwrap();
        let mut console = File::from(running.console.as_ref().unwrap().try_clone().unwrap());
        let mut text = Vec::new();
        let mut buffer = [0; 256];
        while let Ok(count @ 1..) = console.read(&mut buffer) {
            text.extend(&buffer[..count]);
        }
        wait(&running);
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("reached"), "{place}: {text}");
    }
}

fn a_parameter_is_written_to_proc_or_not_at_all() {
    let mut lab = Lab::new();
    let fake = lab.folder().join("fake");
    let file = fake.join("sys/kernel/shmmax");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "untouched").unwrap();
    lab.spec["linux"]["sysctl"] = json!({"kernel.shmmax": "65536"});
    lab.spec["linux"]["maskedPaths"] = json!([]);
    lab.spec["linux"]["readonlyPaths"] = json!([]);
    let honest = lab.spec["mounts"][0].clone();
    lab.spec["mounts"][0] = bind("/proc", &fake);
    refused(&lab, "/proc is not a proc file system");
    assert_eq!(fs::read_to_string(&file).unwrap(), "untouched");
    // Over a part of the true one.
    lab.spec["mounts"][0] = honest;
    lab.add_mount(bind("/proc/sys/kernel", &fake.join("sys/kernel")));
    refused(&lab, "/proc");
    assert_eq!(fs::read_to_string(&file).unwrap(), "untouched");
}

fn refused(lab: &Lab, why: &str) {
    let (_reader, stdio) = pipes();
    let error: StartError = lab.create(stdio).err().unwrap();
    assert!(error.to_string().contains(why), "{error}");
}
