//! Lists of patterns: what `.dockerignore` leaves out, which part of a context is wanted, and who answers a `# syntax` line.

/// Patterns that one list may hold.
const MOST: usize = 20_000;

/// Reads `.dockerignore` as the patterns that clients apply: clean, relative, exceptions with their `!`.
#[must_use]
pub fn ignored(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| pattern(line.trim()))
        .take(MOST)
        .collect()
}

fn pattern(line: &str) -> Option<String> {
    let (mark, rest) = match line.strip_prefix('!') {
        Some(rest) => ("!", rest.trim()),
        None => ("", line),
    };
    if rest.is_empty() {
        return None;
    }
    let path = clean(rest);
    let path = match path.strip_prefix('/') {
        Some(relative) if !relative.is_empty() => relative,
        _ => &path,
    };
    Some(format!("{mark}{path}"))
}

/// Writes a path the shortest way, without looking at any disk.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// Gives the paths to ask a client for, from those that steps read; empty means all.
#[must_use]
pub fn narrowed(wanted: &[String]) -> Vec<String> {
    let mut paths = Vec::new();
    for one in wanted.iter().take(MOST) {
        let path = clean(&format!("/{one}"));
        match path.trim_start_matches('/') {
            // The whole context is read anyway.
            "" | "*" | "**" => return Vec::new(),
            path => paths.push(path.to_owned()),
        }
    }
    if wanted.len() > MOST {
        return Vec::new();
    }
    paths.sort();
    paths.dedup();
    paths
}

/// Gives the front end that a Dockerfile asks for in its first lines.
#[must_use]
pub fn syntax(dockerfile: &[u8]) -> Option<String> {
    let head = dockerfile.get(..16 << 10).unwrap_or(dockerfile);
    let text = String::from_utf8_lossy(head);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut lines = text.lines().skip_while(|line| line.starts_with("#!"));
    loop {
        let comment = lines.next()?.trim_start().strip_prefix('#')?;
        let (key, value) = comment.split_once('=')?;
        let key = key.trim();
        if key.eq_ignore_ascii_case("syntax") {
            let value = value.split_whitespace().next()?;
            return Some(value.to_owned());
        }
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
    }
}

/// Reports whether this engine answers for a front end itself: all that read Dockerfiles as Docker publishes them.
#[must_use]
pub fn answers(frontend: &str) -> bool {
    let name = repository(frontend);
    matches!(name, "docker/dockerfile" | "docker/dockerfile-upstream")
}

/// Gives the repository of an image of Docker's registry, without registry, tag and digest.
pub(crate) fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or_default();
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignore_files_lose_comments_and_are_made_clean() {
        let text = "\u{feff}# all\n\n a/./b/ \n/c\n! d/../e\n#x\n/\n";
        assert_eq!(ignored(text.as_bytes()), ["a/b", "c", "!e", "/"]);
    }

    #[test]
    fn what_leads_out_stays_what_it_is() {
        assert_eq!(ignored(b"../x"), ["../x"]);
        assert_eq!(
            narrowed(&["../x".into()]),
            ["x"],
            "no step reads outside of the context"
        );
    }

    #[test]
    fn a_build_that_reads_all_asks_for_all() {
        assert!(narrowed(&["a".into(), ".".into()]).is_empty());
        assert!(narrowed(&["/".into()]).is_empty());
        assert_eq!(
            narrowed(&["./b".into(), "/a/".into(), "b".into()]),
            ["a", "b"]
        );
    }

    #[test]
    fn a_syntax_line_stands_among_the_first_directives() {
        let asks = |text: &str| syntax(text.as_bytes());
        assert_eq!(
            asks("# syntax=docker/dockerfile:1\nFROM x").as_deref(),
            Some("docker/dockerfile:1")
        );
        assert_eq!(
            asks("#!/bin/x\n# escape=`\n# SYNTAX = a/b\n").as_deref(),
            Some("a/b")
        );
        assert_eq!(asks("# hello\n# syntax=a\n"), None);
        assert_eq!(asks("FROM x\n# syntax=a\n"), None);
    }

    #[test]
    fn only_dockers_own_front_ends_are_answered_for() {
        for name in [
            "docker/dockerfile",
            "docker.io/docker/dockerfile:1.7-labs",
            "docker/dockerfile-upstream:master@sha256:00",
        ] {
            assert!(answers(name), "{name}");
        }
        for name in [
            "evil/dockerfile:1",
            "localhost:5000/docker/dockerfile",
            "r.io/docker/dockerfile:1",
        ] {
            assert!(!answers(name), "{name}");
        }
    }
}
