//! The embedded resolver: how many answers a second of the daemon's processor time gives.
//!
//! The client is a thread of the bench inside the container's namespace, with a window of questions under way: what is counted
//! is the daemon's own time, by `/proc`, so that the client's speed does not matter as long as the daemon is never idle long.

use std::{
    fs,
    net::UdpSocket,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use hakone_e2e::{IMAGE, Lab};

use crate::{
    crowd::clear,
    network::{inside, median, on},
    table::row,
};

/// How long each turn lasts.
const TURN: Duration = Duration::from_secs(3);
/// Questions under way at a time.
const WINDOW: u32 = 32;
/// Ticks of `/proc/PID/stat` in a second, on every Linux that programs see.
const TICKS: f64 = 100.0;

/// Answers to the name of a neighbour for each second of the daemon's processor time, turn by turn.
pub(crate) fn answers(labs: [&Lab; 2], rounds: usize) -> Result<()> {
    for lab in labs {
        lab.docker("network create names").ok();
        for name in ["target", "asker"] {
            let run = format!("run -d --name {name} --network names {IMAGE} sleep 1000");
            lab.docker(&run).ok();
        }
    }
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (lab, rates) in labs.iter().zip(&mut rates) {
            rates.push(turn(lab)?);
        }
    }
    let [ours, theirs] = rates.map(median);
    row([
        "answers of the embedded resolver for each second of the daemon's processor time",
        &format!("{ours:.0}"),
        &format!("{theirs:.0}"),
        &format!("{:.1}", ours / theirs),
        "at least 20",
    ]);
    for lab in labs {
        clear(lab);
        lab.docker("network rm names").ok();
    }
    Ok(())
}

fn turn(lab: &Lab) -> Result<f64> {
    let asker = inside(lab, "asker")?;
    let before = processor_time(lab)?;
    let count = on(&asker, ask)??;
    let spent = processor_time(lab)? - before;
    Ok(f64::from(count) / spent.max(1.0 / TICKS))
}

/// Keeps a window of questions under way and counts the answers; what is lost is asked again.
fn ask() -> Result<u32> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect("127.0.0.11:53")?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let (mut count, mut under_way, start) = (0, 0, Instant::now());
    let mut buffer = [0; 512];
    while start.elapsed() < TURN {
        while under_way < WINDOW {
            socket.send(&question(count))?;
            under_way += 1;
        }
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let answered = buffer.get(..length).is_some_and(is_answer);
                anyhow::ensure!(answered, "the name is known");
                count += 1;
                under_way -= 1;
            }
            Err(_) => under_way = 0,
        }
    }
    Ok(count)
}

/// `target`, type A.
fn question(number: u32) -> Vec<u8> {
    let [_, _, high, low] = number.to_be_bytes();
    let head = [high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&head[..], b"\x06target\x00\x00\x01\x00\x01"].concat()
}

/// No error, and one address.
fn is_answer(answer: &[u8]) -> bool {
    answer.get(3).is_some_and(|code| code & 15 == 0) && answer.get(6..8) == Some(&[0, 1])
}

/// Gives the seconds that all threads of the daemon have worked, for themselves and in the kernel.
fn processor_time(lab: &Lab) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", lab.pid()))?;
    let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = fields.get(11..13).context("a process has times")?;
    let ticks = ticks.iter().map(|text| text.parse::<f64>());
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS)
}
