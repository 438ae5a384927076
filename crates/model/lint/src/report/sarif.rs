//! SARIF 2.1.0, as code scanning reads it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Checked, all};
use crate::{Finding, Severity};

pub(super) fn sarif(files: &[Checked]) -> String {
    let results: Vec<Value> = all(files).map(|(file, one)| result(file, one)).collect();
    let rules: BTreeMap<&str, Value> = all(files)
        .map(|(_, one)| {
            (
                one.code,
                json!({ "id": one.code, "helpUri": help(one.code) }),
            )
        })
        .collect();
    let rules: Vec<Value> = rules.into_values().collect();
    let report = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Hakone",
                "fullName": "Hakone lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "defaultSourceLanguage": "dockerfile",
            "results": results,
        }],
    });
    format!("{report}\n")
}

fn result(file: &str, one: &Finding) -> Value {
    let language = if one.code.starts_with("SC") {
        "sh"
    } else {
        "dockerfile"
    };
    let region = json!({
        "startLine": one.line,
        "startColumn": 1,
        "endLine": one.line,
        "endColumn": 1,
        "sourceLanguage": language,
    });
    json!({
        "ruleId": one.code,
        "level": level(one.severity),
        "message": { "text": one.message },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": file }, "region": region } }],
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info | Severity::Style => "note",
        Severity::Ignore => "none",
    }
}

fn help(code: &str) -> String {
    match code.starts_with("SC") {
        true => format!("https://www.shellcheck.net/wiki/{code}"),
        false => format!("https://github.com/hadolint/hadolint/wiki/{code}"),
    }
}
