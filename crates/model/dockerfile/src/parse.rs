//! From the text of an instruction to what it says.

use crate::{
    Add, ArgPair, Command, Copy, Error, Escape, From, Healthcheck, Heredoc, Instruction, Limits,
    Onbuild, Pair, Run, Step,
    error::Problem,
    flags::{Flags, Takes},
    lines::{self, Logical},
    suggest, words,
};

const KEYWORDS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Reads one instruction.
pub(crate) fn step(logical: Logical, escape: Escape) -> Result<Step, Error> {
    let span = logical.span;
    let (keyword, rest) = words::keyword(&logical.text);
    let instruction = instruction(keyword, rest, &logical.heredocs, escape)
        .map_err(|problem| problem.at(span))?;
    Ok(Step {
        span,
        keyword: keyword.to_owned(),
        text: logical.text,
        comments: logical.comments,
        heredocs: logical.heredocs,
        gap: logical.gap,
        instruction,
    })
}

/// Reads an instruction that a base image asks its builds to do.
///
/// # Errors
/// It is no instruction, several, or one that no image may ask for.
pub fn parse_trigger(text: &str) -> Result<Step, Error> {
    let divided = lines::divide(text.as_bytes(), &Limits::default())?;
    let mut instructions = divided.instructions.into_iter();
    let first = instructions.next().unwrap_or_default();
    let span = first.span;
    if instructions.next().is_some() {
        return Err(Problem::new("onbuild trigger should be a single expression").at(span));
    }
    let step = step(first, Escape::Backslash)?;
    may_trigger(step.instruction.keyword()).map_err(|problem| problem.at(span))?;
    Ok(step)
}

fn instruction(
    keyword: &str,
    rest: &str,
    heredocs: &[Heredoc],
    escape: Escape,
) -> Result<Instruction, Problem> {
    let upper = keyword.to_ascii_uppercase();
    let command = || command(rest, &upper, escape);
    let text = || text(rest, &upper, escape);
    Ok(match upper.as_str() {
        "ADD" => Instruction::Add(Add::parse(rest, heredocs, escape)?),
        "ARG" => Instruction::Arg(arguments(rest, escape)?),
        "CMD" => Instruction::Cmd(command()?),
        "COPY" => Instruction::Copy(Copy::parse(rest, heredocs, escape)?),
        "ENTRYPOINT" => Instruction::Entrypoint(command()?),
        "ENV" => Instruction::Env(pairs(rest, "ENV", escape)?),
        "EXPOSE" => Instruction::Expose(list(rest, "EXPOSE", escape)?),
        "FROM" => Instruction::From(from(rest, escape)?),
        "HEALTHCHECK" => Instruction::Healthcheck(Healthcheck::parse(rest, escape)?),
        "LABEL" => Instruction::Label(pairs(rest, "LABEL", escape)?),
        "MAINTAINER" => Instruction::Maintainer(text()?),
        "ONBUILD" => Instruction::Onbuild(onbuild(rest, heredocs, escape)?),
        "RUN" => Instruction::Run(run(rest, heredocs, escape)?),
        "SHELL" => Instruction::Shell(shell(rest, escape)?),
        "STOPSIGNAL" => Instruction::StopSignal(text()?),
        "USER" => Instruction::User(text()?),
        "VOLUME" => Instruction::Volume(volumes(rest, escape)?),
        "WORKDIR" => Instruction::Workdir(text()?),
        _ => {
            let hint = suggest::hint(&upper, KEYWORDS);
            return Err(Problem::new(format!(
                "unknown instruction: {keyword}{hint}"
            )));
        }
    })
}

/// Takes the rest of an instruction that has no flags.
fn bare(rest: &str, escape: Escape) -> Result<&str, Problem> {
    let (given, rest) = words::flags(rest, escape);
    Flags::parse(&given, &[])?;
    Ok(rest)
}

fn command(rest: &str, keyword: &str, escape: Escape) -> Result<Command, Problem> {
    let command = Command::parse(bare(rest, escape)?)?;
    match (&command, keyword) {
        (Command::Shell(line), "CMD" | "ENTRYPOINT") if line.is_empty() => {
            Err(Problem::no_argument(keyword))
        }
        (Command::Exec(list), "ENTRYPOINT") if list.is_empty() => Ok(command),
        _ => Ok(command),
    }
}

fn run(rest: &str, heredocs: &[Heredoc], escape: Escape) -> Result<Run, Problem> {
    let run = Run::parse(rest, heredocs, escape)?;
    if run.command.is_empty() {
        return Err(Problem::no_argument("RUN"));
    }
    Ok(run)
}

