//! `cargo xtask`: the one door to checks, tests, snapshots, benches and fuzzing. CI runs the same verbs.

mod bench;
mod check;
mod fuzz;
mod run;
mod test;
mod tidy;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask VERB

  check              format, clippy, tidy (layers, sizes, headers), docs, fuzz targets
  test               unit, property and kernel tests of all crates, then e2e (root)
  e2e [FILTER]       the suites that drive the built binary through the docker CLI (root)
  e2e --peers        Compose of three ages, docker-py, dockerode, bollard, testcontainers, podman, oras and cosign (root)
  bless              renew snapshots and docs/reference
  bench [NAME] [N] [MB]  benches against a real dockerd, interleaved (root); MB of images; `policy`: what rules cost, without a peer
  fuzz TARGET [SEC]  run one fuzz target";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["check"] => check::run(),
        ["tidy"] => tidy::run(),
        ["test"] => test::all(),
        ["e2e", "--peers"] => test::peers(),
        ["e2e", filter @ ..] => test::e2e(filter),
        ["bless"] => test::bless(),
        ["bench", rest @ ..] => bench::run_all(rest),
        ["fuzz", target, rest @ ..] => fuzz::run(target, rest),
        [] | ["help" | "--help" | "-h", ..] | [_, "--help" | "-h", ..] => {
            run::say(USAGE);
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}
