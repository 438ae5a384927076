//! `ONBUILD`: DL3043.

use crate::{
    finding::Findings,
    view::{Line, View},
};

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for line in view.lines.iter().filter(|line| is_forbidden(line)) {
        let message = "ONBUILD, FROM and MAINTAINER cannot be triggered by ONBUILD";
        findings.add(line.number(), "DL3043", message);
    }
}

/// Reports whether the line triggers what no image may.
pub(crate) fn is_forbidden(line: &Line<'_>) -> bool {
    let mut words = line
        .draft
        .text
        .split_whitespace()
        .map(str::to_ascii_uppercase);
    let onbuild = words.next().as_deref() == Some("ONBUILD");
    onbuild
        && matches!(
            words.next().as_deref(),
            Some("ONBUILD" | "FROM" | "MAINTAINER")
        )
}
