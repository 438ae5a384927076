//! Build checks: what is allowed in a Dockerfile and seldom meant. Names and words are those that buildx users know.
//!
//! A file chooses with `# check=skip=…;error=true`, a build with the argument `BUILDKIT_DOCKERFILE_CHECK`.

use std::{collections::BTreeMap, fmt::Write as _};

use data_encoding::BASE64;
use hakone_dockerfile::{Check, Command, Dockerfile, Instruction, Pair, Span, Stage, Step};
use serde_json::json;

use crate::{Documents, Order};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule, `JSONArgsRecommended`.
    pub rule: &'static str,
    /// What the rule is about.
    pub about: &'static str,
    /// What is wrong here.
    pub message: String,
    /// Where.
    pub span: Span,
}

/// Rules with what they are about.
const RULES: &[(&str, &str)] = &[
    ("StageNameCasing", "Stage names should be lowercase"),
    (
        "FromAsCasing",
        "The 'as' keyword should match the case of the 'from' keyword",
    ),
    (
        "NoEmptyContinuation",
        "Empty continuation lines will become errors in a future release",
    ),
    (
        "ConsistentInstructionCasing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
    ),
    ("DuplicateStageName", "Stage names should be unique"),
    (
        "ReservedStageName",
        "Reserved words should not be used as stage names",
    ),
    (
        "JSONArgsRecommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    ),
    (
        "MaintainerDeprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    ),
    (
        "LegacyKeyValueFormat",
        "Legacy key/value format with whitespace separator should not be used",
    ),
    (
        "WorkdirRelativePath",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    ),
    (
        "MultipleInstructionsDisallowed",
        "Multiple instructions of the same type should not be used in the same stage",
    ),
    (
        "SecretsUsedInArgOrEnv",
        "Sensitive data should not be used in the ARG or ENV commands",
    ),
    (
        "FromPlatformFlagConstDisallowed",
        "FROM --platform flag should not use a constant value",
    ),
    (
        "RedundantTargetPlatform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    ),
];

impl Finding {
    /// Gives the page about the rule.
    #[must_use]
    pub fn url(&self) -> String {
        let mut page = String::new();
        let mut before = '-';
        for c in self.rule.chars() {
            if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
                page.push('-');
            }
            page.push(c.to_ascii_lowercase());
            before = c;
        }
        // The one name that begins with an abbreviation.
        let page = page.replace("jsonargs", "json-args");
        format!("https://docs.docker.com/go/dockerfile/rule/{page}/")
    }
}

/// Gives what the checks find in a Dockerfile, and whether a finding fails the build. What does not parse has none.
#[must_use]
pub fn check(order: &Order, text: &[u8]) -> (Vec<Finding>, bool) {
    let Ok(file) = Dockerfile::parse(text) else {
        return (Vec::new(), false);
    };
    let given = order.arguments.get("BUILDKIT_DOCKERFILE_CHECK");
    let given = given.and_then(|text| Check::parse(text).ok());
    let wish = given
        .or_else(|| file.directives.check.clone())
        .unwrap_or_default();
    let mut found = Found::default();
    found.casing(&file);
    for stage in &file.stages {
        found.stage(&file, stage);
    }
    for step in file.steps() {
        found.step(step);
    }
    let mut findings = found.0;
    findings.retain(|finding| !wish.skips(finding.rule));
    findings.sort_by_key(|finding| finding.span.first);
    let fails = wish.error && !findings.is_empty();
    (findings, fails)
}

/// Prints findings as the answer to `--check`.
pub(crate) fn lint(order: &Order, text: &[u8]) -> Documents {
    let (findings, _) = check(order, text);
    let warning = |one: &Finding| {
        json!({"ruleName": one.rule, "description": one.about, "url": one.url(), "detail": one.message,
               "location": {"ranges": [{"start": {"line": one.span.first}, "end": {"line": one.span.last}}]}})
    };
    let warnings: Vec<_> = findings.iter().map(warning).collect();
    let source =
        json!({"filename": order.filename, "language": "Dockerfile", "data": BASE64.encode(text)});
    let document = json!({"warnings": warnings, "sources": [source]});
    let mut lines = String::new();
    for one in &findings {
        let (rule, url, message) = (one.rule, one.url(), &one.message);
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

#[derive(Default)]
struct Found(Vec<Finding>);

impl Found {
    fn add(&mut self, rule: &'static str, span: Span, message: String) {
        let about = RULES.iter().find(|(name, _)| *name == rule);
        let about = about.map_or("", |(_, about)| about);
        self.0.push(Finding {
            rule,
            about,
            message,
            span,
        });
    }

    /// Keywords are all upper case or all lower case; the larger half is right.
    fn casing(&mut self, file: &Dockerfile) {
        let upper = |step: &Step| step.keyword.chars().all(|c| c.is_ascii_uppercase());
        let lower = |step: &Step| step.keyword.chars().all(|c| c.is_ascii_lowercase());
        let count = |fits: &dyn Fn(&Step) -> bool| file.steps().filter(|step| fits(step)).count();
        let (is_right, word): (&dyn Fn(&Step) -> bool, _) = match count(&lower) > count(&upper) {
            true => (&lower, "lowercase"),
            false => (&upper, "uppercase"),
        };
        for step in file.steps().filter(|step| !is_right(step)) {
            let message = format!(
                "Command '{}' should match the case of the command majority ({word})",
                step.keyword
            );
            self.add("ConsistentInstructionCasing", step.span, message);
        }
    }

    fn stage(&mut self, file: &Dockerfile, stage: &Stage) {
        let span = stage.head.span;
        if let Some((keyword, name)) = &stage.from.written {
            self.name(file, stage, name);
            let is_upper = |word: &str| word.chars().all(|c| c.is_ascii_uppercase());
            if is_upper(keyword) != is_upper(&stage.head.keyword) {
                let message = format!(
                    "'{keyword}' and '{}' keywords' casing do not match",
                    stage.head.keyword
                );
                self.add("FromAsCasing", span, message);
            }
        }
        match stage.from.platform.as_deref() {
            Some("$TARGETPLATFORM" | "${TARGETPLATFORM}") => {
                let message = "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior";
                self.add("RedundantTargetPlatform", span, message.into());
            }
            Some(platform) if !platform.contains('$') => {
                let message =
                    format!("FROM --platform flag should not use constant value \"{platform}\"");
                self.add("FromPlatformFlagConstDisallowed", span, message);
            }
            Some(_) | None => {}
        }
        self.folders(stage);
        self.commands(stage);
    }

    fn name(&mut self, file: &Dockerfile, stage: &Stage, written: &str) {
        let span = stage.head.span;
        let name = stage.name.as_deref().unwrap_or_default();
        if written != name {
            self.add(
                "StageNameCasing",
                span,
                format!("Stage name '{written}' should be lowercase"),
            );
        }
        if matches!(name, "scratch" | "context") {
            let message =
                format!("Stage name should not use the same name as reserved stage \"{name}\"");
            self.add("ReservedStageName", span, message);
        }
        let before = file.stages.iter().take(stage.index);
        if before.into_iter().any(|other| other.is_named(name)) {
            let message = format!("Duplicate stage name \"{name}\", stage names should be unique");
            self.add("DuplicateStageName", span, message);
        }
    }

    /// A relative folder counts from one that the base image chose, unless the stage said where it is.
    fn folders(&mut self, stage: &Stage) {
        for step in &stage.steps {
            let Instruction::Workdir(folder) = &step.instruction else {
                continue;
            };
            if folder.starts_with('/') || folder.contains('$') {
                return;
            }
            let message = format!(
                "Relative workdir \"{folder}\" can have unexpected results if the base image changes"
            );
            self.add("WorkdirRelativePath", step.span, message);
        }
    }

    fn commands(&mut self, stage: &Stage) {
        let mut last: BTreeMap<&str, Span> = BTreeMap::new();
        let mut shell = false;
        for step in &stage.steps {
            let (word, command) = match &step.instruction {
                Instruction::Shell(_) => {
                    shell = true;
                    continue;
                }
                Instruction::Cmd(command) => ("CMD", Some(command)),
                Instruction::Entrypoint(command) => ("ENTRYPOINT", Some(command)),
                Instruction::Healthcheck(_) => ("HEALTHCHECK", None),
                _ => continue,
            };
            if let Some(span) = last.insert(word, step.span) {
                let message = format!(
                    "Multiple {word} instructions should not be used in the same stage because only the last one will be used"
                );
                self.add("MultipleInstructionsDisallowed", span, message);
            }
            if matches!(command, Some(Command::Shell(_))) && !shell {
                let message = format!(
                    "JSON arguments recommended for {word} to prevent unintended behavior related to OS signals"
                );
                self.add("JSONArgsRecommended", step.span, message);
            }
        }
    }

    fn step(&mut self, step: &Step) {
        if step.gap.is_some() {
            let head: String = step.text.chars().take(64).collect();
            self.add(
                "NoEmptyContinuation",
                step.span,
                format!("Empty continuation line found in: {head}"),
            );
        }
        match &step.instruction {
            Instruction::Maintainer(_) => {
                let message = "Maintainer instruction is deprecated in favor of using label";
                self.add("MaintainerDeprecated", step.span, message.into());
            }
            Instruction::Env(pairs) => {
                self.pairs("ENV", pairs, step.span);
                self.secrets(
                    "ENV",
                    pairs.iter().map(|pair| pair.name.as_str()),
                    step.span,
                );
            }
            Instruction::Label(pairs) => self.pairs("LABEL", pairs, step.span),
            Instruction::Arg(pairs) => {
                self.secrets(
                    "ARG",
                    pairs.iter().map(|pair| pair.name.as_str()),
                    step.span,
                );
            }
            _ => {}
        }
    }

    fn pairs(&mut self, word: &str, pairs: &[Pair], span: Span) {
        if pairs.iter().any(|pair| pair.legacy) {
            let message = format!(
                "\"{word} key=value\" should be used instead of legacy \"{word} key value\" format"
            );
            self.add("LegacyKeyValueFormat", span, message);
        }
    }

    fn secrets<'a>(&mut self, word: &str, names: impl Iterator<Item = &'a str>, span: Span) {
        for name in names.filter(|name| is_secret(name)) {
            let message = format!(
                "Do not use ARG or ENV instructions for sensitive data ({word} \"{name}\")"
            );
            self.add("SecretsUsedInArgOrEnv", span, message);
        }
    }
}

/// Reports whether a variable's name says that its value is a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split('_').collect();
    let holds = |list: &[&str]| words.iter().any(|word| list.contains(word));
    holds(&[
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ]) && !holds(&["public"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<&'static str> {
        let (findings, _) = check(&Order::default(), text.as_bytes());
        findings.iter().map(|finding| finding.rule).collect()
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
    fn pages_are_named_after_rules() {
        let (found, _) = check(&Order::default(), b"FROM x\nCMD a\nWORKDIR b\n");
        let urls: Vec<_> = found.iter().map(Finding::url).collect();
        assert!(urls[0].ends_with("/json-args-recommended/"), "{urls:?}");
        assert!(urls[1].ends_with("/workdir-relative-path/"), "{urls:?}");
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
