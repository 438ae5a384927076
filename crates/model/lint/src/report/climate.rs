//! Code Climate's issues, and GitLab's kind of them.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Checked, all};
use crate::{Finding, Severity};

pub(super) fn codeclimate(files: &[Checked]) -> String {
    let mut text = String::new();
    for (file, one) in all(files) {
        let position = json!({ "line": one.line, "column": 1 });
        let issue = json!({
            "type": "issue",
            "check_name": one.code,
            "description": one.message,
            "categories": ["Bug Risk"],
            "location": { "path": file, "positions": { "begin": position, "end": position } },
            "severity": severity(one.severity),
        });
        write!(text, "{issue}\0").ok();
    }
    text
}

pub(super) fn gitlab(files: &[Checked]) -> String {
    let list: Vec<Value> = all(files)
        .map(|(file, one)| {
            json!({
                "type": "issue",
                "check_name": one.code,
                "description": one.message,
                "categories": ["Bug Risk"],
                "fingerprint": fingerprint(file, one),
                "location": { "path": file, "lines": { "begin": one.line, "end": one.line } },
                "severity": severity(one.severity),
            })
        })
        .collect();
    format!("{}\n", Value::from(list))
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "blocker",
        Severity::Warning => "major",
        Severity::Info => "minor",
        Severity::Style | Severity::Ignore => "info",
    }
}

/// Names a finding from run to run.
fn fingerprint(file: &str, one: &Finding) -> String {
    let key = format!("{file}\0{}\0{}\0{}", one.line, one.code, one.message);
    let digest = Sha256::digest(key.as_bytes());
    digest
        .iter()
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
