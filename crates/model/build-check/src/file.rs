//! How the file is written: letters, gaps, old forms.

use hakone_dockerfile::{Dockerfile, Instruction, Step};

use crate::{Rule, warning::Warnings};

pub(crate) fn check(file: &Dockerfile, warnings: &mut Warnings) {
    casing(file, warnings);
    for step in file.steps() {
        if step.gap.is_some() {
            let message = "An empty line stands within this instruction";
            warnings.add(Rule::NoEmptyContinuation, step.span, message);
        }
        form(step, warnings);
    }
}

fn is_upper(keyword: &str) -> bool {
    keyword.chars().all(|c| c.is_ascii_uppercase())
}

fn is_lower(keyword: &str) -> bool {
    keyword.chars().all(|c| c.is_ascii_lowercase())
}

/// The letters that most instructions are in are those that all should be in.
fn casing(file: &Dockerfile, warnings: &mut Warnings) {
    let lower = file.steps().filter(|step| is_lower(&step.keyword)).count();
    let upper = file.steps().filter(|step| is_upper(&step.keyword)).count();
    let (fits, word): (fn(&str) -> bool, _) = if lower > upper {
        (is_lower, "small")
    } else {
        (is_upper, "capital")
    };
    for step in file.steps().filter(|step| !fits(&step.keyword)) {
        let message = format!(
            "{} is not in {word} letters as most others are",
            step.keyword
        );
        warnings.add(Rule::ConsistentInstructionCasing, step.span, message);
    }
}

fn form(step: &Step, warnings: &mut Warnings) {
    let keyword = step.instruction.keyword();
    match &step.instruction {
        Instruction::Env(pairs) | Instruction::Label(pairs)
            if pairs.iter().any(|pair| pair.legacy) =>
        {
            let message = format!("Write {keyword} name=value, not {keyword} name value");
            warnings.add(Rule::LegacyKeyValueFormat, step.span, message);
        }
        Instruction::Maintainer(_) => {
            let message = "MAINTAINER is deprecated: use a LABEL";
            warnings.add(Rule::MaintainerDeprecated, step.span, message);
        }
        _ => {}
    }
}
