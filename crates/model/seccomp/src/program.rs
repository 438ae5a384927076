//! A compiled program: bytes for the kernel, and for a cache on disk.

use crate::Error;

/// A classic BPF program for seccomp, in the byte order of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    bytes: Vec<u8>,
}

/// One instruction (`struct sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How far to jump if the test holds.
    pub jt: u8,
    /// How far to jump if not.
    pub jf: u8,
    /// The constant.
    pub k: u32,
}

/// The kernel's bound, `BPF_MAXINSNS`.
pub(crate) const MAX: usize = 4096;
/// The size of an instruction.
const SIZE: usize = 8;

impl Program {
    pub(crate) fn new(instructions: impl IntoIterator<Item = Instruction>) -> Self {
        let bytes = instructions
            .into_iter()
            .flat_map(Instruction::bytes)
            .collect();
        Self { bytes }
    }

    /// Takes bytes that [`Program::as_bytes`] gave.
    ///
    /// # Errors
    /// When their number is not that of a program.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let bytes = bytes.into();
        let whole =
            !bytes.is_empty() && bytes.len().is_multiple_of(SIZE) && bytes.len() <= MAX * SIZE;
        match whole {
            true => Ok(Self { bytes }),
            false => Err(Error::Program),
        }
    }

    /// Gives the instructions as the kernel takes them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lists the instructions.
    pub fn instructions(&self) -> impl Iterator<Item = Instruction> {
        self.bytes.chunks_exact(SIZE).filter_map(Instruction::read)
    }
}

impl From<Program> for Vec<u8> {
    fn from(program: Program) -> Self {
        program.bytes
    }
}

impl Instruction {
    fn bytes(self) -> [u8; SIZE] {
        let [a, b] = self.code.to_ne_bytes();
        let [c, d, e, f] = self.k.to_ne_bytes();
        [a, b, self.jt, self.jf, c, d, e, f]
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, jt, jf, c, d, e, f] = bytes.try_into().ok()?;
        Some(Self {
            code: u16::from_ne_bytes([a, b]),
            jt,
            jf,
            k: u32::from_ne_bytes([c, d, e, f]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_went() {
        let program = Program::new([Instruction {
            code: 6,
            jt: 1,
            jf: 2,
            k: 0x7fff_0000,
        }]);
        assert_eq!(Program::from_bytes(program.as_bytes()).unwrap(), program);
        assert_eq!(program.instructions().next().unwrap().k, 0x7fff_0000);
    }

    #[test]
    fn torn_bytes_are_refused() {
        assert!(Program::from_bytes([]).is_err());
        assert!(Program::from_bytes([0; 7]).is_err());
        assert!(Program::from_bytes(vec![0; (MAX + 1) * SIZE]).is_err());
    }
}
