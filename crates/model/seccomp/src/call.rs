//! A system call as a filter sees it, and the names of calls.

use std::str::FromStr;

use crate::{Action, Architecture, Condition, Operator, Resolved};

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The calling convention.
    pub architecture: Architecture,
    /// The call's number in it.
    pub number: u32,
    /// The arguments.
    pub arguments: [u64; 6],
}

/// The bit that marks calls of the x32 convention, which shares the rest with 64-bit x86.
pub const X32_BIT: u32 = 0x4000_0000;

/// "No such call", the answer to a convention that we do not run.
pub(crate) const ENOSYS: u16 = 38;

/// Looks up a call's number; names differ between architectures, so `None` is nothing special.
#[must_use]
pub fn number(architecture: Architecture, name: &str) -> Option<u32> {
    let id = match architecture {
        Architecture::X86_64 => syscalls::x86_64::Sysno::from_str(name).ok()?.id(),
        Architecture::X86 => syscalls::x86::Sysno::from_str(name).ok()?.id(),
        Architecture::Aarch64 => syscalls::aarch64::Sysno::from_str(name).ok()?.id(),
        Architecture::Arm => syscalls::arm::Sysno::from_str(name).ok()?.id(),
        Architecture::X32 => return None,
    };
    u32::try_from(id).ok()
}

impl Resolved {
    /// Says what these rules mean for a call: the first rule that names it and whose conditions hold decides.
    ///
    /// A convention that the rules are not for ends the process; the compiler is held to this by a property test.
    #[must_use]
    pub fn action(&self, call: &Call) -> Action {
        if !self.architectures.contains(&call.architecture) {
            return Action::KillProcess;
        }
        if is_x32(call.architecture, call.number) {
            return Action::Errno(ENOSYS);
        }
        let names_it = |name: &String| number(call.architecture, name) == Some(call.number);
        let found = self
            .rules
            .iter()
            .filter(|rule| rule.names.iter().any(names_it))
            .find(|rule| {
                rule.conditions
                    .iter()
                    .all(|condition| condition.holds(&call.arguments))
            });
        found.map_or(self.default, |rule| rule.action)
    }
}

pub(crate) const fn is_x32(architecture: Architecture, number: u32) -> bool {
    matches!(architecture, Architecture::X86_64) && number >= X32_BIT
}

impl Condition {
    fn holds(self, arguments: &[u64; 6]) -> bool {
        let value = arguments
            .get(usize::from(self.index))
            .copied()
            .unwrap_or_default();
        match self.operator {
            Operator::NotEqual => value != self.value,
            Operator::Less => value < self.value,
            Operator::LessOrEqual => value <= self.value,
            Operator::Equal => value == self.value,
            Operator::GreaterOrEqual => value >= self.value,
            Operator::Greater => value > self.value,
            Operator::MaskedEqual { mask } => value & mask == self.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ_between_architectures() {
        assert_eq!(number(Architecture::X86_64, "read"), Some(0));
        assert_eq!(number(Architecture::X86, "read"), Some(3));
        assert_eq!(number(Architecture::Aarch64, "read"), Some(63));
        assert_eq!(number(Architecture::X86_64, "socketcall"), None);
    }
}
