//! Many containers: fifty at once, and the 300th beside the 3rd.

use std::time::Duration;

use hakone_e2e::{IMAGE, Lab};

use crate::{
    http::Client,
    table::{Series, compared, row, timed},
};

/// Fifty containers from the first call until all run.
pub(crate) fn fifty(labs: [&Lab; 2], rounds: usize) {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (lab, times) in labs.iter().zip(&mut times) {
            times.push(start_fifty(lab));
        }
    }
    let [ours, theirs] = times.map(Series::new);
    compared("50 containers at once until all run", "10", &ours, &theirs);
}

/// Created before, so that what is measured is fifty starts and not fifty starts of the CLI.
fn start_fifty(lab: &Lab) -> Duration {
    lab.shell(&format!(
        "for i in $(seq 50); do docker create --name f$i {IMAGE} sleep 1000; done >/dev/null"
    ))
    .ok();
    let socket = lab.path("engine.sock");
    let start = |number: u32| {
        let mut client = Client::connect(&socket);
        client.call("POST", &format!("/v1.41/containers/f{number}/start"), "");
    };
    let time = timed(|| at_once(&start));
    let running = lab.docker("ps -q").ok().lines().count();
    assert_eq!(running, 50, "not all run");
    clear(lab);
    time
}

fn at_once(start: &(impl Fn(u32) + Sync)) {
    std::thread::scope(|scope| {
        for number in 1..=50 {
            scope.spawn(move || start(number));
        }
    });
}

/// The 300th container with a published port against the 3rd; medians of five around each.
pub(crate) fn many(lab: &Lab) {
    lab.docker("network create crowd").ok();
    let start = |number: u32| {
        let port = 10_000 + number;
        let line =
            format!("run -d --name k{number} --network crowd -p {port}:80 {IMAGE} sleep 1000");
        timed(|| drop(lab.docker(&line).ok()))
    };
    let times: Vec<Duration> = (1..=302).map(start).collect();
    let around =
        |range: std::ops::Range<usize>| Series::new(times.get(range).unwrap_or_default().to_vec());
    let (third, last) = (around(0..5), around(297..302));
    let ratio = last.median().as_secs_f64() / third.median().as_secs_f64();
    row([
        "the 300th container of a network with a published port, against the 3rd",
        &format!("{} against {}", last.shown(), third.shown()),
        "",
        &format!("{ratio:.2}"),
        "at most 1.3",
    ]);
    clear(lab);
    lab.docker("network rm crowd").ok();
}

/// Removes every container.
pub(crate) fn clear(lab: &Lab) {
    lab.shell("docker ps -aq | xargs -r docker rm -f >/dev/null")
        .ok();
}
