//! How long an endpoint takes; run with `--ignored --nocapture` and a release build.

use std::time::{Duration, Instant};

use crate::lab::{Lab, links, on_own_host, request, until};

#[test]
#[ignore = "prints figures"]
fn figures_of_one_endpoint() {
    on_own_host(|lab| {
        lab.network("named", |_| {});
        for (what, networks) in [
            ("default bridge", &[][..]),
            ("with resolver", &["named"][..]),
        ] {
            let times: Vec<[Duration; 3]> = (0..101)
                .map(|_| lab.runtime.block_on(once(lab, networks)))
                .collect();
            let [prepare, wire, release] = [0, 1, 2].map(|step| median(&times, step));
            println!("{what}: prepare {prepare:?}, wire {wire:?}, release {release:?}");
        }
    });
}

/// Makes and gives back one sandbox, and waits for the kernel to have cleaned up after it.
async fn once(lab: &Lab, networks: &[&str]) -> [Duration; 3] {
    let request = request("a", networks);
    let id = request.container.clone();
    let start = Instant::now();
    let mut sandbox = lab.service.prepare(request).await.unwrap();
    let prepare = start.elapsed();
    let start = Instant::now();
    lab.service.wire(&mut sandbox).await.unwrap();
    let wire = start.elapsed();
    let start = Instant::now();
    lab.service.release(&id).await.unwrap();
    let release = start.elapsed();
    drop(sandbox);
    let is_clean = || {
        !links()
            .iter()
            .any(|link| link.name.starts_with("hk") && link.kind == "veth")
    };
    until("the kernel's cleaning up", is_clean);
    [prepare, wire, release]
}

fn median(times: &[[Duration; 3]], step: usize) -> Duration {
    let mut times: Vec<Duration> = times
        .iter()
        .filter_map(|times| times.get(step).copied())
        .collect();
    times.sort();
    times.get(times.len() / 2).copied().unwrap()
}
