//! Packets: throughput between two containers, new connections through published ports.
//!
//! Both ends are threads of the bench inside the namespaces: no program's start and no program's loop is measured.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use hakone_e2e::{Engine, IMAGE, Lab};
use rustix::{
    net::sockopt::set_socket_linger,
    thread::{
        CpuSet, LinkNameSpaceType, move_into_link_name_space, sched_getaffinity, sched_setaffinity,
    },
};

use crate::{crowd::clear, table::row};

/// How long each turn lasts.
const TURN: Duration = Duration::from_secs(2);
/// How many ports the second container of [`rate`] publishes.
const PORTS: u16 = 1000;

/// Bytes a second between two containers of one bridge, turn by turn, each end on a processor of its own.
pub(crate) fn throughput(labs: [&Lab; 2], rounds: usize) -> Result<()> {
    let [ours, theirs] = on_a_wire(labs, rounds, send)?;
    row([
        "throughput between two containers of a bridge",
        &format!("{:.1} Gbit/s", ours / 1e9),
        &format!("{:.1} Gbit/s", theirs / 1e9),
        &format!("{:.2}", ours / theirs),
        "at least 1.0",
    ]);
    Ok(())
}

/// Measures between the containers `source` and `sink` of one bridge, turn by turn, and gives each engine's median.
fn on_a_wire(
    labs: [&Lab; 2],
    rounds: usize,
    measure: impl Fn(&Lab) -> Result<f64>,
) -> Result<[f64; 2]> {
    for lab in labs {
        lab.docker("network create wire").ok();
        for name in ["sink", "source"] {
            lab.docker(&format!(
                "run -d --name {name} --network wire {IMAGE} sleep 1000"
            ))
            .ok();
        }
    }
    let mut turns = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (lab, turns) in labs.iter().zip(&mut turns) {
            turns.push(measure(lab)?);
        }
    }
    for lab in labs {
        clear(lab);
        lab.docker("network rm wire").ok();
    }
    Ok(turns.map(median))
}

/// Finds the address of `sink`.
fn sink(lab: &Lab, port: u16) -> Result<SocketAddr> {
    let address =
        lab.docker("inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' sink");
    Ok(format!("{}:{port}", address.ok()).parse()?)
}

/// Sends for a turn and gives the bits a second that arrived.
fn send(lab: &Lab) -> Result<f64> {
    let address = sink(lab, 9000)?;
    let (sink, source) = (inside(lab, "sink")?, inside(lab, "source")?);
    let listener = on(&sink, || TcpListener::bind("0.0.0.0:9000"))??;
    thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            stay_on(1)?;
            receive(&listener)
        });
        on(&source, || stay_on(0).and_then(|()| flood(address)))??;
        let speed = receiving.join();
        speed.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn flood(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let (chunk, start) = (vec![0; 128 << 10], Instant::now());
    while start.elapsed() < TURN {
        stream.write_all(&chunk)?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn receive(listener: &TcpListener) -> Result<f64> {
    let (mut stream, _) = listener.accept()?;
    let (mut chunk, mut count, start) = (vec![0; 128 << 10], 0_usize, Instant::now());
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok(count as f64 * 8.0 / start.elapsed().as_secs_f64()),
            read => count += read,
        }
    }
}

/// Requests and responses a second, of one byte each, between two containers of one bridge, turn by turn.
pub(crate) fn exchange(labs: [&Lab; 2], rounds: usize) -> Result<()> {
    let [ours, theirs] = on_a_wire(labs, rounds, talk)?;
    row([
        "requests and responses a second between two containers of a bridge",
        &format!("{ours:.0}"),
        &format!("{theirs:.0}"),
        &format!("{:.2}", ours / theirs),
        "at least 0.97",
    ]);
    Ok(())
}

/// Talks for a turn, both ends on one processor: each waits for the other anyway.
fn talk(lab: &Lab) -> Result<f64> {
    let address = sink(lab, 9001)?;
    let (sink, source) = (inside(lab, "sink")?, inside(lab, "source")?);
    let listener = on(&sink, || TcpListener::bind("0.0.0.0:9001"))??;
    thread::scope(|scope| {
        let answering = scope.spawn(move || {
            stay_on(0)?;
            answer(&listener)
        });
        let rate = on(&source, || stay_on(0).and_then(|()| request(address)))??;
        let ended = answering.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(rate)
    })
}

