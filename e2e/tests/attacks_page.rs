//! `docs/reference/attacks.md` names a test for each attack; here it is held to that. Needs neither root nor an engine.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    /// Attacks that the page had when it was written; it may only grow.
    const LEAST: usize = 158;

    #[test]
    fn each_test_that_the_page_of_attacks_names_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let page = fs::read_to_string(root.join("docs/reference/attacks.md")).unwrap();
        let mut names = BTreeSet::new();
        for line in page.lines().filter(|line| line.contains(" | `")) {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [name, mode, shut, file, test] = cells.as_slice() else {
                panic!("{line}");
            };
            let [file, test] = [file, test].map(|cell| cell.trim_matches('`'));
            let modes = ["both", "hardened", "option", "scoped"];
            assert!(modes.contains(mode) && !shut.is_empty(), "{line}");
            let source = fs::read_to_string(root.join(file)).expect(file);
            assert!(is_test(&source, test), "{name}: {test} is not in {file}");
            assert!(names.insert((*name).to_owned()), "{name} stands twice");
        }
        assert!(names.len() >= LEAST, "{}", names.len());
    }

    /// Reports whether a file has a test of that name: in its own lines, or in a list of those that a suite runs.
    fn is_test(source: &str, name: &str) -> bool {
        let mut before = "";
        for line in source.lines().map(str::trim) {
            if line.contains(&format!("fn {name}(")) {
                let listed = source.contains(&format!("    {name},\n"));
                return before.contains("#[test]") || before.contains("::test") || listed;
            }
            before = line;
        }
        false
    }
}
