//! Benches against a real dockerd: the same work on both engines, interleaved in one run, as a ratio.
//!
//! `cargo xtask bench [NAME] [ROUNDS]`. Run it on a quiet machine: load changes ratios, not only times.

use std::{
    fs,
    time::{Duration, Instant},
};

use hakone_e2e::{Engine, IMAGE, Lab, eventually, sh};

/// Times of one bench on one engine.
struct Series(Vec<Duration>);

impl Series {
    fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    fn spread(&self) -> String {
        let low = self.0.iter().min().copied().unwrap_or_default();
        let high = self.0.iter().max().copied().unwrap_or_default();
        format!("{}..{} ms", millis(low), millis(high))
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

#[expect(clippy::print_stdout, reason = "a bench prints its table")]
fn row(name: &str, ours: &str, theirs: &str, ratio: &str) {
    println!("| {name} | {ours} | {theirs} | {ratio} |");
}

fn main() {
    let mut words = std::env::args().skip(1);
    let only = words.next().unwrap_or_default();
    let rounds: usize = words
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(15);
    row("what", "hakone", "dockerd", "ratio");
    row("---", "---", "---", "---");
    let wanted = |name: &str| only.is_empty() || only == "all" || name == only;
    let (ours, theirs) = (Lab::new(), Lab::with(Engine::Dockerd, ""));
    if wanted("run") {
        paired("docker run --rm true", &ours, &theirs, rounds, run);
    }
    if wanted("api") {
        paired(
            "create, start, wait, remove over the API",
            &ours,
            &theirs,
            rounds,
            api,
        );
    }
    if wanted("fifty") {
        paired(
            "50 containers at once until all run",
            &ours,
            &theirs,
            3,
            fifty,
        );
    }
    if wanted("memory") {
        memory(&ours, &theirs);
    }
    if wanted("throughput") {
        throughput(&ours, &theirs, 5);
    }
    if wanted("many") {
        many(&ours);
    }
}

fn paired(name: &str, ours: &Lab, theirs: &Lab, rounds: usize, work: fn(&Lab) -> Duration) {
    let (mut mine, mut peer) = (Vec::new(), Vec::new());
    work(ours);
    work(theirs);
    for _ in 0..rounds {
        mine.push(work(ours));
        peer.push(work(theirs));
    }
    let (mine, peer) = (Series(mine), Series(peer));
    let ratio = peer.median().as_secs_f64() / mine.median().as_secs_f64();
    let show = |series: &Series| format!("{} ms ({})", millis(series.median()), series.spread());
    row(
        name,
        &show(&mine),
        &show(&peer),
        &format!("{ratio:.1} times faster"),
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn run(lab: &Lab) -> Duration {
    timed(|| {
        lab.docker(&format!("run --rm {IMAGE} true")).ok();
    })
}

/// One connection each through curl would measure curl: a small client of our own speaks over one connection.
fn api(lab: &Lab) -> Duration {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        os::unix::net::UnixStream,
    };
    fn call(stream: &mut BufReader<UnixStream>, method: &str, path: &str, body: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: e\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.get_mut().write_all(request.as_bytes()).ok();
        let (mut length, mut chunked, mut line) = (0, false, String::new());
        loop {
            line.clear();
            stream.read_line(&mut line).ok();
            let lower = line.to_ascii_lowercase();
            chunked |= lower.starts_with("transfer-encoding: chunked");
            if let Some(text) = lower.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut text = Vec::new();
        while chunked {
            line.clear();
            stream.read_line(&mut line).ok();
            let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).ok();
            text.extend_from_slice(chunk.get(..size).unwrap_or_default());
            chunked = size > 0;
        }
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).ok();
        text.extend(rest);
        String::from_utf8_lossy(&text).into_owned()
    }
    let Ok(socket) = UnixStream::connect(lab.path("engine.sock")) else {
        return Duration::ZERO;
    };
    let mut stream = BufReader::new(socket);
    timed(|| {
        let body = format!(r#"{{"Image":"{IMAGE}","Cmd":["true"]}}"#);
        let created = call(&mut stream, "POST", "/v1.41/containers/create", &body);
        let created: serde_json::Value = serde_json::from_str(&created).unwrap_or_default();
        let id = created
            .get("Id")
            .and_then(|id| id.as_str())
            .unwrap_or_default()
            .to_owned();
        call(
            &mut stream,
            "POST",
            &format!("/v1.41/containers/{id}/start"),
            "",
        );
        call(
            &mut stream,
            "POST",
            &format!("/v1.41/containers/{id}/wait"),
            "",
        );
        call(
            &mut stream,
            "DELETE",
            &format!("/v1.41/containers/{id}"),
            "",
        );
    })
}

fn fifty(lab: &Lab) -> Duration {
    let started = timed(|| {
        lab.shell(&format!(
            "for i in $(seq 50); do docker run -d --name f$i {IMAGE} sleep 1000 >/dev/null & done; wait"
        ))
        .ok();
    });
    let running = lab.docker("ps -q").ok().lines().count();
    assert_eq!(running, 50, "not all run");
    lab.shell("docker ps -aq | xargs docker rm -f >/dev/null")
        .ok();
    started
}

/// Resident memory of the idle daemon with its standing helpers, and proportional set size of what stands by each container.
fn memory(ours: &Lab, theirs: &Lab) {
    let resident = |pids: &[u32]| pids.iter().map(|pid| status(*pid, "VmRSS:")).sum::<u64>();
    let own = [ours.pid()];
    let peer = descendants(theirs.pid());
    row(
        "idle daemon, resident",
        &mib(resident(&own)),
        &mib(resident(&peer)),
        "",
    );
    for lab in [ours, theirs] {
        for number in 0..20 {
            lab.docker(&format!("run -d --name m{number} {IMAGE} sleep 1000"))
                .ok();
        }
    }
    let mine = helpers("supervise")
        .iter()
        .map(|pid| pss(*pid))
        .sum::<u64>()
        / 20;
    let peer = helpers("containerd-shim")
        .iter()
        .map(|pid| pss(*pid))
        .sum::<u64>()
        / 20;
    row(
        "each running container's helpers, proportional",
        &mib(mine),
        &mib(peer),
        "",
    );
    for lab in [ours, theirs] {
        lab.shell("docker ps -aq | xargs docker rm -f >/dev/null")
            .ok();
    }
}

fn mib(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let value = bytes as f64 / (1 << 20) as f64;
    format!("{value:.2} MiB")
}

fn status(pid: u32, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    kilobytes(&text, key)
}

fn pss(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    kilobytes(&text, "Pss:")
}

fn kilobytes(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

fn descendants(pid: u32) -> Vec<u32> {
    let children = sh(&format!("pgrep -P {pid}")).stdout;
    let mut all = vec![pid];
    for child in children.lines().filter_map(|line| line.parse().ok()) {
        all.extend(descendants(child));
    }
    all
}

fn helpers(word: &str) -> Vec<u32> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            (pid != own && line.contains(word) && !line.contains("bench")).then_some(pid)
        })
        .collect()
}

/// Bytes a second between two containers of one network, by netcat from memory.
fn throughput(ours: &Lab, theirs: &Lab, rounds: usize) {
    for lab in [ours, theirs] {
        lab.docker("network create wire").ok();
        lab.docker(&format!("run -d --name sink --network wire {IMAGE} sh -c 'while :; do nc -l -p 9 > /dev/null; done'")).ok();
        lab.docker(&format!(
            "run -d --name source --network wire {IMAGE} sleep 1000"
        ))
        .ok();
    }
    let send = |lab: &Lab| {
        timed(|| {
            eventually("it is sent", || {
                lab.docker(
                    "exec source sh -c 'dd if=/dev/zero bs=1M count=1000 2>/dev/null | nc sink 9'",
                )
                .code
                    == 0
            });
        })
    };
    let (mut mine, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        mine.push(send(ours));
        peer.push(send(theirs));
    }
    let (mine, peer) = (Series(mine), Series(peer));
    let ratio = peer.median().as_secs_f64() / mine.median().as_secs_f64();
    row(
        "1000 MiB between two containers",
        &format!("{} ms", millis(mine.median())),
        &format!("{} ms", millis(peer.median())),
        &format!("{ratio:.2}"),
    );
    for lab in [ours, theirs] {
        lab.shell("docker rm -f sink source >/dev/null; docker network rm wire")
            .ok();
    }
}

/// The 300th container with a published port against the 3rd.
fn many(lab: &Lab) {
    lab.docker("network create crowd").ok();
    let mut times = Vec::new();
    for number in 0..302_u32 {
        let line = format!(
            "run -d --name k{number} --network crowd -p {}:80 {IMAGE} sleep 1000",
            10_000 + number
        );
        times.push(timed(|| {
            lab.docker(&line).ok();
        }));
    }
    let median = |range: std::ops::Range<usize>| {
        Series(times.get(range).unwrap_or_default().to_vec()).median()
    };
    let (first, last) = (median(1..6), median(297..302));
    let ratio = last.as_secs_f64() / first.as_secs_f64();
    row(
        "300th container with a port against the 3rd",
        &format!("{} ms", millis(last)),
        &format!("{} ms (the 3rd)", millis(first)),
        &format!("{ratio:.2}"),
    );
    lab.shell("docker ps -aq | xargs docker rm -f >/dev/null; docker network rm crowd")
        .ok();
}
