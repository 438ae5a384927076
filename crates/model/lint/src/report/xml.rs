//! Checkstyle's XML.

use std::fmt::Write as _;

use super::Checked;
use crate::Severity;

pub(super) fn checkstyle(files: &[Checked]) -> String {
    let mut text =
        String::from("<?xml version='1.0' encoding='UTF-8'?>\n<checkstyle version='4.3'>\n");
    for one in files {
        writeln!(text, "<file name='{}'>", escaped(&one.file)).ok();
        for finding in &one.findings {
            let (line, severity) = (finding.line, level(finding.severity));
            let (message, code) = (escaped(&finding.message), finding.code);
            writeln!(
                text,
                "<error line='{line}' column='1' severity='{severity}' message='{message}' source='{code}'/>"
            )
            .ok();
        }
        text.push_str("</file>\n");
    }
    text.push_str("</checkstyle>\n");
    text
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info | Severity::Style | Severity::Ignore => "info",
    }
}

/// Writes all but plain letters as numbers, so that nothing of a stranger's file is markup.
fn escaped(text: &str) -> String {
    let mut all = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || " ./:,-_=()+*".contains(c) {
            all.push(c);
        } else if !c.is_control() {
            write!(all, "&#{};", u32::from(c)).ok();
        }
    }
    all
}
