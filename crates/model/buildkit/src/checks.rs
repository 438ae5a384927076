//! What a build client hears of the build checks (`hakone-build-check`): as warnings of a build, or as the answer to `--check`.
//!
//! A file chooses with `# check=skip=…;error=true`, a build with the argument `BUILDKIT_DOCKERFILE_CHECK`, which goes before.

use std::fmt::Write as _;

use data_encoding::BASE64;
use hakone_build_check::{Facts, Warning};
use hakone_dockerfile::{Check, Dockerfile};
use serde_json::json;

use crate::{Documents, Order};

/// Gives what the checks find in a Dockerfile, and whether a finding fails the build. What does not parse has none.
#[must_use]
pub fn check(order: &Order, text: &[u8]) -> (Vec<Warning>, bool) {
    let Ok(mut file) = Dockerfile::parse(text) else {
        return (Vec::new(), false);
    };
    let given = order.arguments.get("BUILDKIT_DOCKERFILE_CHECK");
    if let Some(wish) = given.and_then(|text| Check::parse(text).ok()) {
        file.directives.check = Some(wish);
    }
    let facts = Facts {
        arguments: order.arguments.clone(),
        ..Facts::default()
    };
    let found = hakone_build_check::check(&file, &facts);
    let strict = file.directives.check.is_some_and(|wish| wish.error);
    let fails = strict && !found.is_empty();
    (found, fails)
}

/// Prints findings as the answer to `--check`.
pub(crate) fn lint(order: &Order, text: &[u8]) -> Documents {
    let (findings, _) = check(order, text);
    let warning = |one: &Warning| {
        json!({"ruleName": one.rule.name(), "description": one.rule.about(), "url": one.rule.url(), "detail": one.message,
               "location": {"ranges": [{"start": {"line": one.span.first}, "end": {"line": one.span.last}}]}})
    };
    let warnings: Vec<_> = findings.iter().map(warning).collect();
    let source =
        json!({"filename": order.filename, "language": "Dockerfile", "data": BASE64.encode(text)});
    let document = json!({"warnings": warnings, "sources": [source]});
    let mut lines = String::new();
    for one in &findings {
        let (rule, url, message) = (one.rule.name(), one.rule.url(), &one.message);
        writeln!(
            lines,
            "\nWARNING: {rule} - {url}\n{message}\n{}:{}",
            order.filename, one.span.first
        )
        .ok();
    }
    let status = if findings.is_empty() { "0" } else { "1" };
    vec![
        ("result.json".into(), document.to_string().into_bytes()),
        ("result.txt".into(), lines.into_bytes()),
        ("result.statuscode".into(), status.as_bytes().to_vec()),
        ("version".into(), b"1.0.0".to_vec()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<&'static str> {
        let (findings, _) = check(&Order::default(), text.as_bytes());
        findings.iter().map(|finding| finding.rule.name()).collect()
    }

    #[test]
    fn a_good_file_has_no_findings() {
        let text = "ARG V=1\nFROM debian:$V AS build\nWORKDIR /a\nWORKDIR b\nENV A=b\nCMD [\"x\"]\nFROM build\nSHELL [\"/bin/bash\"]\nCMD x\n";
        assert_eq!(rules(text), [""; 0]);
    }

    #[test]
    fn each_rule_finds_what_it_is_about() {
        for (text, rule) in [
            ("FROM x AS Big\n", "StageNameCasing"),
            ("FROM x as y\n", "FromAsCasing"),
            ("FROM x\nRUN a \\\n\n  b\n", "NoEmptyContinuation"),
            ("FROM x\nRUN a\nrun b\n", "ConsistentInstructionCasing"),
            ("FROM x AS a\nFROM y AS a\n", "DuplicateStageName"),
            ("FROM x AS context\n", "ReservedStageName"),
            ("FROM x\nCMD a\n", "JSONArgsRecommended"),
            ("FROM x\nMAINTAINER me\n", "MaintainerDeprecated"),
            ("FROM x\nENV a b\n", "LegacyKeyValueFormat"),
            ("FROM x\nWORKDIR a\n", "WorkdirRelativePath"),
            (
                "FROM x\nCMD [\"a\"]\nCMD [\"b\"]\n",
                "MultipleInstructionsDisallowed",
            ),
            ("FROM x\nARG AWS_SECRET_KEY\n", "SecretsUsedInArgOrEnv"),
            (
                "FROM --platform=linux/amd64 x\n",
                "FromPlatformFlagConstDisallowed",
            ),
            (
                "FROM --platform=$TARGETPLATFORM x\n",
                "RedundantTargetPlatform",
            ),
        ] {
            assert_eq!(rules(text), [rule], "{text}");
        }
    }

    #[test]
    fn a_file_says_what_it_does_not_want_to_hear() {
        assert!(rules("# check=skip=JSONArgsRecommended\nFROM x\nCMD a\n").is_empty());
        let (found, fails) = check(&Order::default(), b"# check=error=true\nFROM x\nCMD a\n");
        assert!(fails && found.len() == 1);
        let order = Order {
            arguments: [(
                "BUILDKIT_DOCKERFILE_CHECK".to_owned(),
                "skip=all".to_owned(),
            )]
            .into(),
            ..Order::default()
        };
        assert!(check(&order, b"FROM x\nCMD a\n").0.is_empty());
    }

    #[test]
    fn the_answer_to_check_says_by_a_code_whether_all_is_well() {
        let code = |text: &[u8]| lint(&Order::default(), text)[2].1.clone();
        assert_eq!(
            (code(b"FROM x\n"), code(b"FROM x\nCMD a\n")),
            (b"0".to_vec(), b"1".to_vec())
        );
    }
}
