//! Compiles device rules to the BPF program that the v2 hierarchy asks at each `open` and `mknod`.
//!
//! The kernel hands over the access wanted, the kind and the numbers of the device. Rules are tested from the
//! last to the first, so the first that fits decides; a device that no rule names is refused.

use std::path::Path;

use hakone_sys::{Instruction, attach_device_program, load_device_program};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use rustix::fs::{Mode, OFlags, open};
use std::os::fd::AsFd as _;

use crate::Error;

pub(super) fn attach(folder: &Path, rules: &[LinuxDeviceCgroup]) -> Result<(), Error> {
    let failure = |source| Error::Limit {
        path: folder.into(),
        value: "device rules".into(),
        source,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let cgroup = open(folder, flags, Mode::empty()).map_err(failure)?;
    let program = load_device_program(&compile(rules)).map_err(failure)?;
    attach_device_program(cgroup.as_fd(), program.as_fd()).map_err(failure)
}

const TYPE: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const WORK: u8 = 6;
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;

fn compile(rules: &[LinuxDeviceCgroup]) -> Vec<Instruction> {
    let mut program = vec![
        load(TYPE, 0),
        copy(ACCESS, TYPE),
        alu(0x54, TYPE, 0xffff), // and
        alu(0x74, ACCESS, 16),   // shift right
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for rule in rules.iter().rev() {
        program.extend(block(rule));
        if is_total(rule) {
            return program;
        }
    }
    program.extend(answer(false));
    program
}

/// A rule about everything ends the list.
fn is_total(rule: &LinuxDeviceCgroup) -> bool {
    rule.typ().unwrap_or_default() == LinuxDeviceType::A
}

/// The tests of one rule, each jumping behind the block when it fails, and its answer.
fn block(rule: &LinuxDeviceCgroup) -> Vec<Instruction> {
    let mut tests: Vec<Vec<Instruction>> = Vec::new();
    if !is_total(rule) {
        let kind = if rule.typ() == Some(LinuxDeviceType::B) {
            1
        } else {
            2
        };
        tests.push(vec![unless(0x56, TYPE, kind)]);
        tests.extend(access(rule));
        tests.extend(number(MAJOR, rule.major()));
        tests.extend(number(MINOR, rule.minor()));
    }
    let answer = answer(rule.allow());
    let mut left = tests.iter().map(Vec::len).sum::<usize>() + answer.len();
    let mut program = Vec::new();
    for test in tests {
        left -= test.len();
        let last = test.len() - 1;
        for (place, mut instruction) in test.into_iter().enumerate() {
            if place == last {
                instruction.offset = i16::try_from(left).unwrap_or(i16::MAX);
            }
            program.push(instruction);
        }
    }
    program.extend(answer);
    program
}

/// An allowance covers a request that asks for nothing more; a refusal hits one that asks for any of it.
fn access(rule: &LinuxDeviceCgroup) -> Option<Vec<Instruction>> {
    let letters = rule.access().as_deref().unwrap_or("rwm");
    let bit = |letter, bit| if letters.contains(letter) { bit } else { 0 };
    let bits: i32 = bit('m', 1) | bit('r', 2) | bit('w', 4);
    if bits == 7 {
        return None;
    }
    let (mask, jump) = if rule.allow() {
        (7 & !bits, 0x56)
    } else {
        (bits, 0x16)
    };
    Some(vec![
        copy(WORK, ACCESS),
        alu(0x54, WORK, mask),
        unless(jump, WORK, 0),
    ])
}

fn number(register: u8, wanted: Option<i64>) -> Option<Vec<Instruction>> {
    let wanted = i32::try_from(wanted.filter(|number| *number >= 0)?).ok()?;
    Some(vec![unless(0x56, register, wanted)])
}

fn answer(allow: bool) -> [Instruction; 2] {
    [
        instruction(0xb7, ANSWER, 0, i32::from(allow)),
        instruction(0x95, 0, 0, 0),
    ]
}

/// `register = *(u32 *)(context + offset)`.
fn load(register: u8, offset: i16) -> Instruction {
    instruction(0x61, register | (CONTEXT << 4), offset, 0)
}

/// `target = source`, 32 bits.
fn copy(target: u8, source: u8) -> Instruction {
    instruction(0xbc, target | (source << 4), 0, 0)
}

fn alu(code: u8, register: u8, immediate: i32) -> Instruction {
    instruction(code, register, 0, immediate)
}

/// A 32-bit jump away (0x56 when different, 0x16 when equal); the distance is filled in later.
fn unless(code: u8, register: u8, immediate: i32) -> Instruction {
    instruction(code, register, 0, immediate)
}

fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers,
        offset,
        immediate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: u32 = 2;
    const WRITE: u32 = 4;
    const MKNOD: u32 = 1;
    const BLOCK: u32 = 1;
    const CHAR: u32 = 2;

    /// What the kernel would do with the few operations we use.
    fn run(program: &[Instruction], access: u32, kind: u32, numbers: (u32, u32)) -> bool {
        let mut registers = [0_u32; 8];
        let context = [access << 16 | kind, numbers.0, numbers.1];
        let mut place = 0;
        loop {
            let now = program[place];
            let (to, from) = (
                usize::from(now.registers & 15),
                usize::from(now.registers >> 4),
            );
            let value = now.immediate.cast_unsigned();
            let mut jump = false;
            match now.code {
                0x61 => registers[to] = context[now.offset.cast_unsigned() as usize / 4],
                0xbc => registers[to] = registers[from],
                0x54 => registers[to] &= value,
                0x74 => registers[to] >>= value,
                0xb7 => registers[to] = value,
                0x56 => jump = registers[to] != value,
                0x16 => jump = registers[to] == value,
                0x95 => return registers[0] != 0,
                other => panic!("operation {other:x}"),
            }
            place += 1 + usize::from(jump) * now.offset.cast_unsigned() as usize;
        }
    }

    fn rules(text: &str) -> Vec<LinuxDeviceCgroup> {
        serde_json::from_str(text).unwrap()
    }

    const DOCKER: &str = r#"[{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "access": "m"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"}]"#;

    #[test]
    fn a_listed_device_is_open_and_another_is_not() {
        let program = compile(&rules(DOCKER));
        assert!(run(&program, READ | WRITE, CHAR, (1, 3)));
        assert!(!run(&program, READ, CHAR, (1, 1)));
        assert!(!run(&program, READ, BLOCK, (8, 0)));
    }

    #[test]
    fn an_allowance_covers_no_more_access_than_it_names() {
        let program = compile(&rules(DOCKER));
        assert!(run(&program, MKNOD, CHAR, (7, 7)));
        assert!(!run(&program, MKNOD | READ, CHAR, (7, 7)));
    }

    #[test]
    fn the_last_rule_that_fits_decides() {
        let program = compile(&rules(
            r#"[{"allow": true, "access": "rwm"},
                {"allow": false, "type": "b", "major": 8, "access": "w"}]"#,
        ));
        assert!(run(&program, READ, BLOCK, (8, 0)));
        assert!(!run(&program, READ | WRITE, BLOCK, (8, 1)));
        assert!(run(&program, WRITE, CHAR, (8, 1)));
    }

    #[test]
    fn without_rules_nothing_is_allowed() {
        assert!(!run(&compile(&[]), READ, CHAR, (1, 3)));
    }

    #[test]
    fn the_kernels_checker_accepts_the_program() {
        load_device_program(&compile(&rules(DOCKER))).unwrap();
        load_device_program(&compile(&[])).unwrap();
    }
}
