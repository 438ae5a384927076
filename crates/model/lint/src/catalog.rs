//! The rules and their usual severities.

use crate::Severity;

const ERRORS: &[&str] = &[
    "DL1000", "DL3000", "DL3004", "DL3011", "DL3012", "DL3020", "DL3021", "DL3023", "DL3024",
    "DL3026", "DL3043", "DL3044", "DL3061", "DL4000", "DL4004", "SC2068",
];
const INFOS: &[&str] = &[
    "DL3001", "DL3009", "DL3010", "DL3015", "DL3019", "DL3047", "DL3049", "DL3050", "DL3059",
    "DL3060", "DL3066", "SC2009", "SC2012", "SC2013", "SC2015", "SC2016", "SC2028", "SC2035",
    "SC2059", "SC2086", "SC2162",
];
const STYLES: &[&str] = &[
    "DL3048", "SC2003", "SC2005", "SC2006", "SC2116", "SC2129", "SC2181",
];
const IGNORED: &[&str] = &["DL1001", "DL3057"];

/// Tells how bad a finding of that rule is, unless settings say otherwise.
pub(crate) fn severity(code: &str) -> Severity {
    let levels = [
        (ERRORS, Severity::Error),
        (INFOS, Severity::Info),
        (STYLES, Severity::Style),
        (IGNORED, Severity::Ignore),
    ];
    levels
        .iter()
        .find(|(codes, _)| codes.contains(&code))
        .map_or(Severity::Warning, |(_, severity)| *severity)
}
