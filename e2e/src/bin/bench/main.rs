//! Benches against a real dockerd: the same work on both engines, interleaved in one run, as a ratio.
//!
//! `cargo xtask bench [NAME] [ROUNDS] [MEGABYTES]`. Run it on a quiet machine: load changes ratios, not only times.

mod build;
mod compose;
mod copy;
mod crowd;
mod cycle;
mod daily;
mod dns;
mod http;
mod image;
mod load;
mod memory;
mod network;
mod registry;
mod table;

use anyhow::Result;
use hakone_e2e::{Engine, Lab};

/// What a bench works with.
struct Run<'a> {
    /// Ours and the peer.
    both: [&'a Lab; 2],
    /// How often, of what is quick.
    rounds: usize,
    /// How often, of what takes its time.
    few: usize,
    /// Of images and blobs; less for a look whether it works.
    megabytes: u64,
}

type Bench = fn(&Run<'_>) -> Result<()>;

/// All benches, by the names that they are asked for by.
const BENCHES: [(&str, Bench); 22] = [
    ("memory", |run| {
        memory::memory(run.both);
        Ok(())
    }),
    ("run", |run| {
        cycle::run(run.both, run.rounds);
        Ok(())
    }),
    ("api", |run| {
        cycle::api(run.both, run.rounds);
        Ok(())
    }),
    ("fifty", |run| {
        crowd::fifty(run.both, run.few);
        Ok(())
    }),
    ("throughput", |run| network::throughput(run.both, run.few)),
    ("exchange", |run| network::exchange(run.both, run.few)),
    ("dns", |run| dns::answers(run.both, run.few)),
    ("rate", |run| network::rate(run.both[0], run.few)),
    ("flowlog", |run| network::flow_log(run.both[0], run.few)),
    ("many", |run| {
        crowd::many(run.both[0]);
        Ok(())
    }),
    ("copy", |run| {
        copy::cp(run.both, run.few);
        Ok(())
    }),
    ("list", |run| {
        daily::list(run.both, run.rounds);
        Ok(())
    }),
    ("exec", |run| {
        daily::exec(run.both, run.rounds);
        Ok(())
    }),
    ("logs", |run| {
        daily::logs(run.both, run.few);
        Ok(())
    }),
    ("store", |run| {
        load::store(run.both[0], run.rounds);
        Ok(())
    }),
    ("followed", |run| load::followed(run.both[0])),
    ("mix", |run| load::mixed(run.both[0], run.rounds)),
    ("compose", |run| {
        compose::compose(run.both, run.few);
        Ok(())
    }),
    ("registry", |run| {
        registry::registry(run.both, run.few, run.megabytes);
        Ok(())
    }),
    ("blobs", |run| {
        registry::blobs(run.both[0], run.few, run.megabytes);
        Ok(())
    }),
    ("load", |run| {
        image::load(run.both, run.few);
        Ok(())
    }),
    ("build", |run| {
        build::build(run.both, run.few);
        Ok(())
    }),
];

/// What runs only when it is asked for.
const LONG: [&str; 1] = ["mix"];

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let only = words.next().unwrap_or_default();
    let rounds = words.next().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(15);
    let megabytes = words.next().and_then(|text| text.parse().ok());
    table::row(["what", "hakone", "dockerd", "ratio", "wanted"]);
    table::row(["---"; 5]);
    let quiet = "--log-level info";
    let (ours, theirs) = (
        Lab::with_run_in_memory(Engine::Hakone, quiet),
        Lab::with_run_in_memory(Engine::Dockerd, quiet),
    );
    let run = Run {
        both: [&ours, &theirs],
        rounds,
        few: rounds.div_ceil(5),
        megabytes: megabytes.unwrap_or(400),
    };
    for (name, bench) in BENCHES {
        let all = only.is_empty() || only == "all";
        if name == only || all && !LONG.contains(&name) {
            bench(&run)?;
        }
    }
    Ok(())
}
