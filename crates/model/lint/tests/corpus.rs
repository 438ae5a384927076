//! Dockerfiles of our own, made for the rules one by one: the first line of each says what is found in it.

use std::{fs, path::Path};

use hakone_lint::{Settings, check};

#[test]
fn every_file_has_the_findings_that_its_first_line_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let wanted = text
            .lines()
            .next()
            .unwrap()
            .strip_prefix("# finds ")
            .unwrap();
        let found: Vec<String> = check(text.as_bytes(), &Settings::default())
            .iter()
            .map(|finding| format!("{}:{}", finding.code, finding.line))
            .collect();
        let found = if found.is_empty() {
            "nothing".into()
        } else {
            found.join(" ")
        };
        assert_eq!(found, wanted, "{}", path.display());
        files += 1;
    }
    assert!(files > 100, "{files} files");
}
