//! Single instructions: folders, ports, secrets, files that are left out.

use std::iter;

use hakone_dockerfile::{Command, Dockerfile, Instruction, Source, Span, Stage, Step};

use crate::{Facts, Rule, warning::Warnings};

/// Parts of names that secrets have.
const SECRET: &[&str] = &[
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
];
/// Parts of names that say that it is none after all.
const NO_SECRET: &[&str] = &["public", "pub"];

pub(crate) fn check(file: &Dockerfile, facts: &Facts, warnings: &mut Warnings) {
    for step in file.steps() {
        let span = step.span;
        match &step.instruction {
            Instruction::Arg(pairs) => {
                pairs
                    .iter()
                    .for_each(|pair| secret("ARG", &pair.name, span, warnings));
            }
            Instruction::Env(pairs) => {
                pairs
                    .iter()
                    .for_each(|pair| secret("ENV", &pair.name, span, warnings));
            }
            Instruction::Expose(ports) => {
                ports.iter().for_each(|port| exposed(port, span, warnings));
            }
            Instruction::Copy(copy) if copy.from.is_none() => {
                left_out("COPY", &copy.sources, facts, span, warnings);
            }
            Instruction::Add(add) => left_out("ADD", &add.sources, facts, span, warnings),
            _ => {}
        }
    }
    for stage in &file.stages {
        folder(file, stage, warnings);
        shell_form(file, stage, warnings);
    }
}

fn secret(keyword: &str, name: &str, span: Span, warnings: &mut Warnings) {
    let lower = name.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split(['_', '-', '.']).collect();
    let has = |words: &[&str]| parts.iter().any(|part| words.contains(part));
    if has(SECRET) && !has(NO_SECRET) {
        let message = format!(
            "{keyword} {name} looks like a secret, and stays in the image: mount it instead"
        );
        warnings.add(Rule::SecretsUsedInArgOrEnv, span, message);
    }
}

fn exposed(port: &str, span: Span, warnings: &mut Warnings) {
    let (numbers, protocol) = port.split_once('/').unwrap_or((port, ""));
    if protocol.chars().any(|c| c.is_ascii_uppercase()) {
        let message = format!("The protocol {protocol} is not in small letters");
        warnings.add(Rule::ExposeProtoCasing, span, message);
    }
    // A variable may hold a colon in its default.
    if numbers.contains(':') && !numbers.contains('$') {
        let message = format!("EXPOSE names a port of the container alone, not {port}");
        warnings.add(Rule::ExposeInvalidFormat, span, message);
    }
}

fn left_out(keyword: &str, sources: &[Source], facts: &Facts, span: Span, warnings: &mut Warnings) {
    for source in sources {
        let Source::Path(path) = source else { continue };
        let plain = !path.contains(['*', '?', '[', '$']) && !path.contains("://");
        let name = path.trim_start_matches("./").trim_matches('/');
        if plain && !name.is_empty() && name != "." && facts.ignore.excludes(name) {
            let message = format!("{keyword} of {path}, which .dockerignore leaves out");
            warnings.add(Rule::CopyIgnoredFile, span, message);
        }
    }
}

/// A relative folder is below one that the base image chose, unless a stage below it has set one.
fn folder(file: &Dockerfile, stage: &Stage, warnings: &mut Warnings) {
    let path = |step: &Step| match &step.instruction {
        Instruction::Workdir(path) => Some((step.span, path.trim_matches('"').to_owned())),
        _ => None,
    };
    let Some((span, path)) = stage.steps.iter().find_map(path) else {
        return;
    };
    let rooted = path.starts_with(['/', '$', '\\']) || path.get(1..2) == Some(":");
    let set = |one: &Instruction| matches!(one, Instruction::Workdir(_));
    if !rooted && !inherits(file, stage, set) {
        let message = format!("WORKDIR {path} depends on the folder of the base image");
        warnings.add(Rule::WorkdirRelativePath, span, message);
    }
}

fn parent<'a>(file: &'a Dockerfile, stage: &Stage) -> Option<&'a Stage> {
    let before = file.stages.get(..stage.index)?;
    before.iter().rfind(|one| one.is_named(&stage.from.image))
}

/// Reports whether a stage below this one has such an instruction.
fn inherits(file: &Dockerfile, stage: &Stage, is: impl Fn(&Instruction) -> bool) -> bool {
    let mut below = iter::successors(parent(file, stage), |one| parent(file, one));
    below.any(|one| one.instructions().any(&is))
}

/// A shell between the engine and the program keeps signals to itself. Who names a shell wants it.
fn shell_form(file: &Dockerfile, stage: &Stage, warnings: &mut Warnings) {
    let names_shell = |one: &Instruction| matches!(one, Instruction::Shell(_));
    if inherits(file, stage, names_shell) {
        return;
    }
    let steps = stage.steps.iter();
    for step in steps.take_while(|step| !names_shell(&step.instruction)) {
        if let Instruction::Cmd(Command::Shell(_)) | Instruction::Entrypoint(Command::Shell(_)) =
            &step.instruction
        {
            let keyword = step.instruction.keyword();
            let message =
                format!("Write {keyword} as a JSON list, so that signals reach the program");
            warnings.add(Rule::JSONArgsRecommended, step.span, message);
        }
    }
}
