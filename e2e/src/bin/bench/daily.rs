//! What people type all day: listing with a thousand containers in the store, running a program inside one, reading a long log.

use std::fs;

use hakone_e2e::{IMAGE, Lab};

use crate::{
    crowd::clear,
    cycle::{docker, paired},
    http::Client,
    table::{Series, compared, timed},
};

/// How many containers are in the store.
const STORE: usize = 1000;

/// How large the log is, as a file.
const LOG_MEGABYTES: u64 = 500;

/// `docker ps` and `docker ps -a`, CLI and API apart.
pub(crate) fn list(labs: [&Lab; 2], rounds: usize) {
    for lab in labs {
        fill(lab, STORE);
    }
    by_cli(labs, rounds, ("`docker ps`, 1,000 containers", ""), &["ps"]);
    by_cli(
        labs,
        rounds,
        ("`docker ps -a`, 1,000 containers", "5"),
        &["ps", "-a"],
    );
    let get = |path: &'static str| {
        move |lab: &Lab| {
            let mut client = Client::connect(&lab.path("engine.sock"));
            timed(|| drop(client.call("GET", path, "")))
        }
    };
    for (what, path) in [
        ("API: running of 1,000", "/v1.41/containers/json"),
        ("API: all of 1,000", "/v1.41/containers/json?all=1"),
    ] {
        let [ours, theirs] = paired(labs, rounds, get(path));
        compared(what, "5", &ours, &theirs);
    }
    for lab in labs {
        clear(lab);
    }
}

/// Creates containers over one connection.
pub(crate) fn fill(lab: &Lab, count: usize) {
    let mut client = Client::connect(&lab.path("engine.sock"));
    let body = format!(r#"{{"Image":"{IMAGE}","Cmd":["sleep","1000"],"Labels":{{"a":"b"}}}}"#);
    for number in 0..count {
        let path = format!("/v1.41/containers/create?name=s{number}");
        let created = client.call("POST", &path, &body);
        assert!(created.contains("\"Id\""), "{created}");
    }
}

/// `docker exec C true`, beside what the CLI costs alone.
pub(crate) fn exec(labs: [&Lab; 2], rounds: usize) {
    for lab in labs {
        lab.docker(&format!("run -d --name box {IMAGE} sleep 10000"))
            .ok();
    }
    by_cli(
        labs,
        rounds,
        ("`docker exec C true`", "4"),
        &["exec", "box", "true"],
    );
    let [ours, theirs] = paired(labs, rounds, |lab| timed(|| exec_by_api(lab)));
    compared("the same, API alone", "4", &ours, &theirs);
    by_cli(
        labs,
        rounds,
        ("of which the CLI: `docker version`", ""),
        &["version", "--format", "x"],
    );
    for lab in labs {
        clear(lab);
    }
}

fn exec_by_api(lab: &Lab) {
    let mut client = Client::connect(&lab.path("engine.sock"));
    let body = r#"{"Cmd":["true"],"AttachStdout":true,"AttachStderr":true}"#;
    let made = client.call("POST", "/v1.41/containers/box/exec", body);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap_or_default();
    let id = made.get("Id").and_then(|id| id.as_str()).unwrap_or("none");
    let start = format!("/v1.41/exec/{id}/start");
    client.call_to_end(&start, r#"{"Detach":false,"Tty":false}"#);
    let mut client = Client::connect(&lab.path("engine.sock"));
    let seen = client.call("GET", &format!("/v1.41/exec/{id}/json"), "");
    assert!(seen.contains("\"ExitCode\":0"), "{seen}");
}

/// `docker logs` of a json-file log of 500 MB.
pub(crate) fn logs(labs: [&Lab; 2], rounds: usize) {
    for lab in labs {
        long_log(lab);
    }
    by_cli(
        labs,
        rounds,
        ("`docker logs` of a 500 MB log", "3"),
        &["logs", "talker"],
    );
    let [ours, theirs] = paired(labs, rounds, |lab| {
        let url = "http://e/v1.41/containers/talker/logs?stdout=1&stderr=1";
        let line = format!("curl -sf --unix-socket engine.sock '{url}' >/dev/null");
        timed(|| drop(lab.shell(&line).ok()))
    });
    compared("the same, API alone", "3", &ours, &theirs);
    let tail = ["logs", "--tail", "10", "talker"];
    by_cli(labs, rounds, ("`docker logs --tail 10` of it", ""), &tail);
    for lab in labs {
        clear(lab);
    }
}

/// Lets a container say lines of a hundred bytes until its log is that large.
fn long_log(lab: &Lab) {
    let line = "0123456789".repeat(10);
    let say = format!("yes {line} | head -n {}", LOG_MEGABYTES * 1_000_000 / 175);
    lab.docker(&format!("run -d --name talker {IMAGE} sh -c '{say}'"))
        .ok();
    lab.docker("wait talker").ok();
    let path = lab.docker("inspect -f {{.LogPath}} talker").ok();
    let size = fs::metadata(path.trim()).map_or(0, |file| file.len());
    let wanted = LOG_MEGABYTES * 1_000_000;
    assert!(
        (wanted * 9 / 10..wanted * 11 / 10).contains(&size),
        "the log has {size} bytes"
    );
}

fn by_cli(labs: [&Lab; 2], rounds: usize, (what, wanted): (&str, &str), words: &[&str]) {
    let [ours, theirs]: [Series; 2] = paired(labs, rounds, |lab| {
        let mut command = docker(lab);
        command.args(words);
        timed(|| {
            let status = command.status();
            assert!(status.is_ok_and(|status| status.success()), "{words:?}");
        })
    });
    compared(what, wanted, &ours, &theirs);
}
