//! A project of twelve services, up and down, by the real Compose.

use std::{fs, path::Path};

use hakone_e2e::{IMAGE, Lab};

use crate::table::{Series, compared, row, timed};

/// Three networks, a volume, twelve services that wait for each other in three rows.
fn project() -> String {
    let mut text =
        "networks: {front: {}, middle: {}, back: {}}\nvolumes: {data: {}}\nservices:\n".to_owned();
    for number in 0..12 {
        let (network, after) = match number {
            0..4 => ("[back]", String::new()),
            4..8 => ("[middle, back]", format!("depends_on: [s{}], ", number - 4)),
            _ => (
                "[front, middle]",
                format!("depends_on: [s{}], ", number - 4),
            ),
        };
        text += &format!(
            "  s{number}: {{image: '{IMAGE}', command: [sleep, '1000'], init: true, {after}networks: {network}, \
             volumes: ['data:/data'], environment: {{A: b}}}}\n"
        );
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "no record, and gone with the bench"
)]
fn write(lab: &Lab) {
    fs::write(lab.path("compose.yaml"), project()).ok();
}

/// `compose up -d` and `compose down -v`, beside what Compose costs with nothing to do.
pub(crate) fn compose(labs: [&Lab; 2], rounds: usize) {
    let plugin = "target/clients/compose-2.40/usr/libexec/docker/cli-plugins/docker-compose";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let compose = root.unwrap_or(Path::new("/")).join(plugin);
    if !compose.exists() {
        row(["Compose is missing: scripts/clients", "", "", "", ""]);
        return;
    }
    for lab in labs {
        write(lab);
    }
    let run = |lab: &Lab, words: &str| {
        let line = format!("{} -p twelve -f compose.yaml {words}", compose.display());
        timed(|| drop(lab.shell(&line).ok()))
    };
    let steps = [
        ("Compose: up of 12 services", "up -d", "4"),
        ("of which Compose: `ps -q`", "ps -q", ""),
        ("Compose: down of 12 services", "down -v -t 0", "4"),
    ];
    let mut times = steps.map(|_| [Vec::new(), Vec::new()]);
    for _ in 0..rounds {
        for (at, lab) in labs.iter().enumerate() {
            for ((_, words, _), times) in steps.iter().zip(&mut times) {
                times
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|times| times.push(run(lab, words)));
            }
        }
    }
    for ((what, _, wanted), times) in steps.iter().zip(times) {
        let [ours, theirs] = times.map(Series::new);
        compared(what, wanted, &ours, &theirs);
    }
}
