//! How long an endpoint takes; run with `--ignored --nocapture` and a release build.

use std::time::{Duration, Instant};

use crate::lab::on_own_host;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
#[ignore = "prints figures"]
fn figures_of_one_endpoint() {
    on_own_host(|lab| {
        lab.network("named", |_| {});
        for (what, networks) in [
            ("default bridge", &[][..]),
            ("named, with resolver", &["named"][..]),
        ] {
            let (mut prepare, mut wire, mut release) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..101 {
                let request = crate::lab::request("a", networks);
                let id = request.container.clone();
                lab.runtime.block_on(async {
                    let start = Instant::now();
                    let mut sandbox = lab.service.prepare(request).await.unwrap();
                    prepare.push(start.elapsed());
                    let start = Instant::now();
                    lab.service.wire(&mut sandbox).await.unwrap();
                    wire.push(start.elapsed());
                    let start = Instant::now();
                    lab.service.release(&id).await.unwrap();
                    release.push(start.elapsed());
                });
                crate::lab::until("the kernel's cleaning up", || {
                    !lab.links().iter().any(|link| link.name.starts_with("hk"))
                });
            }
            let [prepare, wire, release] = [prepare, wire, release].map(median);
            println!("{what}: prepare {prepare:?}, wire {wire:?}, release {release:?}");
        }
    });
}
