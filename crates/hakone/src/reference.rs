//! Prints the table of all settings as `docs/guide/configuration.md`; `cargo xtask bless` renews it, a test compares it.

use std::fmt::Write as _;

use clap::{Arg, Args as _, Command};

use crate::settings::{Files, Settings};

const HEAD: &str = "\
# Configuration

Every setting of `hakone daemon` is a flag, an environment variable and a key of the TOML file at once. The strongest
wins: flag, environment, TOML file (`--config FILE`, or `/etc/hakone/daemon.toml` if it exists), dockerd's
`daemon.json` (`--docker-config FILE`), default. An unknown key is an error; a key of `daemon.json` that has no effect
here is said. `hakone daemon --validate` checks everything and starts nothing.

Printed from the definition of the flags (`cargo xtask bless`).

| flag | variable | TOML key | meaning |
|---|---|---|---|
";

const TAIL: &str = "
## User namespaces

`--userns-remap USER[:GROUP]` maps the ids of containers to the ranges that the user and the group have in `/etc/subuid`
and `/etc/subgid`. `default` means the user `dockremap`; where it has no ranges, 65536 ids from 1879048192 on are taken,
which lie above what systemd and the tools of subuid(5) hand out. Files are stored with the container's own ids and are
shown through id-mapped mounts, so the file system of the data folder must support these (ext4, xfs, btrfs); bind mounts
keep the host's owners. `--userns=host` leaves one container out, which `--privileged`, `--network host` and `--pid host`
require. The network namespace belongs to the engine: `NET_ADMIN` and `NET_RAW` have no power over it and are not given.

A hardened container has a range of its own, without this option.
";

/// Gives the text of the guide.
fn markdown() -> String {
    let settings = Settings::augment_args(Command::new("daemon"));
    let files = Files::augment_args(Command::new("daemon"));
    let mut text = HEAD.to_owned();
    for argument in settings.get_arguments() {
        row(&mut text, argument, true);
    }
    for argument in files.get_arguments() {
        row(&mut text, argument, false);
    }
    text.push_str(TAIL);
    text
}

fn row(text: &mut String, argument: &Arg, has_key: bool) {
    let short = argument.get_short().map(|short| format!("`-{short}` "));
    let long = argument.get_long().unwrap_or_default();
    let variable = argument.get_env().and_then(|name| name.to_str());
    let key = match has_key {
        true => format!("`{}`", argument.get_id().as_str().replace('_', "-")),
        false => String::new(),
    };
    let help = argument.get_help().map(ToString::to_string);
    let meaning = help.unwrap_or_default().replace('|', "\\|");
    writeln!(
        text,
        "| {}`--{long}` | `{}` | {key} | {meaning} |",
        short.unwrap_or_default(),
        variable.unwrap_or_default(),
    )
    .ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_is_the_snapshot_of_the_definition() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/guide/configuration.md"
        );
        if std::env::var_os("HAKONE_BLESS").is_some() {
            let text = markdown();
            let written = hakone_store::write_atomic(
                path.as_ref(),
                text.as_bytes(),
                hakone_store::Durability::Process,
            );
            written.unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(kept, markdown(), "cargo xtask bless renews it");
    }
}
