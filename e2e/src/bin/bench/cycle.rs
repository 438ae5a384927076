//! One container's whole life, by the CLI and over the API.

use std::{process::Stdio, time::Duration};

use hakone_e2e::{IMAGE, Lab};

use crate::{
    http::Client,
    table::{Series, compared, timed},
};

/// Runs the same on both engines, turn by turn; the first turn warms up.
pub(crate) fn paired(
    labs: [&Lab; 2],
    rounds: usize,
    work: impl Fn(&Lab) -> Duration,
) -> [Series; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        for (lab, times) in labs.iter().zip(&mut times) {
            let time = work(lab);
            if round > 0 {
                times.push(time);
            }
        }
    }
    times.map(Series::new)
}

/// `docker run --rm`, CLI included.
pub(crate) fn run(labs: [&Lab; 2], rounds: usize) {
    let [ours, theirs] = paired(labs, rounds, |lab| {
        let mut command = docker(lab);
        command.args(["run", "--rm", IMAGE, "true"]);
        timed(|| {
            let status = command.status();
            assert!(status.is_ok_and(|status| status.success()), "it runs");
        })
    });
    compared("`docker run --rm IMAGE true`", "6", &ours, &theirs);
    let version = |lab: &Lab| {
        let mut command = docker(lab);
        command.args(["version", "--format", "x"]);
        timed(|| drop(command.status()))
    };
    let [ours, theirs] = paired(labs, rounds, version);
    compared("of which the CLI: `docker version`", "", &ours, &theirs);
}

/// Create, start, wait, remove.
pub(crate) fn api(labs: [&Lab; 2], rounds: usize) {
    for lab in labs {
        lab.docker("network create cycle").ok();
    }
    let [ours, theirs] = paired(labs, rounds, life);
    compared(
        "create, start, wait, remove over the API, bridge network",
        "12",
        &ours,
        &theirs,
    );
    for lab in labs {
        lab.docker("network rm cycle").ok();
    }
}

fn life(lab: &Lab) -> Duration {
    let mut client = Client::connect(&lab.path("engine.sock"));
    timed(|| {
        let body = format!(
            r#"{{"Image":"{IMAGE}","Cmd":["true"],"HostConfig":{{"NetworkMode":"cycle"}}}}"#
        );
        let created = client.call("POST", "/v1.41/containers/create", &body);
        let created: serde_json::Value = serde_json::from_str(&created).unwrap_or_default();
        let id = created.get("Id").and_then(|id| id.as_str());
        let at = format!("/v1.41/containers/{}", id.unwrap_or_default());
        client.call("POST", &format!("{at}/start"), "");
        let waited = client.call("POST", &format!("{at}/wait"), "");
        assert!(waited.contains(r#""StatusCode":0"#), "{waited}");
        client.call("DELETE", &at, "");
    })
}

/// The CLI without a shell around it.
#[expect(
    clippy::disallowed_methods,
    reason = "the CLI is started as a user does"
)]
pub(crate) fn docker(lab: &Lab) -> std::process::Command {
    let mut command = std::process::Command::new("docker");
    let socket = lab.path("engine.sock");
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    command.env("DOCKER_CONFIG", lab.path("config"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
