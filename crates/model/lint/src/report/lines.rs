//! Reports of a line each, and the JSON list.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Checked, all};
use crate::Severity;

pub(super) fn tty(files: &[Checked], color: bool) -> String {
    let mut text = String::new();
    for (file, one) in all(files) {
        let (on, off) = if color {
            (paint(one.severity), "\u{1b}[0m")
        } else {
            ("", "")
        };
        let severity = one.severity;
        writeln!(
            text,
            "{file}:{} {} {on}{severity}{off}: {}",
            one.line, one.code, one.message
        )
        .ok();
    }
    text
}

const fn paint(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\u{1b}[1m\u{1b}[91m",
        Severity::Warning => "\u{1b}[1m\u{1b}[93m",
        Severity::Info => "\u{1b}[92m",
        Severity::Style | Severity::Ignore => "\u{1b}[96m",
    }
}

pub(super) fn gnu(files: &[Checked]) -> String {
    let mut text = String::new();
    for (file, one) in all(files) {
        let (line, severity) = (one.line, one.severity);
        writeln!(
            text,
            "hakone:{file}:{line}:1: {} {severity}: {}",
            one.code, one.message
        )
        .ok();
    }
    text
}

pub(super) fn json(files: &[Checked]) -> String {
    let list: Vec<Value> = all(files)
        .map(|(file, one)| {
            json!({
                "code": one.code,
                "column": 1,
                "file": file,
                "level": one.severity.word(),
                "line": one.line,
                "message": one.message,
            })
        })
        .collect();
    format!("{}\n", Value::from(list))
}
