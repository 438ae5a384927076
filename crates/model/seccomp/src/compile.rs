//! Compiles resolved rules to classic BPF.
//!
//! For each calling convention the numbers are cut into spans with the same rules, and a balanced tree of comparisons finds
//! the span: about nine steps for any call, where a list of rules would take hundreds. Arguments are looked at only where
//! rules ask, and the order of the rules is kept: the first that holds decides, as [`Resolved::action`] says.

use std::collections::BTreeMap;

use crate::{
    Action, Architecture, Condition, Error, Operator, Program, Resolved,
    assembler::{Assembler, Place, Test},
    call::{ENOSYS, X32_BIT, number},
    program::MAX,
};

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// What happens to a call: conditions in order, each with its action, then the last word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Outcome {
    cases: Vec<(Vec<Condition>, Action)>,
    last: Action,
}

/// Numbers from `first` up to the next span.
#[derive(Clone, Debug)]
struct Span {
    first: u32,
    outcome: Outcome,
}

/// Which compiler this is: programs that are kept are known by it, too, so that a better one is not passed by.
pub const COMPILER: u32 = 2;

/// Compiles rules.
///
/// # Errors
/// When the program would be longer than the kernel takes.
pub fn compile(resolved: &Resolved) -> Result<Program, Error> {
    let mut code = Assembler::default();
    let mut next = code.give(value(Action::KillProcess));
    for architecture in resolved.architectures.iter().rev() {
        let Some(audit) = audit(*architecture) else {
            continue;
        };
        let body = tree(&mut code, &spans(resolved, *architecture))?;
        let body = code.load(NUMBER, body);
        next = code.branch(Test::Equal, audit, body, next);
    }
    let start = code.load(ARCHITECTURE, next);
    match code.len() < MAX {
        true => Ok(code.finish(start)),
        false => Err(Error::TooLarge),
    }
}

/// Gives the kernel's mark of a convention (`AUDIT_ARCH_*`); x32 has none of its own.
const fn audit(architecture: Architecture) -> Option<u32> {
    match architecture {
        Architecture::X86_64 => Some(0xc000_003e),
        Architecture::X86 => Some(0x4000_0003),
        Architecture::Aarch64 => Some(0xc000_00b7),
        Architecture::Arm => Some(0x4000_0028),
        Architecture::X32 => None,
    }
}

/// Gives the kernel's value of an action (`SECCOMP_RET_*`).
fn value(action: Action) -> u32 {
    match action {
        Action::KillProcess => 0x8000_0000,
        Action::KillThread => 0,
        Action::Trap => 0x0003_0000,
        Action::Errno(number) => 0x0005_0000 | u32::from(number),
        Action::Trace(number) => 0x7ff0_0000 | u32::from(number),
        Action::Notify => 0x7fc0_0000,
        Action::Log => 0x7ffc_0000,
        Action::Allow => 0x7fff_0000,
    }
}

/// Cuts all numbers into spans, neighbours with the same outcome joined.
fn spans(resolved: &Resolved, architecture: Architecture) -> Vec<Span> {
    let mut spans = vec![];
    let mut free = 0;
    let mut add = |first: u32, outcome: Outcome| match spans.last() {
        Some(Span {
            outcome: before, ..
        }) if *before == outcome => {}
        _ => spans.push(Span { first, outcome }),
    };
    let default = || Outcome {
        cases: vec![],
        last: resolved.default,
    };
    for (number, outcome) in outcomes(resolved, architecture) {
        if number > free {
            add(free, default());
        }
        add(number, outcome);
        free = number + 1;
    }
    add(free, default());
    if architecture == Architecture::X86_64 {
        add(
            X32_BIT,
            Outcome {
                cases: vec![],
                last: Action::Errno(ENOSYS),
            },
        );
    }
    spans
}

/// Collects the rules of each number; what stands behind a rule without conditions is never reached.
fn outcomes(resolved: &Resolved, architecture: Architecture) -> BTreeMap<u32, Outcome> {
    let mut open: BTreeMap<u32, (Vec<_>, Option<Action>)> = BTreeMap::new();
    for rule in &resolved.rules {
        let numbers = rule
            .names
            .iter()
            .filter_map(|name| number(architecture, name));
        for number in numbers.filter(|number| *number < X32_BIT) {
            let (cases, last) = open.entry(number).or_default();
            match (&last, rule.conditions.is_empty()) {
                (Some(_), _) => {}
                (None, true) => *last = Some(rule.action),
                (None, false) => cases.push((rule.conditions.clone(), rule.action)),
            }
        }
    }
    let close = |(number, (cases, last)): (u32, (Vec<_>, Option<Action>))| {
        (
            number,
            Outcome {
                cases,
                last: last.unwrap_or(resolved.default),
            },
        )
    };
    open.into_iter().map(close).collect()
}

