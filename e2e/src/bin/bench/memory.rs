//! What an engine keeps in memory: the idle daemon, and what stands by each container.

use std::{fs, thread, time::Duration};

use hakone_e2e::{IMAGE, Lab, sh};

use crate::{crowd::clear, table::row};

/// How many containers share what their helpers share.
const CROWD: u64 = 20;

/// How long nobody asks before a daemon counts as idle.
const IDLE: Duration = Duration::from_secs(30);

/// Resident memory of the daemons, and proportional set size of all helpers of a running container.
pub(crate) fn memory(labs: [&Lab; 2]) {
    let [ours, theirs] = labs.map(|lab| {
        lab.docker(&format!("run --rm {IMAGE} true")).ok();
        mib(resident_of_all(lab))
    });
    row([
        "daemon with its standing helpers, resident, right after a container ran",
        &ours,
        &theirs,
        "",
        "",
    ]);
    let [ours, theirs] = labs.map(|lab| mib(settled(lab)));
    row([
        "idle daemon with its standing helpers, resident",
        &ours,
        &theirs,
        "",
        "at most 25 MiB",
    ]);
    let [ours, theirs] = labs.map(|lab| mib(helpers_of_one(lab)));
    row([
        "each of 20 running containers, all helper processes, proportional",
        &ours,
        &theirs,
        "",
        "at most 1.5 MiB",
    ]);
}

fn helpers_of_one(lab: &Lab) -> u64 {
    for number in 0..CROWD {
        lab.docker(&format!("run -d --name m{number} {IMAGE} sleep 1000"))
            .ok();
    }
    let helpers = helpers(&lab.path("").display().to_string());
    let all: u64 = helpers.iter().map(|pid| proportional(*pid)).sum();
    clear(lab);
    all / CROWD
}

/// Finds the supervisors and shims of one laboratory: both name its folder.
fn helpers(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let helper = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let is_helper = ["supervise\0", "containerd-shim", "docker-proxy"]
            .iter()
            .any(|word| line.contains(word));
        (is_helper && line.contains(folder)).then_some(pid)
    };
    entries.filter_map(helper).collect()
}

fn resident_of_all(lab: &Lab) -> u64 {
    let all = descendants(lab.pid());
    all.iter().map(|pid| resident(*pid)).sum()
}

/// What stays resident when nobody asks for anything: the figure that half a minute ends with.
fn settled(lab: &Lab) -> u64 {
    thread::sleep(IDLE);
    resident_of_all(lab)
}

fn descendants(pid: u32) -> Vec<u32> {
    let children = sh(&format!("pgrep -P {pid}")).stdout;
    let mut all = vec![pid];
    for child in children.lines().filter_map(|line| line.parse().ok()) {
        all.extend(descendants(child));
    }
    all
}

fn resident(pid: u32) -> u64 {
    kilobytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

pub(crate) fn proportional(pid: u32) -> u64 {
    kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kilobytes(path: &str, key: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

pub(crate) fn mib(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let value = bytes as f64 / f64::from(1 << 20);
    format!("{value:.2} MiB")
}