fn request(address: SocketAddr) -> Result<f64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut count, mut byte, start) = (0_u32, [0], Instant::now());
    while start.elapsed() < TURN {
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

fn answer(listener: &TcpListener) -> Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 {
        stream.write_all(&byte)?;
    }
    Ok(())
}

/// New connections a second from outside through a published port: one published, and the last of a thousand, turn by turn.
///
/// All on one processor: whether the two ends share one by chance counts for a factor of three.
pub(crate) fn rate(lab: &Lab, rounds: usize) -> Result<()> {
    let all = sched_getaffinity(None)?;
    stay_on(0)?;
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        few.push(publish(lab, 20_000, 20_000)?);
        many.push(publish(lab, 20_000, 20_000 + PORTS - 1)?);
    }
    sched_setaffinity(None, &all)?;
    let (few, many) = (median(few), median(many));
    row([
        "new connections a second through a published port, 1,000 published against 1",
        &format!("{many:.0} against {few:.0}"),
        "",
        &format!("{:.2}", many / few),
        "at least 0.9",
    ]);
    Ok(())
}

/// New connections a second through a published port, with and without the flow log, turn by turn.
pub(crate) fn flow_log(silent: &Lab, rounds: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("flows");
    let arguments = format!("--log-level info --flow-log {}", file.display());
    let telling = Lab::with_run_in_memory(Engine::Hakone, &arguments);
    let all = sched_getaffinity(None)?;
    stay_on(0)?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        without.push(publish(silent, 20_000, 20_000)?);
        with.push(publish(&telling, 20_000, 20_000)?);
    }
    sched_setaffinity(None, &all)?;
    let lines = std::fs::read_to_string(&file)?.lines().count();
    let (without, with) = (median(without), median(with));
    row([
        &format!("new connections a second with the flow log ({lines} lines) against without"),
        &format!("{with:.0} against {without:.0}"),
        "",
        &format!("{:.3}", with / without),
        "at least 0.95",
    ]);
    Ok(())
}

/// Publishes a range on a container and connects through its last port for a turn.
fn publish(lab: &Lab, first: u16, last: u16) -> Result<f64> {
    let range = format!("{first}-{last}");
    lab.docker(&format!(
        "run -d --name gate -p {range}:{range} {IMAGE} sleep 1000"
    ))
    .ok();
    let gate = inside(lab, "gate")?;
    let listener = on(&gate, || TcpListener::bind(("0.0.0.0", last)))??;
    let closing = listener.try_clone()?;
    let accepting = thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            drop(stream);
        }
    });
    let outside = File::open(format!("/run/netns/{}", lab.outside.name()))?;
    let rate = on(&outside, || knock(SocketAddr::from(([10, 99, 0, 1], last))))?;
    rustix::net::shutdown(&closing, rustix::net::Shutdown::Both).ok();
    accepting.join().ok();
    clear(lab);
    rate
}

/// Connects and resets, so that no port waits to be used again.
fn knock(address: SocketAddr) -> Result<f64> {
    let (mut count, start) = (0_u32, Instant::now());
    while start.elapsed() < TURN {
        let stream = TcpStream::connect(address).context("a published port answers")?;
        set_socket_linger(&stream, Some(Duration::ZERO))?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// Keeps the calling thread and its children on one processor.
fn stay_on(processor: usize) -> Result<()> {
    let mut one = CpuSet::new();
    one.set(processor);
    Ok(sched_setaffinity(None, &one)?)
}

/// Opens the network namespace of a container.
pub(crate) fn inside(lab: &Lab, name: &str) -> Result<File> {
    let pid = lab
        .docker(&format!("inspect -f '{{{{.State.Pid}}}}' {name}"))
        .ok();
    Ok(File::open(format!("/proc/{pid}/ns/net"))?)
}

/// Runs something inside a namespace, on a thread of its own.
pub(crate) fn on<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| {
        let working = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        });
        working
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
