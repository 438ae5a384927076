//! The engine on Debian's own kernel, which is years older than the one that most tests run on: a virtual machine, once with
//! pure control groups v2, once with v1. What is checked stands in `e2e/vm/checks`.

#[cfg(test)]
mod tests {
    use hakone_e2e::{hakone, sh};

    fn boot(groups: &str) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/vm");
        let printed = sh(&format!("{script} {} {groups}", hakone().display()));
        let lines = || printed.stdout.lines().map(str::trim_end);
        let failed: Vec<_> = lines().filter(|line| line.starts_with("not ok")).collect();
        let passed = lines().filter(|line| line.starts_with("ok ")).count();
        let ended = lines().any(|line| line == "checks ended: 0");
        assert!(
            ended && failed.is_empty() && passed >= 20,
            "{failed:#?}\n{printed:?}"
        );
    }

    #[test]
    fn containers_live_under_control_groups_v2() {
        boot("v2");
    }

    #[test]
    fn containers_live_under_control_groups_v1() {
        boot("v1");
    }
}
