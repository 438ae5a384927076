//! All rules over one file.

use hakone_dockerfile::{Error, Outline};

use crate::{
    Finding, Settings, Severity,
    finding::Findings,
    pragma, rules, shellcheck,
    view::{Line, View},
};

/// Checks a Dockerfile; findings come in the order of lines, and of codes within a line.
#[must_use]
pub fn check(bytes: &[u8], settings: &Settings) -> Vec<Finding> {
    let outline = match Outline::parse(bytes) {
        Ok(outline) => outline,
        Err(error) => return vec![unreadable(&error)],
    };
    let view = View::new(&outline);
    let mut findings = Findings::default();
    faults(&view, &mut findings);
    rules::check(&view, settings, &mut findings);
    shellcheck::check(&view, &mut findings);
    let silenced = match settings.no_pragmas {
        true => Vec::new(),
        false => silenced(&view, &String::from_utf8_lossy(bytes)),
    };
    let mut all: Vec<Finding> = findings
        .into_inner()
        .into_iter()
        .filter(|(code, line, _)| !silenced.iter().any(|one| one.covers(code, *line)))
        .map(|(code, line, message)| Finding {
            code,
            severity: settings.severity(code),
            line,
            message,
        })
        .filter(|finding| finding.severity > Severity::Ignore)
        .collect();
    all.sort_by(|a, b| (a.line, a.code).cmp(&(b.line, b.code)));
    all
}

/// A rule that a comment silences: for the instruction of a line, or everywhere.
struct Silenced {
    code: String,
    line: Option<u32>,
}

impl Silenced {
    fn covers(&self, code: &str, line: u32) -> bool {
        self.code == code && self.line.is_none_or(|own| own == line)
    }
}

fn silenced(view: &View<'_>, text: &str) -> Vec<Silenced> {
    let of_line = |line: &Line<'_>| -> Vec<Silenced> {
        let number = line.number();
        let codes = line
            .comments()
            .iter()
            .filter_map(|comment| pragma::ignored(comment))
            .flatten();
        codes
            .map(|code| Silenced {
                code: code.to_owned(),
                line: Some(number),
            })
            .collect()
    };
    let global = pragma::global(text).into_iter().map(|code| Silenced {
        code: code.to_owned(),
        line: None,
    });
    view.lines.iter().flat_map(of_line).chain(global).collect()
}

fn unreadable(error: &Error) -> Finding {
    Finding {
        code: "DL1000",
        severity: Severity::Error,
        line: error.span().map_or(1, |span| span.first.max(1)),
        message: error.to_string(),
    }
}

/// Instructions that Docker refuses, unless a rule of their own says so.
fn faults(view: &View<'_>, findings: &mut Findings) {
    for line in &view.lines {
        if let Err(error) = &line.draft.step
            && !rules::onbuild::is_forbidden(line)
        {
            findings.add(line.number(), "DL1000", error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, settings: &Settings) -> Vec<String> {
        let findings = check(text.as_bytes(), settings);
        findings
            .iter()
            .map(|one| format!("{}:{} {}", one.code, one.line, one.severity))
            .collect()
    }

    #[test]
    fn registries_that_are_not_trusted_are_told() {
        let text = "FROM a:1\nFROM my.io/b:1 AS q\nFROM q\nFROM scratch\nFROM localhost/x:1\n";
        let trusting = |registry: &str| Settings {
            trusted_registries: vec![registry.into()],
            ..Settings::default()
        };
        let lines = |registry| found(text, &trusting(registry));
        assert_eq!(lines("docker.io"), ["DL3026:2 error", "DL3026:5 error"]);
        assert_eq!(lines("*.io"), ["DL3026:5 error"]);
        assert_eq!(lines("my*"), ["DL3026:1 error", "DL3026:5 error"]);
        assert_eq!(lines("*"), [""; 0]);
    }

    #[test]
    fn labels_are_held_against_what_is_wanted() {
        let mut settings = Settings::default();
        settings.require_label("a:url").unwrap();
        settings.require_label("b:text").unwrap();
        let text =
            "FROM x:1 AS base\nLABEL b=1\nFROM base\nLABEL a=nothing\nFROM x:2\nLABEL a=\"\" c=1\n";
        assert_eq!(
            found(text, &settings),
            [
                "DL3052:4 warning",
                "DL3049:5 info",
                "DL3051:6 warning",
                "DL3052:6 warning"
            ]
        );
        settings.strict_labels = true;
        assert!(found(text, &settings).contains(&"DL3050:6 info".to_owned()));
        assert!(settings.require_label("a").is_err() && settings.require_label("a:moon").is_err());
    }

    #[test]
    fn what_is_usually_silent_can_be_heard() {
        let mut settings = Settings::default();
        settings.severities.insert("DL3057".into(), Severity::Info);
        settings
            .severities
            .insert("DL1001".into(), Severity::Warning);
        let text =
            "# hadolint ignore=DL3006\nFROM x\nFROM y:1 AS q\nHEALTHCHECK CMD [\"a\"]\nFROM q\n";
        assert_eq!(
            found(text, &settings),
            ["DL1001:2 warning", "DL3057:2 info"]
        );
        settings.no_pragmas = true;
        assert!(found(text, &settings).contains(&"DL3006:2 warning".to_owned()));
    }

    #[test]
    fn a_fault_hides_nothing_else() {
        let settings = Settings::default();
        assert_eq!(
            found("FROM x\nRUM a\n", &settings),
            ["DL3006:1 warning", "DL1000:2 error"]
        );
        assert_eq!(found("", &settings), ["DL1000:1 error"]);
    }
}