/// Writes the tree that leads to each span's outcome; the number is in the accumulator.
fn tree(code: &mut Assembler, spans: &[Span]) -> Result<Place, Error> {
    if code.len() > MAX {
        return Err(Error::TooLarge);
    }
    match spans {
        [] => Ok(code.give(value(Action::KillProcess))),
        [only] => Ok(outcome(code, &only.outcome)),
        _ => {
            let (low, high) = spans.split_at(spans.len() / 2);
            let first = high.first().map_or(0, |span| span.first);
            let above = tree(code, high)?;
            let below = tree(code, low)?;
            Ok(code.branch(Test::GreaterOrEqual, first, above, below))
        }
    }
}

fn outcome(code: &mut Assembler, outcome: &Outcome) -> Place {
    let mut next = code.give(value(outcome.last));
    for (conditions, action) in outcome.cases.iter().rev() {
        let done = code.give(value(*action));
        let miss = next;
        next = conditions
            .iter()
            .rev()
            .fold(done, |hit, one| condition(code, *one, hit, miss));
    }
    next
}

/// Writes a comparison of 64 bits as two of 32.
fn condition(code: &mut Assembler, condition: Condition, hit: Place, miss: Place) -> Place {
    let (high, low) = halves(condition.value);
    match condition.operator {
        Operator::Equal => equal(code, condition, (u32::MAX, u32::MAX), hit, miss),
        Operator::NotEqual => equal(code, condition, (u32::MAX, u32::MAX), miss, hit),
        Operator::MaskedEqual { mask } => equal(code, condition, halves(mask), hit, miss),
        Operator::Greater => order(code, condition.index, (high, low, Test::Greater), hit, miss),
        Operator::GreaterOrEqual => order(
            code,
            condition.index,
            (high, low, Test::GreaterOrEqual),
            hit,
            miss,
        ),
        Operator::Less => order(
            code,
            condition.index,
            (high, low, Test::GreaterOrEqual),
            miss,
            hit,
        ),
        Operator::LessOrEqual => {
            order(code, condition.index, (high, low, Test::Greater), miss, hit)
        }
    }
}

/// Compares both halves under a mask; a half that the mask leaves out is not looked at.
fn equal(
    code: &mut Assembler,
    condition: Condition,
    mask: (u32, u32),
    hit: Place,
    miss: Place,
) -> Place {
    let (high, low) = halves(condition.value);
    let half = |code: &mut Assembler, offset, mask, value, hit| match (mask, value) {
        (0, 0) => hit,
        (u32::MAX, value) => {
            let test = code.branch(Test::Equal, value, hit, miss);
            code.load(offset, test)
        }
        (mask, value) => {
            let test = code.branch(Test::Equal, value, hit, miss);
            let masked = code.mask(mask, test);
            code.load(offset, masked)
        }
    };
    let (low_offset, high_offset) = offsets(condition.index);
    let then = half(code, low_offset, mask.1, low, hit);
    half(code, high_offset, mask.0, high, then)
}

/// Compares the upper halves; only if they are equal the lower ones count.
fn order(
    code: &mut Assembler,
    index: u8,
    (high, low, test): (u32, u32, Test),
    hit: Place,
    miss: Place,
) -> Place {
    let (low_offset, high_offset) = offsets(index);
    let lower = code.branch(test, low, hit, miss);
    let lower = code.load(low_offset, lower);
    let same = code.branch(Test::Equal, high, lower, miss);
    let above = code.branch(Test::Greater, high, hit, same);
    code.load(high_offset, above)
}

/// Gives the offsets of an argument's lower and upper half on a little-endian machine.
const fn offsets(index: u8) -> (u32, u32) {
    let low = ARGUMENTS + 8 * index as u32;
    (low, low + 4)
}

fn halves(value: u64) -> (u32, u32) {
    let low = u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX);
    let high = u32::try_from(value >> 32).unwrap_or(u32::MAX);
    (high, low)
}
