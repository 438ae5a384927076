//! Writes classic BPF from the end to the beginning.
//!
//! Jumps go forward only, so whoever writes backwards knows every target. A conditional jump reaches 255 instructions; a
//! farther target gets an unconditional one, which reaches all, as a stepping stone.

use std::collections::BTreeMap;

use crate::program::{Instruction, Program};

/// A place in the program, counted from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(usize);

/// The program so far, last instruction first.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    reversed: Vec<Instruction>,
    /// Where each value was returned last.
    returns: BTreeMap<u32, Place>,
}

/// The instructions used (`linux/filter.h`): load a word at `k`, jumps, `and`, return.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;
const AND: u16 = 0x54;

/// How far back a return may lie to be taken again: what is written meanwhile still reaches it in one jump.
const BACK: usize = 200;

/// A comparison of the accumulator with a constant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
}

impl Test {
    const fn code(self) -> u16 {
        match self {
            Self::Equal => 0x15,
            Self::Greater => 0x25,
            Self::GreaterOrEqual => 0x35,
        }
    }
}

impl Assembler {
    /// Counts the instructions so far.
    pub(crate) fn len(&self) -> usize {
        self.reversed.len()
    }

    /// Returns a value to the kernel; where that is done nearby, it is not done again.
    pub(crate) fn give(&mut self, value: u32) -> Place {
        let last = self.returns.get(&value).copied();
        if let Some(last) = last.filter(|last| self.reversed.len() - last.0 < BACK) {
            return last;
        }
        let place = self.push(Instruction {
            code: RETURN,
            jt: 0,
            jf: 0,
            k: value,
        });
        self.returns.insert(value, place);
        place
    }

    /// Loads a word of the call's data, then goes on at `next`.
    pub(crate) fn load(&mut self, offset: u32, next: Place) -> Place {
        self.before(next);
        self.push(Instruction {
            code: LOAD,
            jt: 0,
            jf: 0,
            k: offset,
        })
    }

    /// Keeps the bits of a mask, then goes on at `next`.
    pub(crate) fn mask(&mut self, mask: u32, next: Place) -> Place {
        self.before(next);
        self.push(Instruction {
            code: AND,
            jt: 0,
            jf: 0,
            k: mask,
        })
    }

    /// Goes on at one place or the other.
    pub(crate) fn branch(
        &mut self,
        test: Test,
        value: u32,
        then: Place,
        otherwise: Place,
    ) -> Place {
        // Two stepping stones at most lie in between, one for each side.
        let then = self.near(then, 1);
        let otherwise = self.near(otherwise, 0);
        let jt = self.distance(then);
        let jf = self.distance(otherwise);
        self.push(Instruction {
            code: test.code(),
            jt,
            jf,
            k: value,
        })
    }

    /// Finishes; the program begins at `start`.
    pub(crate) fn finish(mut self, start: Place) -> Program {
        self.before(start);
        self.reversed.reverse();
        Program::new(self.reversed)
    }

    fn push(&mut self, instruction: Instruction) -> Place {
        self.reversed.push(instruction);
        Place(self.reversed.len() - 1)
    }

    /// Makes the next instruction fall through to `next`.
    fn before(&mut self, next: Place) {
        if next.0 + 1 != self.reversed.len() {
            self.stone(next);
        }
    }

    /// Gives a place within reach of the next instruction, with room for `more` in between.
    fn near(&mut self, target: Place, more: usize) -> Place {
        match self.reversed.len() - 1 - target.0 + more <= usize::from(u8::MAX) {
            true => target,
            false => self.stone(target),
        }
    }

    fn stone(&mut self, target: Place) -> Place {
        let over = self.reversed.len() - 1 - target.0;
        self.push(Instruction {
            code: JUMP,
            jt: 0,
            jf: 0,
            k: u32::try_from(over).unwrap_or(u32::MAX),
        })
    }

    /// Counts the instructions between the next one and its target; `near` has made it fit.
    fn distance(&self, target: Place) -> u8 {
        u8::try_from(self.reversed.len() - 1 - target.0).unwrap_or(u8::MAX)
    }
}
