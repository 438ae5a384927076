//! Stages: their names, their platforms, what they begin with.

use hakone_dockerfile::{BuildArgs, Dockerfile, Escape, GlobalScope, Instruction, Stage};

use crate::{Facts, Rule, warning::Warnings};

pub(crate) fn check(file: &Dockerfile, facts: &Facts, warnings: &mut Warnings) {
    for stage in &file.stages {
        names(file, stage, warnings);
        platform(stage, warnings);
        repeated(stage, warnings);
    }
    bases(file, facts, warnings);
}

fn names(file: &Dockerfile, stage: &Stage, warnings: &mut Warnings) {
    let (Some((word, written)), Some(name)) = (&stage.from.written, &stage.name) else {
        return;
    };
    let span = stage.head.span;
    if written != name {
        let message = format!("The name {written} of a stage is not in small letters");
        warnings.add(Rule::StageNameCasing, span, message);
    }
    let upper = |word: &str| word.chars().all(|c| c.is_ascii_uppercase());
    if upper(word) != upper(&stage.head.keyword) {
        let message = format!("{} and {word} are not written alike", stage.head.keyword);
        warnings.add(Rule::FromAsCasing, span, message);
    }
    let before = file.stages.iter().take(stage.index);
    if before
        .into_iter()
        .any(|one| one.name.as_ref() == Some(name))
    {
        let message = format!("Another stage has the name {name}");
        warnings.add(Rule::DuplicateStageName, span, message);
    }
    if matches!(name.as_str(), "scratch" | "context") {
        let message = format!("{name} has a meaning of its own and cannot well name a stage");
        warnings.add(Rule::ReservedStageName, span, message);
    }
}

fn platform(stage: &Stage, warnings: &mut Warnings) {
    let Some(platform) = &stage.from.platform else {
        return;
    };
    let span = stage.head.span;
    if matches!(platform.as_str(), "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let message = format!("FROM has the platform {platform} anyway");
        warnings.add(Rule::RedundantTargetPlatform, span, message);
    } else if !platform.contains('$') {
        // Several stages of fixed platforms are one image that chooses among them.
        let chosen = stage
            .name
            .as_deref()
            .is_some_and(|name| names_platform(name, platform));
        if !chosen {
            let message = format!("FROM is fixed to the platform {platform}");
            warnings.add(Rule::FromPlatformFlagConstDisallowed, span, message);
        }
    }
}

fn names_platform(name: &str, platform: &str) -> bool {
    platform.split('/').any(|part| name.contains(part))
}

/// Of these only the last of a stage counts.
fn repeated(stage: &Stage, warnings: &mut Warnings) {
    for keyword in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
        let mut steps: Vec<_> = stage
            .steps
            .iter()
            .filter(|step| step.instruction.keyword() == keyword)
            .collect();
        steps.pop();
        for step in steps {
            let message = format!("Only the last {keyword} of a stage counts");
            warnings.add(Rule::MultipleInstructionsDisallowed, step.span, message);
        }
    }
}

/// What `FROM` becomes with the build's arguments, and without any.
fn bases(file: &Dockerfile, facts: &Facts, warnings: &mut Warnings) {
    let escape = file.directives.escape;
    let given = GlobalScope::new(file, &facts.arguments, &facts.platforms);
    let alone = GlobalScope::new(file, &BuildArgs::default(), &facts.platforms);
    let (Ok(given), Ok(alone)) = (given, alone) else {
        return;
    };
    for stage in &file.stages {
        undeclared(file, stage, escape, &given, warnings);
        if let Ok(expanded) = stage.head.expand(escape, alone.variables())
            && let Instruction::From(from) = expanded.instruction
            && is_no_image(&from.image)
            && stage.from.image.contains('$')
        {
            let message = format!(
                "Without build arguments {} names no image",
                stage.from.image
            );
            warnings.add(Rule::InvalidDefaultArgInFrom, stage.head.span, message);
        }
    }
}

fn undeclared(
    file: &Dockerfile,
    stage: &Stage,
    escape: Escape,
    given: &GlobalScope,
    warnings: &mut Warnings,
) {
    let declared = |name: &str| {
        file.global_arguments
            .iter()
            .any(|step| match &step.instruction {
                Instruction::Arg(pairs) => pairs.iter().any(|pair| pair.name == name),
                _ => false,
            })
    };
    let Ok(expanded) = stage.head.expand(escape, given.variables()) else {
        return;
    };
    for name in expanded.unset.iter().filter(|name| !declared(name)) {
        let message = format!("No ARG before the first FROM declares {name}");
        warnings.add(Rule::UndefinedArgInFrom, stage.head.span, message);
    }
}

fn is_no_image(image: &str) -> bool {
    let odd = |c: char| c.is_ascii_uppercase() || c.is_whitespace();
    let name = image.split('@').next().unwrap_or_default();
    let path = name.rsplit('/').next().unwrap_or_default();
    let (path, tag) = path.split_once(':').unwrap_or((path, "latest"));
    path.is_empty()
        || tag.is_empty()
        || path.contains(odd)
        || name.starts_with(['/', '-', '.', ':'])
}
