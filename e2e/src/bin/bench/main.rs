//! Benches against a real dockerd: the same work on both engines, interleaved in one run, as a ratio.
//!
//! `cargo xtask bench [NAME] [ROUNDS] [MEGABYTES]`. Run it on a quiet machine: load changes ratios, not only times.

mod build;
mod copy;
mod crowd;
mod cycle;
mod dns;
mod http;
mod image;
mod memory;
mod network;
mod registry;
mod table;

use anyhow::Result;
use hakone_e2e::{Engine, Lab};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let only = words.next().unwrap_or_default();
    let rounds = words.next().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(15);
    let few = rounds.div_ceil(5);
    // Of images and blobs; less for a look whether it works.
    let megabytes = words.next().and_then(|text| text.parse().ok());
    let megabytes: u64 = megabytes.unwrap_or(400);
    let wanted = |name: &str| only.is_empty() || only == "all" || name == only;
    table::row(["what", "hakone", "dockerd", "ratio", "wanted"]);
    table::row(["---"; 5]);
    let quiet = "--log-level info";
    let (ours, theirs) = (
        Lab::with_run_in_memory(Engine::Hakone, quiet),
        Lab::with_run_in_memory(Engine::Dockerd, quiet),
    );
    let both = [&ours, &theirs];
    if wanted("memory") {
        memory::memory(both);
    }
    if wanted("run") {
        cycle::run(both, rounds);
    }
    if wanted("api") {
        cycle::api(both, rounds);
    }
    if wanted("fifty") {
        crowd::fifty(both, few);
    }
    if wanted("throughput") {
        network::throughput(both, few)?;
    }
    if wanted("exchange") {
        network::exchange(both, few)?;
    }
    if wanted("dns") {
        dns::answers(both, few)?;
    }
    if wanted("rate") {
        network::rate(&ours, few)?;
    }
    if wanted("flowlog") {
        network::flow_log(&ours, few)?;
    }
    if wanted("many") {
        crowd::many(&ours);
    }
    if wanted("copy") {
        copy::cp(both, few);
    }
    if wanted("registry") {
        registry::registry(both, few, megabytes);
    }
    if wanted("blobs") {
        registry::blobs(&ours, few, megabytes);
    }
    if wanted("load") {
        image::load(both, few);
    }
    if wanted("build") {
        build::build(both, few);
    }
    Ok(())
}
