//! Variables that nothing has set where they are used.

use hakone_dockerfile::{
    Base, Dockerfile, GlobalScope, Graph, Instruction, Stage, StageScope, Step,
};

use crate::{Facts, Rule, warning::Warnings};

pub(crate) fn check(file: &Dockerfile, facts: &Facts, warnings: &mut Warnings) {
    let Ok(global) = GlobalScope::new(file, &facts.arguments, &facts.platforms) else {
        return;
    };
    let Ok(graph) = Graph::new(file, &global) else {
        return;
    };
    // What each stage leaves behind; nothing, if its base image is not known.
    let mut left: Vec<Option<StageScope>> = Vec::new();
    for stage in &file.stages {
        let begins = match graph.stage(stage.index).map(|one| &one.base) {
            Some(Base::Scratch) => StageScope::new(&global, []).ok(),
            Some(Base::Stage(index)) => left.get(*index).cloned().flatten(),
            Some(Base::Image(image)) => of_image(image, facts, &global),
            None => None,
        };
        left.push(begins.and_then(|scope| of_stage(file, stage, scope, warnings)));
    }
}

fn of_image(image: &str, facts: &Facts, global: &GlobalScope) -> Option<StageScope> {
    let names = facts.environments.get(image)?;
    StageScope::new(global, names.iter().map(|name| (name.as_str(), ""))).ok()
}

/// Walks a stage and gives what it leaves to stages that begin with it.
fn of_stage(
    file: &Dockerfile,
    stage: &Stage,
    mut scope: StageScope,
    warnings: &mut Warnings,
) -> Option<StageScope> {
    for step in &stage.steps {
        let expanded = step
            .expand(file.directives.escape, &scope.variables().ok()?)
            .ok()?;
        // PATH is set by the engine itself where the image does not; an ARG without a value is declared all the same.
        let known = |name: &str| name == "PATH" || scope.declares(name);
        for name in expanded.unset.iter().filter(|name| !known(name)) {
            tell(step, name, &scope, warnings);
        }
        match expanded.instruction {
            Instruction::Arg(pairs) => {
                for pair in &pairs {
                    scope.declare(pair).ok()?;
                }
            }
            Instruction::Env(pairs) => {
                for pair in &pairs {
                    scope.set_env(&pair.name, &pair.value).ok()?;
                }
            }
            _ => {}
        }
    }
    Some(scope)
}

fn tell(step: &Step, name: &str, scope: &StageScope, warnings: &mut Warnings) {
    let same = |one: &&str| one.eq_ignore_ascii_case(name);
    let hint = scope
        .variables()
        .ok()
        .and_then(|all| all.names().find(same).map(str::to_owned));
    let hint = hint.map_or_else(String::new, |one| format!(" (${one} is)"));
    let message = format!("${name} is not set here{hint}");
    warnings.add(Rule::UndefinedVar, step.span, message);
}