fn text(rest: &str, keyword: &str, escape: Escape) -> Result<String, Problem> {
    match bare(rest, escape)? {
        "" => Err(Problem::one_argument(keyword)),
        text => Ok(text.to_owned()),
    }
}

fn list(rest: &str, keyword: &str, escape: Escape) -> Result<Vec<String>, Problem> {
    let words = words::spaced(bare(rest, escape)?);
    if words.is_empty() {
        return Err(Problem::no_argument(keyword));
    }
    Ok(words)
}

fn volumes(rest: &str, escape: Escape) -> Result<Vec<String>, Problem> {
    let paths = words::list(bare(rest, escape)?)?;
    if paths.is_empty() {
        return Err(Problem::no_argument("VOLUME"));
    }
    if paths.iter().any(|path| path.trim().is_empty()) {
        return Err(Problem::new("VOLUME specified can not be an empty string"));
    }
    Ok(paths)
}

fn shell(rest: &str, escape: Escape) -> Result<Vec<String>, Problem> {
    let rest = bare(rest, escape)?;
    match words::json(rest) {
        _ if rest.is_empty() => Err(Problem::no_argument("SHELL")),
        None => Err(Problem::new(
            "SHELL requires the arguments to be in JSON form",
        )),
        Some(list) => match list? {
            empty if empty.is_empty() => Err(Problem::no_argument("SHELL")),
            arguments => Ok(arguments),
        },
    }
}

fn pairs(rest: &str, keyword: &str, escape: Escape) -> Result<Vec<Pair>, Problem> {
    let (pairs, legacy) = words::pairs(bare(rest, escape)?, keyword, escape)?;
    let pair = |(name, value)| Pair {
        name,
        value,
        legacy,
    };
    Ok(pairs.into_iter().map(pair).collect())
}

fn arguments(rest: &str, escape: Escape) -> Result<Vec<ArgPair>, Problem> {
    let words = words::quoted(bare(rest, escape)?, escape);
    if words.is_empty() {
        return Err(Problem::no_argument("ARG"));
    }
    words.iter().map(|word| argument(word)).collect()
}

fn argument(word: &str) -> Result<ArgPair, Problem> {
    match word.split_once('=') {
        Some(("", _)) => Err(Problem::blank_name("ARG")),
        Some((name, default)) => Ok(ArgPair {
            name: name.into(),
            default: Some(default.into()),
        }),
        None => Ok(ArgPair {
            name: word.into(),
            default: None,
        }),
    }
}

fn from(rest: &str, escape: Escape) -> Result<From, Problem> {
    let (given, rest) = words::flags(rest, escape);
    let flags = Flags::parse(&given, &[("platform", Takes::Value)])?;
    let words = words::spaced(rest);
    let platform = flags
        .owned("platform")
        .filter(|platform| !platform.is_empty());
    match words.as_slice() {
        [image] => Ok(From {
            image: image.clone(),
            platform,
            name: None,
            written: None,
        }),
        [image, word, name] if word.eq_ignore_ascii_case("as") => Ok(From {
            image: image.clone(),
            platform,
            name: Some(stage_name(name)?),
            written: Some((word.clone(), name.clone())),
        }),
        _ => Err(Problem::new("FROM requires either one or three arguments")),
    }
}

fn stage_name(written: &str) -> Result<String, Problem> {
    let name = written.to_lowercase();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain) {
        return Ok(name);
    }
    Err(Problem::new(format!(
        "invalid name for build stage: {written:?}, name can't start with a number or contain symbols"
    )))
}

fn onbuild(rest: &str, heredocs: &[Heredoc], escape: Escape) -> Result<Onbuild, Problem> {
    let rest = bare(rest, escape)?;
    let (keyword, arguments) = words::keyword(rest);
    if keyword.is_empty() {
        return Err(Problem::no_argument("ONBUILD"));
    }
    may_trigger(&keyword.to_ascii_uppercase())?;
    let trigger = instruction(keyword, arguments, heredocs, escape)?;
    let mut text = rest.to_owned();
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    Ok(Onbuild {
        text,
        trigger: Box::new(trigger),
    })
}

fn may_trigger(keyword: &str) -> Result<(), Problem> {
    match keyword {
        "ONBUILD" => Err(Problem::new(
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
        )),
        "MAINTAINER" | "FROM" => Err(Problem::new(format!(
            "{keyword} isn't allowed as an ONBUILD trigger"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
