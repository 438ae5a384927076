//! Dockerfiles of our own, made for the rules one by one: the first line of each says what is found in it.

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use hakone_lint::{Settings, check};

    #[test]
    fn every_file_has_the_findings_that_its_first_line_names() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
        let mut files = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let wanted = text.lines().next().unwrap();
            let found = check(text.as_bytes(), &Settings::default());
            let found: Vec<String> = found
                .iter()
                .map(|one| format!("{}:{}", one.code, one.line))
                .collect();
            let found = if found.is_empty() {
                "nothing".into()
            } else {
                found.join(" ")
            };
            assert_eq!(format!("# finds {found}"), wanted, "{}", path.display());
            files += 1;
        }
        assert!(files > 150, "{files} files");
    }
}
