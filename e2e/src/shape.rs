//! The shape of an output: what must be the same on both engines once ids, times and addresses are covered.

use std::sync::LazyLock;

use regex::Regex;

/// Covers what differs from run to run. Each pair is a pattern and what stands for it.
const COVERS: &[(&str, &str)] = &[
    (r"sha256:[0-9a-f]{64}", "<digest>"),
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"\b[0-9a-f]{12}\b", "<short>"),
    (r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b", "<mac>"),
    (
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|[+-]\d\d:?\d\d))?( [A-Z]{3,4})?",
        "<time>",
    ),
    (
        r"\b(Less than a second|About an? \w+|\d+ (second|minute|hour)s?)( ago)?",
        "<while>",
    ),
    (r"\b172\.\d+\.\d+\.\d+(/\d+)?\b", "<address>"),
    (r"\b192\.168\.\d+\.\d+(/\d+)?\b", "<address>"),
    (r"\b\d+(\.\d+)?(B|kB|MB|GB)\b", "<size>"),
    (r"/tmp/lab-\w+", "<lab>"),
    (r"\b(hakone0|docker0)\b", "<bridge>"),
    (r"\b[a-z]+_[a-z]+\b", "<name>"),
    (r"\(exec: [^)]*\)", "(exec)"),
    // Docker wrote `fe00::0` up to 26 and writes `fe00::` since.
    (r"\b(fe00|ff00)::0?", "$1::"),
    (r"[ \t]+", " "),
];

/// The same, made once: thousands of texts are covered.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let made = COVERS
        .iter()
        .filter_map(|(pattern, cover)| Some((Regex::new(pattern).ok()?, *cover)));
    made.collect()
});

/// Gives an output's shape; lines keep their order.
#[must_use]
pub fn shape(text: &str) -> String {
    let mut text = text.trim_end().to_owned();
    for (pattern, cover) in PATTERNS.iter() {
        text = pattern.replace_all(&text, *cover).into_owned();
    }
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_times_and_addresses_are_covered() {
        let line = "0fdf1122aabb   busybox   Up 3 seconds   172.17.0.2/16";
        assert_eq!(shape(line), "<short> busybox Up <while> <address>");
        assert_eq!(shape("2026-11-21T19:42:55.123Z x"), "<time> x");
    }
}
