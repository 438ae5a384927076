//! Python's packages: DL3013, DL3042.

use hakone_dockerfile::Instruction;

use crate::{
    finding::Findings,
    view::{Call, Line, RunView, View},
};

const WITH_VALUE: &[&str] = &[
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "-t",
    "--target",
    "--trusted-host",
    "--prefix",
    "--root",
    "--python-version",
    "--platform",
    "--abi",
    "--implementation",
    "--proxy",
    "--timeout",
    "--retries",
    "--cert",
    "--client-cert",
    "--cache-dir",
    "--src",
    "--progress-bar",
    "--upgrade-strategy",
    "--no-binary",
    "--only-binary",
    "--global-option",
    "--install-option",
    "--log",
    "--config-settings",
    "-C",
    "--python",
    "-c",
    "--constraint",
    "-r",
    "--requirement",
    "-e",
    "--editable",
    "--root-user-action",
    "--exists-action",
];
const CACHE: &str = "PIP_NO_CACHE_DIR";

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        for call in &run.calls {
            let Some(call) = installer(call) else {
                continue;
            };
            if !is_pinned(&call) {
                let message =
                    "Say which version pip installs: package==version, or a file of requirements";
                findings.add(line.number(), "DL3013", message);
            }
            let cached = call.name != "pipx" && !call.long(&["no-cache-dir"]);
            if cached && !is_switched_off(view, line, run) {
                findings.add(
                    line.number(),
                    "DL3042",
                    "pip leaves its cache behind: give it --no-cache-dir",
                );
            }
        }
    }
}

/// Takes `pip install`, in whatever version, and `python -m pip install`.
fn installer(call: &Call) -> Option<Call> {
    let version = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '.');
    let mut call = call.clone();
    if call.name.strip_prefix("python").is_some_and(version) {
        let module = call.arguments.iter().position(|word| word == "-m")?;
        let program = call
            .arguments
            .get(module + 1)
            .filter(|word| *word == "pip")?
            .clone();
        call.arguments.drain(..module + 2);
        call.name = program;
    }
    let pip = call.name == "pipx" || call.name.strip_prefix("pip").is_some_and(version);
    (pip && call.has("install")).then_some(call)
}

fn is_pinned(call: &Call) -> bool {
    if call.long(&["requirement", "constraint", "editable"])
        || call.short('r') + call.short('c') + call.short('e') > 0
    {
        return true;
    }
    let packages = call.positional(WITH_VALUE);
    packages
        .iter()
        .filter(|word| **word != "install")
        .all(|word| is_fixed(word))
}

fn is_fixed(package: &str) -> bool {
    let compared = ["==", ">=", "<=", "~=", "!=", ">", "<", "@"];
    let file = package.starts_with(['.', '/'])
        || package.contains(".tar.")
        || package.ends_with(".whl")
        || package.ends_with(".zip");
    file || compared.iter().any(|operator| package.contains(operator))
}

/// Reports whether the environment, or a mount, keeps the cache out of the image.
fn is_switched_off(view: &View<'_>, line: &Line<'_>, run: &RunView<'_>) -> bool {
    let truth = |value: &str| {
        let value = value.trim_matches(['"', '\'']).to_ascii_lowercase();
        matches!(value.as_str(), "1" | "true" | "yes" | "on" | "y" | "t")
    };
    let here = run.calls.iter().flat_map(|call| &call.variables);
    if here
        .into_iter()
        .any(|(name, value)| name == CACHE && truth(value))
    {
        return true;
    }
    if run.keeps_out(&["/root/.cache/pip"]) {
        return true;
    }
    let set = |index: usize| {
        let before = view.instructions().filter(|(one, _)| {
            one.stage == Some(index) && (one.stage != line.stage || one.number() < line.number())
        });
        let pairs = before.filter_map(|(_, instruction)| match instruction {
            Instruction::Env(pairs) => Some(pairs),
            _ => None,
        });
        pairs
            .flatten()
            .filter(|pair| pair.name == CACHE)
            .last()
            .is_some_and(|pair| truth(&pair.value))
    };
    view.inherits(line.stage, set)
}
