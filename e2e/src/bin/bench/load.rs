//! Load without a peer: a store of ten thousand containers, five hundred whose logs are followed, a hundred clients that mix everything.

use std::time::Duration;

use anyhow::{Result, ensure};
use hakone_e2e::{IMAGE, Lab, Unread, mix};

use crate::{
    crowd::clear,
    daily::fill,
    http::Client,
    memory::{mib, proportional},
    table::{Series, row, timed},
};

/// Lists all of ten thousand containers.
pub(crate) fn store(lab: &Lab, rounds: usize) {
    const STORE: usize = 10_000;
    fill(lab, STORE);
    let mut client = Client::connect(&lab.path("engine.sock"));
    let mut list = || drop(client.call("GET", "/v1.41/containers/json?all=1", ""));
    let times = (0..rounds).map(|_| timed(&mut list)).collect();
    row([
        "API: all of 10,000",
        &Series::new(times).shown(),
        "",
        "",
        "at most 100 ms",
    ]);
    clear(lab);
}

/// The daemon's memory while the logs of five hundred running containers are followed.
pub(crate) fn followed(lab: &Lab) -> Result<()> {
    const CROWD: usize = 500;
    let socket = lab.path("engine.sock");
    let mut client = Client::connect(&socket);
    let mut streams = Vec::new();
    for number in 0..CROWD {
        let body = format!(
            r#"{{"Image":"{IMAGE}","Cmd":["sh","-c","while echo tick; do sleep 5; done"]}}"#
        );
        let path = format!("/v1.41/containers/create?name=f{number}");
        client.call("POST", &path, &body);
        client.call("POST", &format!("/v1.41/containers/f{number}/start"), "");
        let path = format!("/v1.41/containers/f{number}/logs?stdout=1&follow=1");
        streams.push(Unread::open(&socket, &path)?);
    }
    let shown = mib(proportional(lab.pid()));
    let mut silent = 0;
    for stream in streams {
        silent += usize::from(!stream.comes("tick", Duration::from_secs(20))?);
    }
    ensure!(silent == 0, "{silent} logs did not come");
    row([
        "500 running containers with followed logs, daemon, proportional",
        &shown,
        "",
        "",
        "at most 150 MB",
    ]);
    clear(lab);
    Ok(())
}

/// A hundred clients that mix everything, for minutes.
pub(crate) fn mixed(lab: &Lab, minutes: usize) -> Result<()> {
    const CLIENTS: usize = 100;
    let time = Duration::from_secs(60 * minutes as u64);
    let mixed = mix(&lab.path("engine.sock"), CLIENTS, time);
    ensure!(mixed.faults.is_empty(), "{:#?}", mixed.faults);
    row([
        &format!("100 clients that mix everything, {minutes} minutes: rounds without a fault"),
        &mixed.rounds.to_string(),
        "",
        "",
        "no fault",
    ]);
    row([
        "daemon after that, proportional",
        &mib(proportional(lab.pid())),
        "",
        "",
        "",
    ]);
    Ok(())
}
