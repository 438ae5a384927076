//! Each format, read back.

use serde_json::Value;

use super::*;
use crate::Severity;

fn files() -> Vec<Checked> {
    let finding = |code, severity, line| Finding {
        code,
        severity,
        line,
        message: "a 'b' <c> & \"d\"".into(),
    };
    vec![Checked {
        file: "dir/Dockerfile".into(),
        findings: vec![
            finding("DL3006", Severity::Warning, 1),
            finding("SC2086", Severity::Info, 7),
        ],
    }]
}

#[test]
fn people_get_lines() {
    let text = print(&files(), Format::Tty, false);
    assert_eq!(
        text.lines().next(),
        Some("dir/Dockerfile:1 DL3006 warning: a 'b' <c> & \"d\"")
    );
    assert!(print(&files(), Format::Tty, true).contains("\u{1b}[93mwarning\u{1b}[0m"));
    let text = print(&files(), Format::Gnu, false);
    assert!(text.starts_with("hakone:dir/Dockerfile:1:1: DL3006 warning: a"));
}

#[test]
fn programs_get_json() {
    let list: Value = serde_json::from_str(&print(&files(), Format::Json, false)).unwrap();
    assert_eq!(
        (&list[1]["line"], &list[1]["level"]),
        (&Value::from(7), &Value::from("info"))
    );
    let list: Value =
        serde_json::from_str(&print(&files(), Format::GitlabCodeclimate, false)).unwrap();
    assert_eq!(list[0]["location"]["lines"]["begin"], 1);
    assert_ne!(list[0]["fingerprint"], list[1]["fingerprint"]);
    let text = print(&files(), Format::Codeclimate, false);
    let issues: Vec<&str> = text.split_terminator('\0').collect();
    assert_eq!(issues.len(), 2);
    let sarif: Value = serde_json::from_str(&print(&files(), Format::Sarif, false)).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!(run["results"][1]["level"], "note");
    assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "DL3006");
}

#[test]
fn nothing_of_a_file_is_markup() {
    let text = print(&files(), Format::Checkstyle, false);
    assert!(text.contains("message='a &#39;b&#39; &#60;c&#62; &#38; &#34;d&#34;'"));
}
